"""The API of outside work. A program that finds nothing to do may wait for it: `core.held_calls` holds its call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core import held_calls
from apps.core.api.views import ModelApi
from apps.jobs import outside
from apps.jobs.api.serializers import JobSerializer, JsonObjectField, NewJobSerializer
from apps.jobs.doorbell import outside_channel
from apps.jobs.enums import KIND, LOG_LEVELS
from apps.jobs.models import Job
from apps.jobs.outside import Line
from apps.jobs.services import Failure

MAX_RESULT_BYTES = 1_000_000
MAX_FIELDS_BYTES = 8 * 1024
DAY_S = 24 * 3600
NOTHING_TO_DO = OpenApiResponse(description="There is nothing to do, also not within `wait_s`.")


class WorkerSerializer(serializers.Serializer):
    worker = serializers.CharField(max_length=100, help_text="What the process calls itself.")
    lease_s = serializers.IntegerField(
        min_value=10, max_value=3600, default=30, help_text="How long a sign of life counts."
    )


class ClaimSerializer(WorkerSerializer):
    kinds = serializers.ListField(child=serializers.RegexField(KIND), min_length=1, max_length=50)
    wait_s = serializers.IntegerField(
        min_value=0, max_value=30, default=0, help_text="How long to wait for a job when there is none."
    )


class StartSerializer(WorkerSerializer, NewJobSerializer):
    run_at = depends_on = None  # type: ignore[assignment]
    max_attempts = serializers.IntegerField(min_value=1, max_value=25, default=1)


class AttemptSerializer(serializers.Serializer):
    attempt = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="As the job said when it was taken.")


class HeartbeatSerializer(AttemptSerializer):
    progress = serializers.FloatField(min_value=0, max_value=1, required=False)
    step = serializers.CharField(max_length=200, required=False, allow_blank=True, help_text="What it does now.")


class LineSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=10_000, trim_whitespace=False)
    level = serializers.ChoiceField(LOG_LEVELS, default="info")
    fields = JsonObjectField(max_bytes=MAX_FIELDS_BYTES, required=False)  # type: ignore[assignment]


class LinesSerializer(AttemptSerializer):
    lines = serializers.ListField(child=LineSerializer(), min_length=1, max_length=100)


class ResultSerializer(AttemptSerializer):
    result = JsonObjectField(max_bytes=MAX_RESULT_BYTES, required=False, allow_null=True, help_text="At most 1 MB.")


class FailureSerializer(AttemptSerializer):
    code = serializers.RegexField(r"^[a-z0-9][a-z0-9_]{0,59}$", default="unexpected", help_text="For programs.")
    message = serializers.CharField(max_length=10_000)
    error_class = serializers.CharField(max_length=100, required=False, allow_blank=True)
    traceback = serializers.CharField(max_length=100_000, required=False, allow_blank=True, trim_whitespace=False)
    is_final = serializers.BooleanField(default=False, help_text="Trying again would not help.")
    retry_after_s = serializers.IntegerField(
        min_value=0, max_value=DAY_S, required=False, help_text="When to try again; otherwise the kind's back-off."
    )


class WorkSerializer(JobSerializer):
    """A job as its worker sees it."""

    class Meta(JobSerializer.Meta):
        fields = [*JobSerializer.Meta.fields, "lease_s", "lease_until"]


class LeaseSerializer(serializers.Serializer):
    lease_until = serializers.DateTimeField()
    cancel_requested = serializers.BooleanField(help_text="Somebody asked it to stop: then `release` it.")
    timed_out = serializers.BooleanField(help_text="Its time limit is over, and its lease is not kept any more.")


class OutsideWorkApi(ModelApi):
    """What the organization's own processes call, each time with the `attempt` that they were given."""

    permissions_by_action = dict.fromkeys(
        ("claim", "start", "heartbeat", "write_log", "complete", "fail", "release"), "jobs.work"
    )

    @extend_schema(request=ClaimSerializer, responses={200: WorkSerializer, 204: NOTHING_TO_DO}, filters=False)
    @action(detail=False, methods=["post"])
    def claim(self, request: Request) -> Response:
        """Take the most urgent job of some kinds, at once or as soon as there is one."""
        told = self._told(ClaimSerializer)
        job = outside.claim(told["kinds"], told["worker"], told["lease_s"])
        if job is not None:
            return Response(WorkSerializer(job).data)
        channels = [outside_channel(self.organization.pk, kind) for kind in set(told["kinds"])]
        return Response(status=status.HTTP_204_NO_CONTENT, headers=held_calls.wait(channels, told["wait_s"]))

    @extend_schema(request=StartSerializer, responses={201: WorkSerializer}, filters=False)
    @action(detail=False, methods=["post"])
    def start(self, request: Request) -> Response:
        """A job that runs at once, in the process that asks. When that dies, the job is dead, if not said otherwise."""
        form = StartSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        told = form.validated_data
        job = outside.start(
            told["kind"],
            told.get("input", {}),
            worker=told["worker"],
            lease_s=told["lease_s"],
            by=self.actor,
            label=told.get("name", ""),
            wishes=form.wishes(),
        )
        headers = {"Location": reverse("job-detail", args=[job.pk])}
        return Response(WorkSerializer(job).data, status.HTTP_201_CREATED, headers=headers)

    @extend_schema(request=HeartbeatSerializer, responses=LeaseSerializer)
    @action(detail=True, methods=["post"])
    def heartbeat(self, request: Request, pk: str) -> Response:
        """Keep the lease, tell how far the work is, and hear whether to stop."""
        job, told = self.get_object(), self._told(HeartbeatSerializer)
        job = outside.beat(job.pk, told["attempt"], progress=told.get("progress"), step=told.get("step"))
        lease = {
            "lease_until": job.lease_until,
            "cancel_requested": job.cancel_requested_at is not None,
            "timed_out": job.is_out_of_time,
        }
        return Response(LeaseSerializer(lease).data)

    def write_lines(self, request: Request) -> Response:
        job, told = self.get_object(), self._told(LinesSerializer)
        outside.write_log(job.pk, told["attempt"], [Line(**line) for line in told["lines"]])
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=ResultSerializer, responses=WorkSerializer)
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: str) -> Response:
        """End the job as succeeded, or as cancelled where somebody asked for that meanwhile."""
        job, told = self.get_object(), self._told(ResultSerializer)
        return self._work(outside.complete(job.pk, told["attempt"], told.get("result")))

    @extend_schema(request=FailureSerializer, responses=WorkSerializer)
    @action(detail=True, methods=["post"])
    def fail(self, request: Request, pk: str) -> Response:
        """Tell that the attempt went wrong: it is tried again, or the job ends."""
        job, told = self.get_object(), self._told(FailureSerializer)
        failure = Failure(told["code"], told["message"], told.get("error_class", ""), told.get("traceback", ""))
        after = timedelta(seconds=told["retry_after_s"]) if "retry_after_s" in told else None
        job = outside.fail(job.pk, told["attempt"], failure, is_final=told["is_final"], retry_after=after)
        return self._work(job)

    @extend_schema(request=AttemptSerializer, responses=WorkSerializer)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Stop working: another worker begins the job anew; or it ends, where somebody asked for that."""
        job, told = self.get_object(), self._told(AttemptSerializer)
        return self._work(outside.release(job.pk, told["attempt"]))

    def _told(self, serializer: type[serializers.Serializer]) -> dict[str, Any]:
        form = serializer(data=self.request.data)
        form.is_valid(raise_exception=True)
        told: dict[str, Any] = form.validated_data
        return told

    def _work(self, job: Job) -> Response:
        return Response(WorkSerializer(job).data)
