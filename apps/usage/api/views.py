from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import time_ranges
from apps.core.api.views import ApiView
from apps.usage import queries
from apps.usage.api import serializers
from apps.usage.api.filters import UsageEventFilter
from apps.usage.models import UsageEvent


class UsageApi(ApiView):
    """What was used: sums of the ledger by meter and step."""

    permission_area = "usage"

    @extend_schema(parameters=[serializers.UsageQuerySerializer], responses=serializers.UsageSerializer)
    def get(self, request: Request) -> Response:
        form = serializers.UsageQuerySerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        now, time_range = timezone.now(), time_ranges.RANGES[form.validated_data["range"]]
        used = queries.usage_by_meter(form.validated_data, time_range, now)
        answer = {
            "start": time_range.start(now),
            "step_seconds": time_range.step.total_seconds(),
            "meters": [_meter(one) for one in used],
        }
        return Response(serializers.UsageSerializer(answer).data)


def _meter(used: queries.MeterUsage) -> dict[str, object]:
    steps = [{"at": at, "quantity": quantity} for at, quantity in sorted(used.by_step.items())]
    return {
        "meter": used.meter,
        "quantity": used.quantity,
        "cost_micro_usd": used.cost_micro_usd,
        "event_count": used.event_count,
        "steps": steps,
    }


class UsageEventApi(mixins.ListModelMixin, viewsets.GenericViewSet):
    """The ledger's rows, newest first."""

    permission_area = "usage"
    queryset = UsageEvent.objects.all()
    serializer_class = serializers.UsageEventSerializer
    filterset_class = UsageEventFilter
