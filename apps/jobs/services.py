"""What can be done with a job. Every change of status is a row of its history, in one transaction with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models.functions import Now

from apps.audit import services as audit
from apps.core import live
from apps.core.actors import Actor
from apps.jobs import doorbell, errors, kinds
from apps.jobs.enums import END_EVENTS, WAITING, Status
from apps.jobs.models import Job, JobTransition
from apps.jobs.signals import job_finished
from apps.notifications import services as notifications


@transaction.atomic
def submit_job(kind: str, input: dict[str, Any], *, by: Actor, label: str, subject: models.Model | None = None) -> Job:
    """Accept work. Once this commits, the job reaches exactly one end, whatever dies meanwhile."""
    definition = kinds.get(kind)
    job = Job.objects.create(
        kind=kind,
        queue=definition.queue,
        label=label[:200],
        input=input,
        max_attempts=definition.max_attempts,
        time_limit_s=definition.time_limit_s,
        subject_type=subject._meta.model_name or "" if subject else "",
        subject_id=subject.pk if subject else None,
        created_by_id=by.id,
        created_by_label=by.label[:200],
        request_id=by.request_id,
    )
    _record(job, reason=f"Submitted by {by.label}")
    doorbell.ring_on_commit(job.queue)
    return job


@transaction.atomic
def cancel_job(job: Job, *, by: Actor) -> Job:
    """Stop a waiting job at once; ask a running one to stop at its next step. Raises `JobAlreadyFinished`."""
    job = _locked(job)
    if job.is_finished:
        raise errors.JobAlreadyFinished(status=job.status)
    audit.record(by, "job.cancelled", job, {"status": job.status})
    if job.status in WAITING:
        return _finish(job, Status.CANCELLED, reason=f"Cancelled by {by.label}")
    if job.cancel_requested_at is None:
        Job.objects.filter(pk=job.pk).update(cancel_requested_at=Now())
        job.refresh_from_db()
        _publish(job)
    return job


@transaction.atomic
def retry_job(job: Job, *, by: Actor) -> Job:
    """Run a job that ended badly once more, with as many attempts as its kind allows. Raises `JobNotRetryable`."""
    job = _locked(job)
    if not job.is_retryable:
        raise errors.JobNotRetryable(status=job.status)
    audit.record(by, "job.retried", job, {"status": job.status})
    job.status, job.progress, job.step = Status.PENDING, 0, ""
    job.error_code = job.error_message = job.traceback = ""
    job.finished_at = job.cancel_requested_at = job.started_at = None
    job.max_attempts = job.attempt + kinds.get(job.kind).max_attempts
    job.run_at = Now()
    job.save()
    job.refresh_from_db()
    _record(job, reason=f"Retried by {by.label}")
    doorbell.ring_on_commit(job.queue)
    return job


def succeed(job: Job, result: dict[str, Any] | None) -> Job:
    job.result, job.progress, job.step = result, 1, ""
    return _finish(job, Status.SUCCEEDED)


def fail(job: Job, code: str, message: str, traceback: str = "") -> Job:
    """End a job that trying again would not help."""
    job.error_code, job.error_message, job.traceback = code, message, traceback
    return _finish(job, Status.FAILED, reason=message)


def confirm_cancelled(job: Job) -> Job:
    return _finish(job, Status.CANCELLED, reason="Stopped at its next step, as asked")


def retry_later(job: Job, code: str, message: str, *, after: timedelta, traceback: str = "") -> Job:
    """Put an attempt that went wrong back into the queue, or end the job when it has had all of them."""
    job.error_code, job.error_message, job.traceback = code, message, traceback
    if job.cancel_requested_at:
        return _finish(job, Status.CANCELLED, reason=message)
    if job.attempt >= job.max_attempts:
        return _finish(job, Status.DEAD, reason=f"Gave up after {job.attempt} attempts: {message}")
    job.status, job.lease_until, job.worker = Status.RETRYING, None, ""
    job.run_at = Now() + after
    job.save()
    job.refresh_from_db()
    _record(job, reason=message)
    doorbell.ring_on_commit(job.queue)
    return job


def _locked(job: Job) -> Job:
    return Job.objects.select_for_update().get(pk=job.pk)


def _finish(job: Job, status: str, reason: str = "") -> Job:
    worker = job.worker
    job.status, job.lease_until, job.finished_at = status, None, Now()
    job.save()
    job.refresh_from_db()
    _record(job, reason=reason, worker=worker)
    job_finished.send(sender=Job, job=job)
    _tell_end(job)
    return job


def _tell_end(job: Job) -> None:
    """Webhooks hear of every job's end, its person of those that have no event of their own."""
    data = {"name": job.label, "kind": job.kind, "status": job.status}
    failure = {"error_code": job.error_code, "error_message": job.error_message}
    to = [] if kinds.tells_its_own_end(job.kind) else [job.created_by_id]
    notifications.notify(END_EVENTS[Status(job.status)], job, {**data, **failure}, to=to)


def _record(job: Job, reason: str = "", worker: str = "") -> None:
    JobTransition.objects.create(job=job, status=job.status, attempt=job.attempt, worker=worker, reason=reason)
    _publish(job)


def _publish(job: Job) -> None:
    live.publish(f"job:{job.pk}")
    live.publish("jobs")


def write_progress(job_id: Any, attempt: int, share: float, step: str) -> bool:
    """Note how far an attempt is; False when it is no longer the current one."""
    rows = Job.objects.filter(pk=job_id, attempt=attempt, status=Status.RUNNING)
    written = rows.update(progress=share, step=step[:200])
    live.publish(f"job:{job_id}")
    return bool(written)


def extend_lease(job_id: Any, attempt: int, seconds: float) -> tuple[bool, bool]:
    """Keep an attempt's lease. Returns (still ours, asked to stop)."""
    rows = Job.objects.filter(pk=job_id, attempt=attempt, status=Status.RUNNING, lease_until__gt=Now())
    if not rows.update(lease_until=Now() + timedelta(seconds=seconds), heartbeat_at=Now()):
        return False, False
    return True, rows.filter(cancel_requested_at__isnull=False).exists()
