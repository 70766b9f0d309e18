from __future__ import annotations

import json
import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.strict import StrictSerializer
from apps.jobs import callbacks
from apps.jobs.enums import DEFAULT_PRIORITY, HIGHEST_PRIORITY, KIND, MAX_INPUT_BYTES, MAX_TAGS, TAG
from apps.jobs.models import Job, JobLogLine, JobTransition
from apps.jobs.services import Wishes
from apps.notifications.models import Delivery

# Behind an even number of backslashes.
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
WEEK_S = 7 * 24 * 3600
DEPENDENTS_SHOWN = 100


class JsonObjectField(serializers.DictField):
    """An object that PostgreSQL can hold, of so many bytes at most."""

    default_error_messages = {
        "too_large": "It has more than {limit_bytes} bytes. Put the data into a file or a dataset, and name that here.",
        "not_kept": "It has text with U+0000 or half a surrogate pair in it, or a number beyond all bounds.",
    }

    def __init__(self, *, max_bytes: int, **kwargs: Any) -> None:
        self.max_bytes = max_bytes
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value: dict[str, Any] = super().to_internal_value(data)
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            self.fail("not_kept")
        if len(text) > self.max_bytes:
            self.fail("too_large", limit_bytes=self.max_bytes)
        if NUL.search(text):
            self.fail("not_kept")
        return value


class NewJobSerializer(StrictSerializer):
    kind = serializers.RegexField(
        KIND,
        help_text="One of the organization's own, or one of ours that is open.",
        error_messages={"invalid": "Small letters, digits, dots, dashes and underscores, at most 60."},
    )
    name = serializers.CharField(max_length=200, required=False, help_text="What people call it; by default its kind.")
    input = JsonObjectField(max_bytes=MAX_INPUT_BYTES, required=False, help_text="At most 64 KiB.")
    priority = serializers.IntegerField(
        min_value=0, max_value=HIGHEST_PRIORITY, default=DEFAULT_PRIORITY, help_text="A higher one goes first."
    )
    run_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Not before this moment.")
    depends_on = serializers.ListField(
        child=serializers.UUIDField(), max_length=100, required=False, help_text="Jobs that have to succeed first."
    )
    timeout_s = serializers.IntegerField(
        min_value=1,
        max_value=WEEK_S,
        required=False,
        help_text="How long an attempt may run; otherwise the kind says.",
    )
    max_attempts = serializers.IntegerField(min_value=1, max_value=25, required=False)
    tags = serializers.ListField(child=serializers.RegexField(TAG), max_length=MAX_TAGS, required=False)
    callback_url = serializers.CharField(
        max_length=1000, required=False, help_text="Where its end is posted, signed as Standard Webhooks says."
    )

    def wishes(self) -> Wishes:
        told = self.validated_data
        names = ("priority", "run_at", "depends_on", "max_attempts", "tags", "callback_url")
        return Wishes(time_limit_s=told.get("timeout_s"), **{name: told[name] for name in names if name in told})


class DeadSetSerializer(serializers.Serializer):
    """Which of the dead set are meant; without a word, all of them."""

    kind = serializers.CharField(max_length=60, required=False)
    queue = serializers.CharField(max_length=20, required=False)
    tag = serializers.CharField(max_length=50, required=False)
    error_code = serializers.CharField(max_length=60, required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)


class DoneSerializer(serializers.Serializer):
    count = serializers.IntegerField(help_text="How many jobs it was done to.")
    remaining = serializers.IntegerField(help_text="How many are left; call again for those.")


class JobSerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="label", read_only=True)
    timeout_s = serializers.IntegerField(source="time_limit_s", read_only=True)
    tags: Any = serializers.SlugRelatedField("tag", many=True, read_only=True)
    queue_time_ms = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="How long it stood ready before its last attempt began."
    )
    run_time_ms = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="How long its last attempt ran, or has run so far."
    )
    eta_seconds = serializers.SerializerMethodField(help_text="Time left at the pace so far; null when unknown.")

    class Meta:
        model = Job
        fields = [
            "id",
            "kind",
            "queue",
            "name",
            "tags",
            "priority",
            "status",
            "reason",
            "progress",
            "step",
            "eta_seconds",
            "attempt",
            "max_attempts",
            "timeout_s",
            "waits_for",
            "input",
            "result",
            "error_code",
            "error_class",
            "error_message",
            "subject_type",
            "subject_id",
            "created_by_label",
            "created_at",
            "run_at",
            "started_at",
            "finished_at",
            "queue_time_ms",
            "run_time_ms",
            "worker",
            "heartbeat_at",
            "cancel_requested_at",
            "discarded_at",
            "request_id",
        ]

    def get_eta_seconds(self, job: Job) -> float | None:
        return job.eta.total_seconds() if job.eta else None


class JobTransitionSerializer(serializers.ModelSerializer):
    class Meta:
        model = JobTransition
        fields = ["created_at", "status", "attempt", "worker", "reason"]


class JobLinkSerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="label", read_only=True)

    class Meta:
        model = Job
        fields = ["id", "kind", "name", "status"]


class CallbackSerializer(serializers.ModelSerializer):
    """How the end was told: see `/api/v1/webhook-deliveries/{delivery}/`."""

    delivery = serializers.UUIDField(source="id", read_only=True)

    class Meta:
        model = Delivery
        fields = ["delivery", "url", "status", "attempt", "next_attempt_at", "finished_at"]


class JobDetailSerializer(JobSerializer):
    transitions = JobTransitionSerializer(many=True)
    depends_on = serializers.SerializerMethodField(help_text="What it waits for, or waited for.")
    dependents = serializers.SerializerMethodField(help_text=f"What waits for it, the oldest {DEPENDENTS_SHOWN}.")
    callback = serializers.SerializerMethodField(help_text="How its end is told to `callback_url`; null before it is.")

    class Meta(JobSerializer.Meta):
        fields = [
            *JobSerializer.Meta.fields,
            "traceback",
            "transitions",
            "depends_on",
            "dependents",
            "callback_url",
            "callback",
        ]

    @extend_schema_field(JobLinkSerializer(many=True))
    def get_depends_on(self, job: Job) -> Any:
        return JobLinkSerializer(Job.objects.filter(dependents__job=job).order_by("id"), many=True).data

    @extend_schema_field(JobLinkSerializer(many=True))
    def get_dependents(self, job: Job) -> Any:
        found = Job.objects.filter(dependencies__needs=job).order_by("id") if job.has_dependents else []
        return JobLinkSerializer(found[:DEPENDENTS_SHOWN], many=True).data

    @extend_schema_field(CallbackSerializer(allow_null=True))
    def get_callback(self, job: Job) -> Any:
        delivery = callbacks.delivery_of(job) if job.callback_url else None
        return CallbackSerializer(delivery).data if delivery else None


class LogQuerySerializer(serializers.Serializer):
    after = serializers.UUIDField(required=False, help_text="Only lines that were written after this one.")


class JobLogLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = JobLogLine
        fields = ["id", "created_at", "attempt", "level", "text", "fields"]
