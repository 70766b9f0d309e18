"""The truth about background work. Celery only tells a worker to look here."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import tenancy
from apps.jobs import doorbell
from apps.jobs.enums import DEFAULT_PRIORITY, FINISHED, HIGHEST_PRIORITY, OUTSIDE, RETRYABLE, WAITING, Status
from apps.jobs.querysets import JobQuerySet

# As workers/runner calls its processes.
OUR_WORKER = re.compile(r"(?P<program>\w+)@\S+-(?P<number>\d+|spare):\d+")


def _milliseconds(span: timedelta) -> float:
    return max(span.total_seconds(), 0) * 1000


def plain_name(worker: str) -> str:
    """What customers read of a worker: of ours neither the machine nor the process, of their own what they call it."""
    ours = OUR_WORKER.fullmatch(worker)
    return f"{ours['program']} {ours['number']}" if ours else worker


class Job(tenancy.TenantModel):
    """One piece of work. It belongs to a worker while `lease_until` lies ahead; `attempt` fences off earlier ones.

    Workers see it once `ready_at` is set: its time has come and everything that it `depends_on` has succeeded. Each
    change of its status becomes a row of its history by a trigger, which copies `reason` and `worker`.
    """

    kind = models.CharField(max_length=60)
    queue = models.CharField(max_length=20)
    label = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING)
    reason = models.TextField(blank=True, help_text="Why it is in this status.")
    input = models.JSONField(default=dict)
    result = models.JSONField(null=True)
    progress = models.FloatField(default=0)
    step = models.CharField(max_length=200, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    time_limit_s = models.PositiveIntegerField(default=3600)
    priority = models.PositiveSmallIntegerField(default=DEFAULT_PRIORITY)
    run_at = models.DateTimeField(db_default=Now(), help_text="Not before this moment.")
    ready_at = models.DateTimeField(null=True, help_text="Since when a worker may take it.")
    waits_for = models.PositiveIntegerField(default=0, help_text="How many jobs have to succeed first.")
    doomed_by_id = models.UUIDField(null=True, help_text="The job it waited for that ended otherwise.")
    has_dependents = models.BooleanField(default=False)
    lease_until = models.DateTimeField(null=True)
    lease_s = models.FloatField(null=True, help_text="How long a sign of life from outside counts.")
    heartbeat_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True, help_text="When its last attempt began.")
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    discarded_at = models.DateTimeField(null=True, help_text="When somebody took it out of the dead set.")
    told_at = models.DateTimeField(null=True, help_text="When its end was told to people, webhooks and the ledger.")
    worker = models.CharField(max_length=100, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_class = models.CharField(max_length=100, blank=True)
    error_message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    callback_url = models.URLField(max_length=2000, blank=True)
    subject_type = models.CharField(max_length=60, blank=True)
    subject_id = models.UUIDField(null=True)
    created_by_id = models.UUIDField(null=True)
    created_by_label = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(JobQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(progress__gte=0, progress__lte=1), name="jobs_progress_is_a_share"),
            models.CheckConstraint(condition=Q(priority__lte=HIGHEST_PRIORITY), name="jobs_priority_in_range"),
            models.CheckConstraint(
                condition=~Q(status=Status.RUNNING) | Q(lease_until__isnull=False), name="jobs_running_has_a_lease"
            ),
        ]
        indexes = [
            # Newest first reads the key of (organization, id) backwards.
            models.Index(fields=["organization", "status", "-id"], name="jobs_by_status"),
            models.Index(fields=["organization", "kind", "-id"], name="jobs_by_kind"),
            models.Index(
                fields=["organization", "subject_id"], name="jobs_about", condition=Q(subject_id__isnull=False)
            ),
            models.Index(
                fields=["queue", "organization", "-priority", "ready_at", "id"],
                name="jobs_ready",
                condition=Q(status__in=WAITING, ready_at__isnull=False),
            ),
            models.Index(
                fields=["organization", "kind", "-priority", "ready_at", "id"],
                name="jobs_ready_outside",
                condition=Q(queue=OUTSIDE, status__in=WAITING, ready_at__isnull=False),
            ),
            models.Index(
                fields=["run_at"],
                name="jobs_scheduled",
                condition=Q(status__in=WAITING, ready_at__isnull=True, waits_for=0),
            ),
            models.Index(fields=["organization", "queue"], name="jobs_running", condition=Q(status=Status.RUNNING)),
            models.Index(
                fields=["id"], name="jobs_doomed", condition=Q(status__in=WAITING, doomed_by_id__isnull=False)
            ),
            models.Index(
                fields=["organization", "id"],
                name="jobs_untold",
                condition=Q(status__in=FINISHED, told_at__isnull=True),
            ),
            models.Index(
                fields=["organization", "-id"],
                name="jobs_dead_set",
                condition=Q(status=Status.DEAD, discarded_at__isnull=True),
            ),
            models.Index(
                fields=["organization", "queue", "-finished_at"], name="jobs_ended", condition=Q(status__in=FINISHED)
            ),
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
    def is_outside(self) -> bool:
        """Whether a process of the organization's own does it."""
        return self.queue == OUTSIDE

    @property
    def time_is_up_at(self) -> datetime | None:
        """When its current attempt reaches the time limit."""
        return self.started_at and self.started_at + timedelta(seconds=self.time_limit_s)

    @property
    def is_out_of_time(self) -> bool:
        """Whether its worker was last heard of after its time limit."""
        return bool(self.heartbeat_at and self.time_is_up_at and self.heartbeat_at >= self.time_is_up_at)

    @property
    def bell(self) -> str:
        """What is rung when it becomes ready."""
        return doorbell.bell_of(self.organization_id, self.queue, self.kind)

    @property
    def is_cancelling(self) -> bool:
        return self.status == Status.RUNNING and self.cancel_requested_at is not None

    @property
    def result_text(self) -> str:
        return json.dumps(self.result, indent=2, ensure_ascii=False) if self.result else ""

    @property
    def queue_time_ms(self) -> float | None:
        """How long it stood ready before its last attempt began."""
        return _milliseconds(self.started_at - self.ready_at) if self.started_at and self.ready_at else None

    @property
    def run_time(self) -> timedelta | None:
        """How long its last attempt ran, or has run so far."""
        if self.started_at is None or self.status in WAITING:
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


class JobDependency(tenancy.TenantModel):
    """`job` waits until `needs` has succeeded."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="dependencies")
    needs = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="dependents")

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "job", "needs"], name="jobs_dependency_once"),
        ]
        indexes = [models.Index(fields=["organization", "needs"], name="jobs_dependents")]


class JobTag(tenancy.TenantModel):
    """A row each, because under row-level security a condition on an array cannot use an index."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="tags")
    tag = models.CharField(max_length=50)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["tag"]
        constraints = [models.UniqueConstraint(fields=["organization", "job", "tag"], name="jobs_tag_once")]
        indexes = [models.Index(fields=["organization", "tag", "-job"], name="jobs_by_tag")]

    def __str__(self) -> str:
        return self.tag


class JobTransition(tenancy.TenantModel):
    """One change of a job's status, written by the database in the transaction that changes it."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="transitions")
    status = models.CharField(max_length=12, choices=Status.choices)
    attempt = models.PositiveIntegerField()
    worker = models.CharField(max_length=100, blank=True)
    reason = models.TextField(blank=True)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["id"]
        indexes = [models.Index(fields=["organization", "job", "id"], name="jobs_history")]

    @property
    def worker_name(self) -> str:
        return plain_name(self.worker)


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


class OutsideWorker(tenancy.TenantModel):
    """A process of the organization's own that asked for work, as it called itself."""

    name = models.CharField(max_length=100)
    kinds = models.JSONField(default=list)
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())

    class Meta(tenancy.TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="jobs_outside_worker_once")]
        indexes = [models.Index(fields=["organization", "-last_seen_at"], name="jobs_outside_worker_seen")]

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """One of our processes that run jobs, as it last told of itself. It belongs to no organization."""

    name = models.CharField(max_length=100, primary_key=True)
    queues = models.JSONField(default=list)
    slots = models.PositiveIntegerField()
    busy = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["heartbeat_at"], name="jobs_worker_heard")]

    def __str__(self) -> str:
        return self.name

    @property
    def plain_name(self) -> str:
        return plain_name(self.name)


class Queue(models.Model):
    """One of the queues that the code knows. While it is drained, nothing more is taken from it."""

    name = models.CharField(max_length=20, primary_key=True)
    drained_at = models.DateTimeField(null=True, blank=True)
    drained_because = models.CharField(max_length=200, blank=True)
    drained_by = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name
