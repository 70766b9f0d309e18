"""What can be done with a job. The database writes each change of status into its history, with its reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Least, Now

from apps.audit import services as audit
from apps.core import live
from apps.core.actors import Actor
from apps.core.errors import DomainError
from apps.core.tenancy import current_tenant_id
from apps.jobs import dispatch, doorbell, errors, kinds, telling
from apps.jobs.dispatch import Claim
from apps.jobs.enums import DEFAULT_PRIORITY, FINISHED, RETRYABLE, WAITING, Status
from apps.jobs.models import Job, JobDependency, JobTag


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a submitter may ask for; None leaves it to the kind. A higher `priority` (0 to 9) goes first."""

    priority: int = DEFAULT_PRIORITY
    run_at: datetime | None = None
    depends_on: Collection[UUID] = ()
    time_limit_s: int | None = None
    max_attempts: int | None = None
    tags: Collection[str] = ()
    callback_url: str = ""


def submit_job(
    kind: str,
    input: dict[str, Any],
    *,
    by: Actor,
    label: str,
    subject: models.Model | None = None,
    wishes: Wishes = Wishes(),
) -> Job:
    """Accept work. Once this commits, the job reaches exactly one end, whatever dies meanwhile.

    Raises `DependencyUnknown`, `DependencyEndedBadly`.
    """
    # A single row is a transaction by itself, in one message to the database.
    with transaction.atomic() if wishes.depends_on or wishes.tags else nullcontext():
        return _submitted(kind, input, by=by, label=label, subject=subject, wishes=wishes)


def _submitted(
    kind: str, input: dict[str, Any], *, by: Actor, label: str, subject: models.Model | None, wishes: Wishes
) -> Job:
    definition, needed = kinds.get(kind), _needed(wishes.depends_on)
    waits_for = sum(not job.is_finished for job in needed)
    is_ready = wishes.run_at is None and not waits_for
    job = Job(
        kind=kind,
        queue=definition.queue,
        label=label[:200],
        reason=f"Submitted by {by.label}",
        input=input,
        max_attempts=wishes.max_attempts or definition.max_attempts,
        time_limit_s=wishes.time_limit_s or definition.time_limit_s,
        priority=wishes.priority,
        waits_for=waits_for,
        callback_url=wishes.callback_url,
        **_origin(by, subject),
    )
    Job.objects.insert(job, run_at=wishes.run_at, is_ready=is_ready)
    _wait_for(job, needed)
    _tag(job, wishes.tags)
    if is_ready:
        doorbell.ring_on_commit(job.bell)
    _publish(job)
    return job


def _origin(by: Actor, subject: models.Model | None) -> dict[str, Any]:
    """Who asked for it, and what it is about."""
    about = {"subject_type": subject._meta.model_name or "", "subject_id": subject.pk} if subject else {}
    return {**about, "created_by_id": by.id, "created_by_label": by.label[:200], "request_id": by.request_id}


def _needed(ids: Collection[UUID]) -> list[Job]:
    """The jobs to wait for, locked so that none of them ends unseen."""
    if not ids:
        return []
    found = _locked_of(ids)
    if missing := set(ids) - {job.pk for job in found}:
        raise errors.DependencyUnknown(field="depends_on", missing=min(missing))
    _require_hope(found)
    return found


def _locked_of(ids: Iterable[UUID]) -> list[Job]:
    """Older jobs first, as everybody locks them: what is waited for is older than what waits for it."""
    return list(Job.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("id"))


def _require_hope(needed: list[Job]) -> None:
    for job in needed:
        if job.is_retryable:
            raise errors.DependencyEndedBadly(field="depends_on", label=job.label, id=job.pk, status=job.status)


def _wait_for(job: Job, needed: list[Job]) -> None:
    if needed:
        JobDependency.objects.bulk_create([JobDependency(job=job, needs=one) for one in needed])
        Job.objects.filter(pk__in=[one.pk for one in needed]).update(has_dependents=True)


def _tag(job: Job, tags: Collection[str]) -> None:
    if tags:
        JobTag.objects.bulk_create([JobTag(job=job, tag=tag) for tag in sorted(set(tags))])


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
        Job.objects.filter(pk=job.pk).update(cancel_requested_at=Now(), reason=f"Cancelled by {by.label}")
        job.refresh_from_db()
        _publish(job)
    return job


@transaction.atomic
def retry_job(job: Job, *, by: Actor) -> Job:
    """Run a job that ended badly once more, with as many attempts as its kind gives, or fewer if it had fewer.

    Jobs that ended only because they waited for it wait for it again. Raises `JobNotRetryable`,
    `DependencyEndedBadly`.
    """
    needed = _locked_of(job.dependencies.values_list("needs_id", flat=True))
    job = _locked(job)
    if not job.is_retryable:
        raise errors.JobNotRetryable(status=job.status)
    _require_hope(needed)
    audit.record(by, "job.retried", job, {"status": job.status})
    revive([job.pk], f"Retried by {by.label}")
    job.refresh_from_db()
    return job


def revive(ids: list[UUID], reason: str) -> None:
    """Put locked jobs that ended badly back at the beginning, and with them those that ended because of that."""
    while ids:
        telling.tell_before_more(ids)
        _put_to_the_beginning(ids, reason)
        ended = Job.objects.select_for_update().filter(_ended_because_of(ids)).order_by("id")
        ids = _with_hope(list(ended.values_list("pk", flat=True)))


def _ended_because_of(ids: list[UUID]) -> Q:
    waits_doomed = Q(status__in=WAITING)
    return Q(doomed_by_id__in=ids) & (waits_doomed | Q(status__in=FINISHED, error_code=errors.DependencyFailed.code))


def _with_hope(ids: list[UUID]) -> list[UUID]:
    """Those of the locked jobs that need nothing else that ended badly. The others are put back with that."""
    bad = JobDependency.objects.filter(job=OuterRef("pk"), needs__status__in=RETRYABLE).order_by().values("needs_id")
    rows = Job.objects.filter(pk__in=ids)
    rows.filter(Exists(bad)).update(doomed_by_id=Subquery(bad[:1]))
    return list(rows.filter(~Exists(bad)).values_list("pk", flat=True))


AFRESH: dict[str, Any] = {
    "status": Status.PENDING,
    "progress": 0,
    "step": "",
    **dict.fromkeys(["worker", "error_code", "error_class", "error_message", "traceback"], ""),
    **dict.fromkeys(["finished_at", "cancel_requested_at", "started_at", "told_at", "discarded_at"]),
    "doomed_by_id": None,
    "run_at": Now(),
}


def _put_to_the_beginning(ids: list[UUID], reason: str) -> None:
    """They wait for what they need that has not succeeded, whatever became of it meanwhile."""
    rows = Job.objects.filter(pk__in=ids)
    unmet = JobDependency.objects.filter(job=OuterRef("pk")).exclude(needs__status=Status.SUCCEEDED)
    number = unmet.order_by().values("job").annotate(number=Count("pk")).values("number")
    ready, waiting = rows.filter(~Exists(unmet)), rows.filter(Exists(unmet))
    bells = {doorbell.bell_of(current_tenant_id(), *one) for one in ready.values_list("queue", "kind").distinct()}
    for kind in rows.values_list("kind", flat=True).distinct():
        attempts = F("attempt") + Least(F("max_attempts"), kinds.get(kind).max_attempts)
        afresh = {**AFRESH, "reason": reason, "max_attempts": attempts}
        ready.filter(kind=kind).update(**afresh, waits_for=0, ready_at=Now())
        waiting.filter(kind=kind).update(**afresh, waits_for=Subquery(number), ready_at=None)
    doorbell.ring_on_commit(*bells)
    live.publish("jobs", *(f"job:{one}" for one in ids))


@transaction.atomic
def discard_job(job: Job, *, by: Actor) -> Job:
    """Take a job out of the dead set; it stays in the list of jobs. Raises `JobNotDead`."""
    job = _locked(job)
    if job.status != Status.DEAD or job.discarded_at:
        raise errors.JobNotDead(status="discarded already" if job.discarded_at else job.status)
    audit.record(by, "job.discarded", job)
    Job.objects.filter(pk=job.pk).update(discarded_at=Now())
    job.refresh_from_db()
    _publish(job)
    return job


def succeed(job: Job, result: dict[str, Any] | None) -> Job:
    job.result, job.progress, job.step = result, 1, ""
    job.error_code = job.error_class = job.error_message = job.traceback = ""
    return _finish(job, Status.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in an attempt: a code for programs, the class of the error, words, and where it happened."""

    code: str
    message: str
    error_class: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, refusal: DomainError) -> Failure:
        """What a refusal says by itself."""
        return cls(refusal.code, refusal.message, type(refusal).__name__)

    def write_to(self, job: Job) -> None:
        job.error_code, job.error_message = self.code, self.message
        job.error_class, job.traceback = self.error_class[:100], self.traceback


def fail(job: Job, failure: Failure) -> Job:
    """End a job that trying again would not help."""
    failure.write_to(job)
    return _finish(job, Status.FAILED, reason=failure.message)


def confirm_cancelled(job: Job, how: str = "") -> Job:
    """End a job that was asked to stop; its reason says already who asked."""
    return _finish(job, Status.CANCELLED, reason=". ".join(filter(None, [job.reason, how])))


def retry_later(job: Job, failure: Failure, *, after: timedelta) -> Job:
    """Put an attempt that went wrong back into the queue, or end the job when it has had all of them."""
    failure.write_to(job)
    if job.cancel_requested_at:
        return confirm_cancelled(job, failure.message)
    if job.attempt >= job.max_attempts:
        tries = "1 attempt" if job.attempt == 1 else f"{job.attempt} attempts"
        return _finish(job, Status.DEAD, reason=f"Gave up after {tries}: {failure.message}")
    return _put_back(job, failure.message, after)


def hand_back(job: Job, reason: str) -> Job:
    """Give a job to another worker, unless somebody asked for it to stop. The attempt is not held against it."""
    if job.cancel_requested_at:
        return confirm_cancelled(job, reason)
    job.max_attempts += 1
    return _put_back(job, reason, timedelta(0))


@transaction.atomic
def give_back(job: Job, *, by: Actor) -> Job:
    """Take a running job from its worker at once; what that one still writes is refused. Raises `JobNotRunning`."""
    job = _locked(job)
    if job.status != Status.RUNNING:
        raise errors.JobNotRunning(status=job.status)
    audit.record(by, "job.given_back", job, {"worker": job.worker, "attempt": job.attempt})
    return hand_back(job, f"Taken from its worker by {by.label}")


def _put_back(job: Job, reason: str, after: timedelta) -> Job:
    job.status, job.reason, job.lease_until, job.worker = Status.RETRYING, reason, None, ""
    job.run_at = Now() + after
    job.ready_at = None if after else Now()
    job.save()
    job.refresh_from_db()
    _publish(job)
    if not after:
        doorbell.ring_on_commit(job.bell)
    return job


def _locked(job: Job) -> Job:
    return Job.objects.select_for_update().get(pk=job.pk)


def _finish(job: Job, status: str, reason: str = "") -> Job:
    job.status, job.reason, job.lease_until, job.finished_at = status, reason, None, Now()
    job.save()
    job.refresh_from_db()
    if job.has_dependents:
        doorbell.ring_on_commit(*dispatch.settle(job.pk))
    for receive in kinds.receivers_of_end(job.kind):
        receive(job)
    _publish(job)
    return job


def doom(job: Job) -> Job:
    """End a job that waits for one that ended badly."""
    needed = Job.objects.get(pk=job.doomed_by_id)
    return fail(job, Failure.of(errors.DependencyFailed(label=needed.label, id=needed.pk, status=needed.status)))


def _publish(job: Job) -> None:
    live.publish(f"job:{job.pk}", "jobs")


def write_progress(claim: Claim, share: float, step: str) -> bool:
    """Note how far an attempt is; False when it is no longer the current one."""
    written = Job.objects.held_by(claim).update(progress=share, step=step[:200])
    live.publish(f"job:{claim.job_id}")
    return bool(written)
