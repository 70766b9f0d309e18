from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ModelApi
from apps.jobs import services
from apps.jobs.api import serializers
from apps.jobs.models import Job


class JobApi(ModelApi):
    """Background work: status, progress, history, log, cancel, retry."""

    permission_area = "jobs"
    queryset = Job.objects.all()
    serializer_class = serializers.JobSerializer
    filterset_fields = ["status", "kind", "queue", "subject_id", "subject_type"]

    @extend_schema(responses=serializers.JobDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(serializers.JobDetailSerializer(self.get_object()).data)

    @extend_schema(request=None, responses=serializers.JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a waiting job now, a running one at its next step."""
        return Response(self.get_serializer(services.cancel_job(self.get_object(), by=self.actor)).data)

    @extend_schema(request=None, responses=serializers.JobSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Run a job that failed, died or was cancelled once more."""
        return Response(self.get_serializer(services.retry_job(self.get_object(), by=self.actor)).data)

    @extend_schema(responses=serializers.JobLogLineSerializer(many=True))
    @action(detail=True)
    def log(self, request: Request, pk: str) -> Response:
        """What the job's handler wrote, newest first."""
        lines = self.paginate_queryset(self.get_object().log_lines.all())
        return self.get_paginated_response(serializers.JobLogLineSerializer(lines, many=True).data)
