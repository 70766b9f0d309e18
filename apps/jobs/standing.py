"""What a job that waits is waiting for, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from apps.core.formatting import format_count
from apps.jobs.enums import OUTSIDE, WAITING, Status
from apps.jobs.models import Job, OutsideWorker, Queue
from apps.jobs.queues import SHOWN_FOR
from apps.organizations.models import Organization
from apps.organizations.plans import PLANS

OWN_PROCESS = "one of your own processes"
OWN_PROCESS_ABSENT = f"{OWN_PROCESS}, and none asked for this kind within a day"


@dataclass(frozen=True, slots=True)
class Load:
    """How much of an organization's work our workers do now, and what keeps them from more.

    `asked_for`: the kinds that processes of its own asked for lately.
    """

    running: int
    limit: int
    drained: frozenset[str]
    asked_for: frozenset[str]

    @property
    def is_full(self) -> bool:
        return self.running >= self.limit


@dataclass(frozen=True, slots=True)
class Standing:
    """`text`, and for what happens at a moment that moment."""

    text: str
    at: datetime | None = None


def load_of(organization: Organization) -> Load:
    running = Job.objects.filter(status=Status.RUNNING).exclude(queue=OUTSIDE).count()
    drained = Queue.objects.filter(drained_at__isnull=False).values_list("name", flat=True)
    lately = OutsideWorker.objects.filter(last_seen_at__gte=timezone.now() - SHOWN_FOR)
    asked_for = frozenset(kind for kinds in lately.values_list("kinds", flat=True) for kind in kinds)
    return Load(running, PLANS[organization.plan].jobs_at_once, frozenset(drained), asked_for)


def standing_of(job: Job, load: Load) -> Standing | None:
    """None for a job that does not wait."""
    if job.status not in WAITING:
        return None
    if job.doomed_by_id:
        return Standing("Ends: one that it waits for did not succeed")
    if job.waits_for:
        return Standing(f"Waits for {format_count(job.waits_for)} {'job' if job.waits_for == 1 else 'jobs'}")
    if job.ready_at is None:
        return _until(job)
    return Standing(_waits_ready(job, load))


def _until(job: Job) -> Standing:
    if job.run_at <= timezone.now():
        return Standing("Due now")
    return Standing("Tried again" if job.status == Status.RETRYING else "Starts", job.run_at)


def _waits_ready(job: Job, load: Load) -> str:
    if job.queue in load.drained:
        return "Held back: its queue is stopped for maintenance"
    if job.is_outside:
        return f"Waits for {OWN_PROCESS if job.kind in load.asked_for else OWN_PROCESS_ABSENT}"
    if load.is_full:
        return f"Waits for a free slot: {format_count(load.running)} of {format_count(load.limit)} are running"
    return "Waits for a worker"
