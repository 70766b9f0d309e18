"""A worker of the test's own: takes jobs and runs them, in the tests' process."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.core import tenancy
from apps.jobs import running, services, telling
from apps.jobs.dispatch import Claim, Taker
from apps.jobs.models import Job
from apps.jobs.services import Failure


def take(queue: str = "default", worker: str = "worker-1") -> Claim | None:
    with tenancy.no_scope():
        return Taker([queue], worker).claim()


def claim_of(job: Job, attempt: int) -> Claim:
    """What a worker was given that took this attempt of the job."""
    of_job = (job.pk, job.organization_id, attempt, job.kind, job.input, job.time_limit_s, job.request_id)
    return Claim(*of_job, job.worker)


def run(claim: Claim) -> None:
    with tenancy.no_scope():
        running.execute(claim)


def run_next(queue: str = "default") -> Claim:
    claim = take(queue)
    assert claim is not None, f"nothing to do in {queue}"
    run(claim)
    return claim


def run_all(queue: str) -> int:
    """Run what waits in the queue; how many jobs that were.

    Tests switch the heartbeat off: it has a connection of its own, which cannot see what a test has not committed.
    """
    count = 0
    while claim := take(queue):
        run(claim)
        count += 1
    return count


def fail(job: Job, message: str, code: str = "broken") -> Job:
    """End a job badly, and tell of it."""
    services.fail(job, Failure(code, message))
    telling.tell()
    return job


def work_outside(job: Job) -> None:
    """Let a process of the organization's own be at the job's first attempt."""
    soon = timezone.now() + timedelta(minutes=1)
    Job.objects.filter(pk=job.pk).update(
        queue="outside", kind="nightly", status="running", attempt=1, lease_s=30, started_at=soon, lease_until=soon
    )
