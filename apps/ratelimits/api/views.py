from __future__ import annotations

from dataclasses import asdict
from datetime import UTC

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ApiView, ModelApi
from apps.ratelimits import errors, queries, services
from apps.ratelimits.api import serializers
from apps.ratelimits.models import Entry, Policy


class PolicyApi(ModelApi):
    """Policies: what limits the organization's calls, beside its plan. A change counts in both planes at once."""

    permission_area = "limits"
    queryset = Policy.objects.all()
    serializer_class = serializers.PolicySerializer
    filterset_fields = ["name", "quantity", "is_shadow"]
    edited_fields = services.COLUMNS

    @extend_schema(request=serializers.NewPolicySerializer, responses={201: serializers.PolicySerializer})
    def create(self, request: Request) -> Response:
        form = serializers.NewPolicySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        policy = services.create_policy(**form.validated_data, by=self.actor)
        location = reverse("policy-detail", args=[policy.pk])
        return Response(self.get_serializer(policy).data, status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(request=serializers.PolicyChangesSerializer, responses=serializers.PolicySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a limit. Whoever was refused by the old one and would pass the new one passes."""
        form = serializers.PolicyChangesSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        policy = services.update_policy(self.get_object(), by=self.actor, **form.validated_data)
        return Response(self.get_serializer(policy).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.delete_policy(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class EntryApi(ModelApi):
    """Lists: values that no policy of the organization limits (`allow`), or that may not call at all (`deny`)."""

    permission_area = "limits"
    queryset = Entry.objects.all()
    serializer_class = serializers.EntrySerializer
    filterset_fields = ["kind", "subject", "header", "value"]
    edited_fields = ("kind", "reason", "ends_at")

    @extend_schema(request=serializers.NewEntrySerializer, responses={201: serializers.EntrySerializer})
    def create(self, request: Request) -> Response:
        """Put a value on a list. One that is denied is refused even if another of its values is allowed."""
        form = serializers.NewEntrySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        entry = services.create_entry(**form.validated_data, by=self.actor)
        location = reverse("entry-detail", args=[entry.pk])
        return Response(self.get_serializer(entry).data, status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(request=serializers.EntryChangesSerializer, responses=serializers.EntrySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        form = serializers.EntryChangesSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        entry = services.update_entry(self.get_object(), by=self.actor, **form.validated_data)
        return Response(self.get_serializer(entry).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.delete_entry(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


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
