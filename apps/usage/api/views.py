from __future__ import annotations

from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ApiView
from apps.usage import queries, standing
from apps.usage.api import serializers
from apps.usage.api.filters import UsageEventFilter
from apps.usage.models import UsageEvent

MOST_GROUPS = 1000


class UsageApi(ApiView):
    """What was used: sums of the ledger by meter and step."""

    permission_area = "usage"

    @extend_schema(parameters=[serializers.UsageQuerySerializer], responses=serializers.UsageSerializer)
    def get(self, request: Request) -> Response:
        form = serializers.UsageQuerySerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        now, time_range = timezone.now(), queries.RANGES[given["range"]]
        used = queries.usage_by_meter(given, time_range, now, given.get("group_by", ""), MOST_GROUPS)
        answer = {
            "start": time_range.start(now),
            "step_seconds": time_range.step.total_seconds(),
            "meters": [{"meter": one.value, "groups": _groups(one), **_use(one)} for one in used],
        }
        return Response(serializers.UsageSerializer(answer).data)


def _groups(used: queries.MeterUsage) -> list[dict[str, object]]:
    rest = [{**_use(used.rest), "value": None, "label": used.rest.label}] if used.rest else []
    return [*({**_use(part), "value": part.value, "label": part.label} for part in used.parts), *rest]


def _use(used: queries.Use) -> dict[str, object]:
    steps = [{"at": at, "quantity": quantity} for at, quantity in sorted(used.by_step.items())]
    counted = {"quantity": used.quantity, "cost_micro_usd": used.cost_micro_usd, "event_count": used.event_count}
    return {**counted, "steps": steps}


class QuotasApi(ApiView):
    """What the plan includes, what of it is used, and when it runs out at this rate."""

    permission_area = "usage"

    @extend_schema(responses=serializers.QuotasSerializer)
    def get(self, request: Request) -> Response:
        organization = cast(Any, request).organization
        quotas = standing.standings(organization, timezone.now())
        return Response(serializers.QuotasSerializer({"plan": organization.plan, "quotas": quotas}).data)


class UsageEventApi(mixins.ListModelMixin, viewsets.GenericViewSet):
    """The ledger's rows, newest first."""

    permission_area = "usage"
    queryset = UsageEvent.objects.all()
    serializer_class = serializers.UsageEventSerializer
    filterset_class = UsageEventFilter
