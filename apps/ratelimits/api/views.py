from __future__ import annotations

from dataclasses import asdict
from datetime import UTC
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ApiView, WrittenApi
from apps.ratelimits import errors, queries, services
from apps.ratelimits.api import serializers
from apps.ratelimits.models import Entry, Policy


class PolicyApi(WrittenApi):
    """Policies: what limits the organization's calls, beside its plan. A change counts in both planes at once.

    Whoever was refused by a limit and would pass the changed one passes.
    """

    permission_area = "limits"
    queryset = Policy.objects.all()
    serializer_class = serializers.PolicySerializer
    new_serializer = serializers.NewPolicySerializer
    changes_serializer = serializers.PolicyChangesSerializer
    filterset_fields = ["name", "quantity", "is_shadow"]
    edited_fields = services.COLUMNS

    def add(self, **columns: Any) -> Policy:
        return services.create_policy(**columns, by=self.actor)

    def change(self, row: Policy, **columns: Any) -> Policy:
        return services.update_policy(row, **columns, by=self.actor)

    def remove(self, row: Policy) -> None:
        services.delete_policy(row, by=self.actor)


class EntryApi(WrittenApi):
    """Lists: values that no policy of the organization limits (`allow`), or that may not call at all (`deny`).

    A call is refused if one of its values is denied, even if another one is allowed.
    """

    permission_area = "limits"
    queryset = Entry.objects.all()
    serializer_class = serializers.EntrySerializer
    new_serializer = serializers.NewEntrySerializer
    changes_serializer = serializers.EntryChangesSerializer
    filterset_fields = ["kind", "subject", "header", "value"]
    edited_fields = ("kind", "reason", "ends_at")

    def add(self, **columns: Any) -> Entry:
        return services.create_entry(**columns, by=self.actor)

    def change(self, row: Entry, **columns: Any) -> Entry:
        return services.update_entry(row, **columns, by=self.actor)

    def remove(self, row: Entry) -> None:
        services.delete_entry(row, by=self.actor)


class LimitsApi(ApiView):
    """Who is limited now, and what each policy did in the last hour."""

    permission_area = "limits"

    @extend_schema(responses=serializers.LimitsSerializer)
    def get(self, request: Request) -> Response:
        policies = queries.policies()
        rows, limited = queries.rows(policies), queries.limited_now(policies)
        if rows is None or limited is None:
            raise errors.SeenUnavailable
        return Response(serializers.LimitsSerializer({"limited_now": limited, "policies": rows}).data)


class HistoryApi(ApiView):
    """What one policy did over time: passed, refused, and how little was left."""

    permission_area = "limits"

    @extend_schema(parameters=[serializers.HistoryQuerySerializer], responses=serializers.HistorySerializer)
    def get(self, request: Request) -> Response:
        form = serializers.HistoryQuerySerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        time_range = queries.RANGES[form.validated_data["range"]]
        policy = queries.policy_called(form.validated_data["policy"])
        history = queries.history(policy, time_range, timezone.now().astimezone(UTC))
        if history is None:
            raise errors.SeenUnavailable
        steps = [{"at": at, **asdict(counts)} for at, counts in zip(history.times, history.steps, strict=True)]
        answer = {"step_seconds": time_range.step.total_seconds(), "steps": steps}
        return Response(serializers.HistorySerializer(answer).data)
