from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ApiView
from apps.jobs import workload


class JobQueueSerializer(serializers.Serializer):
    name = serializers.CharField()
    ready = serializers.IntegerField(help_text="Jobs that wait for a worker.")
    later = serializers.IntegerField(help_text="Jobs that wait for their time, or for other jobs.")
    running = serializers.IntegerField()
    oldest_ready_at = serializers.DateTimeField(allow_null=True)
    ended_last_hour = serializers.IntegerField()
    failed_last_hour = serializers.IntegerField(help_text="How many of those failed or died.")
    is_drained = serializers.BooleanField(help_text="Whether the operator lets nothing more be taken from it.")


class JobQueuesApi(ApiView):
    """How the organization's work stands in each queue; `outside` is what its own processes do."""

    permission_area = "jobs"

    @extend_schema(responses=JobQueueSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(JobQueueSerializer(workload.figures(timezone.now()), many=True).data)
