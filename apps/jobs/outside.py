"""Outside work: an organization's own processes take its jobs and end them, under the same leases and fencing as ours.

An attempt is known by its number. Whoever comes with another one than the current is refused with `AttemptOver`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Least, Now

from apps.core import live, tenancy
from apps.core.actors import Actor
from apps.jobs import errors, kinds, services, submissions
from apps.jobs.enums import OUTSIDE, Status
from apps.jobs.models import Job, JobLogLine, OutsideWorker, Queue
from apps.jobs.services import Failure, Wishes

# A worker that asks more often is not written down each time.
SEEN_EVERY = timedelta(seconds=5)
WORKER_FORGOTTEN_AFTER = timedelta(days=7)


FIRST_READY = """
SELECT best.id
FROM unnest(%s::text[]) AS wanted (kind), LATERAL (
    SELECT id, priority, ready_at FROM jobs_job
    WHERE organization_id = %s AND kind = wanted.kind
        AND queue = 'outside' AND status IN ('pending', 'retrying') AND ready_at IS NOT NULL
    ORDER BY priority DESC, ready_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
) AS best ORDER BY best.priority DESC, best.ready_at, best.id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a job's log."""

    text: str
    level: str = "info"
    fields: dict[str, Any] = field(default_factory=dict)


@transaction.atomic
def claim(names: Collection[str], worker: str, lease_s: int) -> Job | None:
    """The most urgent job of these kinds that is ready, now the worker's until its lease ends; or None.

    Raises `KindNotOutside`.
    """
    _require_outside(names)
    _note(worker, names)
    if Queue.objects.filter(name=OUTSIDE, drained_at__isnull=False).exists():
        return None
    job_id = _first_ready(names)
    return _begin(Job.objects.get(pk=job_id), worker, lease_s) if job_id else None


@transaction.atomic
def start(kind: str, input: dict[str, Any], *, worker: str, lease_s: int, by: Actor, label: str, wishes: Wishes) -> Job:
    """A job that runs at once, in the process that asks. Raises `KindNotOutside`, and as submitting does."""
    _require_outside([kind])
    _note(worker, [])
    return _begin(submissions.submit_open_job(kind, input, by=by, label=label, wishes=wishes), worker, lease_s)


@transaction.atomic
def beat(job_id: UUID, attempt: int, *, progress: float | None = None, step: str | None = None) -> Job:
    """Keep the attempt's lease, though never beyond the job's time limit, and note how far it is.

    Once a stop was asked for, the lease is not kept any more: who goes on loses the job with it. The answer's
    `cancel_requested_at` and `is_out_of_time` tell whether the worker should stop.
    """
    job = _current(job_id, attempt)
    _note_alive(job.worker)
    told = {name: value for name, value in (("progress", progress), ("step", step)) if value is not None}
    lease_end = Least(Now() + timedelta(seconds=job.lease_s or 0), Value(job.time_is_up_at))
    kept = {} if job.cancel_requested_at else {"lease_until": lease_end}
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now(), **kept, **told)
    if told:
        live.publish(f"job:{job.pk}")
    job.refresh_from_db()
    return job


@transaction.atomic
def write_log(job_id: UUID, attempt: int, lines: Sequence[Line]) -> Job:
    """Add lines to the job's log, in their order."""
    job = _current(job_id, attempt)
    JobLogLine.objects.bulk_create(
        [JobLogLine(job=job, attempt=attempt, level=one.level, text=one.text, fields=one.fields) for one in lines]
    )
    live.publish(f"job:{job.pk}")
    return job


@transaction.atomic
def complete(job_id: UUID, attempt: int, result: dict[str, Any] | None) -> Job:
    """End the job as succeeded, or as cancelled where that was asked meanwhile. Doing it again changes nothing."""
    job = _locked(job_id)
    if job.status == Status.SUCCEEDED and job.attempt == attempt:
        return job
    _require_current(job, attempt)
    return services.confirm_cancelled(job) if job.cancel_requested_at else services.succeed(job, result)


@transaction.atomic
def fail(
    job_id: UUID, attempt: int, failure: Failure, *, is_final: bool = False, retry_after: timedelta | None = None
) -> Job:
    """Tell that the attempt went wrong. The job is tried again, after the kind's back-off if not `retry_after`."""
    job = _current(job_id, attempt)
    if is_final and not job.cancel_requested_at:
        return services.fail(job, failure)
    if retry_after is None:
        retry_after = timedelta(seconds=kinds.get(job.kind).backoff.delay_s(attempt))
    return services.retry_later(job, failure, after=retry_after)


@transaction.atomic
def release(job_id: UUID, attempt: int) -> Job:
    """Stop working on the job: it ends where a stop was asked, and otherwise waits for another worker."""
    job = _current(job_id, attempt)
    if job.cancel_requested_at:
        return services.confirm_cancelled(job)
    return services.hand_back(job, f"Given back by {job.worker}")


def _first_ready(names: Collection[str]) -> UUID | None:
    """The next job of these kinds, locked: the first of each is looked up, so that it costs the same among many."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST_READY, [list(names), tenancy.current_tenant_id()])
        found = cursor.fetchone()
    return found and found[0]


def _begin(job: Job, worker: str, lease_s: int) -> Job:
    Job.objects.filter(pk=job.pk).update(
        status=Status.RUNNING,
        attempt=F("attempt") + 1,
        worker=worker,
        reason="",
        progress=0,
        step="",
        lease_s=lease_s,
        lease_until=Now() + timedelta(seconds=min(lease_s, job.time_limit_s)),
        heartbeat_at=Now(),
        started_at=Now(),
    )
    job.refresh_from_db()
    live.publish(f"job:{job.pk}", "jobs")
    return job


def _current(job_id: UUID, attempt: int) -> Job:
    job = _locked(job_id)
    _require_current(job, attempt)
    return job


def _locked(job_id: UUID) -> Job:
    job: Job = Job.objects.select_for_update(no_key=True).get(pk=job_id)
    if not job.is_outside:
        raise errors.KindNotOutside(kind=job.kind)
    return job


def _require_current(job: Job, attempt: int) -> None:
    if job.status != Status.RUNNING or job.attempt != attempt:
        raise errors.AttemptOver(attempt=attempt, status=job.status, current=job.attempt)


def _require_outside(names: Collection[str]) -> None:
    for name in names:
        if kinds.is_ours(name):
            raise errors.KindNotOutside(kind=name)


def _note_alive(worker: str) -> None:
    workers = OutsideWorker.objects.filter(name=worker, last_seen_at__lte=Now() - SEEN_EVERY)
    workers.update(last_seen_at=Now())


def _note(worker: str, names: Collection[str]) -> None:
    """Write down which kinds the worker asks for, and forget workers that were not heard of for long."""
    known = sorted(set(names))
    lately = OutsideWorker.objects.filter(name=worker, last_seen_at__gt=Now() - SEEN_EVERY)
    if any(set(known) <= set(told) for told in lately.values_list("kinds", flat=True)):
        return
    OutsideWorker.objects.bulk_create(
        [OutsideWorker(name=worker, kinds=known)],
        update_conflicts=True,
        unique_fields=["organization", "name"],
        update_fields=["kinds", "last_seen_at"],
    )
    OutsideWorker.objects.filter(last_seen_at__lt=Now() - WORKER_FORGOTTEN_AFTER).delete()
