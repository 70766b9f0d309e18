from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.jobs import dead_set, services, submissions
from apps.jobs.api import serializers
from apps.jobs.api.outside import LinesSerializer, OutsideWorkApi
from apps.jobs.filters import DeadSetFilter, JobFilter
from apps.jobs.models import Job


class JobApi(OutsideWorkApi):
    """Background work: submitted, followed, cancelled, retried. The dead set is `status=dead&discarded=false`."""

    permission_area = "jobs"
    queryset = Job.objects.prefetch_related("tags").defer("traceback")
    serializer_class = serializers.JobSerializer
    filterset_class = JobFilter

    @extend_schema(request=serializers.NewJobSerializer, responses={202: serializers.JobSerializer})
    def create(self, request: Request) -> Response:
        """Submit a job. Send it with an `Idempotency-Key`, and sending it again makes no second one."""
        form = serializers.NewJobSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        told, wishes = form.validated_data, form.wishes()
        job = submissions.submit_open_job(
            told["kind"], told.get("input", {}), label=told.get("name", ""), wishes=wishes, by=self.actor
        )
        location = reverse("job-detail", args=[job.pk])
        return Response(self.get_serializer(job).data, status.HTTP_202_ACCEPTED, headers={"Location": location})

    @extend_schema(responses=serializers.JobDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.queryset = Job.objects.prefetch_related("tags", "transitions")
        return Response(serializers.JobDetailSerializer(self.get_object()).data)

    @extend_schema(request=None, responses=serializers.JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a waiting job now, a running one at its next step."""
        return self._after(services.cancel_job)

    @extend_schema(request=None, responses=serializers.JobSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Run a job that failed, died or was cancelled once more, and with it what ended because of that."""
        return self._after(services.retry_job)

    @extend_schema(request=None, responses=serializers.JobSerializer)
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str) -> Response:
        """Take a dead job out of the dead set."""
        return self._after(services.discard_job)

    def _after(self, act: Callable[..., Job]) -> Response:
        return Response(self.get_serializer(act(self.get_object(), by=self.actor)).data)

    @extend_schema(request=serializers.DeadSetSerializer, responses=serializers.DoneSerializer, filters=False)
    @action(detail=False, methods=["post"], url_path="retry-dead")
    def retry_dead(self, request: Request) -> Response:
        """Run what is in the dead set once more: all of it, or what the filters say."""
        return self._done_to_dead(dead_set.retry_dead)

    @extend_schema(request=serializers.DeadSetSerializer, responses=serializers.DoneSerializer, filters=False)
    @action(detail=False, methods=["post"], url_path="discard-dead")
    def discard_dead(self, request: Request) -> Response:
        """Empty the dead set: all of it, or what the filters say."""
        return self._done_to_dead(dead_set.discard_dead)

    def _done_to_dead(self, act: Callable[..., dead_set.Done]) -> Response:
        form = serializers.DeadSetSerializer(data=self.request.data)
        form.is_valid(raise_exception=True)
        jobs = DeadSetFilter(form.data, Job.objects.all()).qs
        return Response(serializers.DoneSerializer(act(jobs, filters=form.data, by=self.actor)).data)

    @extend_schema(
        parameters=[serializers.LogQuerySerializer],
        responses=serializers.JobLogLineSerializer(many=True),
        filters=False,
    )
    @action(detail=True)
    def log(self, request: Request, pk: str) -> Response:
        """What the job's handler wrote, newest first."""
        form = serializers.LogQuerySerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        lines = self.get_object().log_lines.all()
        if after := form.validated_data.get("after"):
            lines = lines.filter(pk__gt=get_object_or_404(lines, pk=after).pk)
        return self.get_paginated_response(
            serializers.JobLogLineSerializer(self.paginate_queryset(lines), many=True).data
        )

    @extend_schema(request=LinesSerializer, responses={204: None}, filters=False)
    @log.mapping.post
    def write_log(self, request: Request, pk: str) -> Response:
        """Add lines to the log of a job that one works on."""
        return self.write_lines(request)
