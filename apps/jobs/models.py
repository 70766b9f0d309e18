"""The truth about background work. Celery only tells a worker to look here."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import tenancy
from apps.jobs.enums import FINISHED, RETRYABLE, WAITING, Status
from apps.jobs.querysets import JobQuerySet


def _milliseconds(span: timedelta) -> float:
    return max(span.total_seconds(), 0) * 1000


class Job(tenancy.TenantModel):
    """One piece of work. It belongs to a worker while `lease_until` lies ahead; `attempt` fences off earlier ones."""

    kind = models.CharField(max_length=60)
    queue = models.CharField(max_length=20)
    label = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING)
    input = models.JSONField(default=dict)
    result = models.JSONField(null=True)
    progress = models.FloatField(default=0)
    step = models.CharField(max_length=200, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    time_limit_s = models.PositiveIntegerField(default=3600)
    run_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    subject_type = models.CharField(max_length=60, blank=True)
    subject_id = models.UUIDField(null=True)
    created_by_id = models.UUIDField(null=True)
    created_by_label = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(JobQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(progress__gte=0, progress__lte=1), name="jobs_progress_is_a_share"),
            models.CheckConstraint(
                condition=~Q(status=Status.RUNNING) | Q(lease_until__isnull=False), name="jobs_running_has_a_lease"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="jobs_newest"),
            models.Index(fields=["organization", "status", "-id"], name="jobs_by_status"),
            models.Index(fields=["organization", "subject_id"], name="jobs_by_subject"),
            models.Index(fields=["queue", "run_at", "id"], name="jobs_waiting", condition=Q(status__in=WAITING)),
            models.Index(fields=["lease_until"], name="jobs_leased", condition=Q(status=Status.RUNNING)),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def is_retryable(self) -> bool:
        return self.status in RETRYABLE

    @property
    def is_cancelling(self) -> bool:
        return self.status == Status.RUNNING and self.cancel_requested_at is not None

    @property
    def result_text(self) -> str:
        return json.dumps(self.result, indent=2, ensure_ascii=False) if self.result else ""

    @property
    def queue_time_ms(self) -> float | None:
        return _milliseconds(self.started_at - self.run_at) if self.started_at else None

    @property
    def run_time(self) -> timedelta | None:
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at

    @property
    def run_time_ms(self) -> float | None:
        return _milliseconds(self.run_time) if self.run_time else None

    @property
    def eta(self) -> timedelta | None:
        """Time left if it goes on at the pace it had so far."""
        if self.status != Status.RUNNING or self.progress < 0.02 or self.run_time is None:
            return None
        return self.run_time * (1 / self.progress - 1)


class JobTransition(tenancy.TenantModel):
    """One change of a job's status."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="transitions")
    status = models.CharField(max_length=12, choices=Status.choices)
    attempt = models.PositiveIntegerField()
    worker = models.CharField(max_length=100, blank=True)
    reason = models.TextField(blank=True)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["id"]
        indexes = [models.Index(fields=["organization", "job", "id"], name="jobs_history")]


class JobLogLine(tenancy.TenantModel):
    """One line that a job's handler wrote."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="log_lines")
    attempt = models.PositiveIntegerField()
    level = models.CharField(max_length=10, default="info")
    text = models.TextField()
    fields = models.JSONField(default=dict)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["id"]
        indexes = [models.Index(fields=["organization", "job", "id"], name="jobs_log")]
