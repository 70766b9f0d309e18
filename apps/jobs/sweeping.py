"""The sweeper: returns jobs of silent workers, makes ready what is due, ends what waits in vain, tells of ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models.functions import Now

from apps.core import tenancy
from apps.jobs import dispatch, doorbell, services, telling
from apps.jobs.enums import WAITING, Status
from apps.jobs.errors import JobTimedOut
from apps.jobs.models import Job, Worker
from apps.jobs.services import Failure

log = structlog.get_logger(__name__)

SILENT = Failure("worker_lost", "Its worker died or went silent")
WORKER_FORGOTTEN_AFTER = timedelta(minutes=10)


def sweep() -> dict[str, int]:
    """One round, safe to run in several processes at once. Returns how many jobs each step was about."""
    return {step.__name__: _count(step) for step in (return_lost, promote, end_doomed, telling.tell, forget_workers)}


def _count(step: Callable[[], int]) -> int:
    """One step; its failure does not keep the others from their turn."""
    try:
        return step()
    except (DatabaseError, InterfaceError) as error:
        log.warning("sweep_failed", step=step.__name__, error=str(error))
        connections.close_all()
    # Nobody would sweep any more if a round could end the sweeper.
    except Exception:
        log.exception("sweep_failed", step=step.__name__)
    return 0


def return_lost() -> int:
    """Give jobs whose worker was not heard of to another one."""
    return sum(_each(found, _return_lost) for found in dispatch.expired())


def _return_lost(found: dispatch.Found) -> None:
    rows = Job.objects.select_for_update(skip_locked=True)
    job = rows.filter(pk=found.job_id, attempt=found.attempt, status=Status.RUNNING, lease_until__lt=Now()).first()
    if job is not None:
        _end_lost(job)


def _end_lost(job: Job) -> None:
    # Nobody can end a process elsewhere: its lease is not kept beyond the time limit.
    if job.is_outside and job.lease_until == job.time_is_up_at and not job.cancel_requested_at:
        services.fail(job, Failure.of(JobTimedOut(seconds=job.time_limit_s)))
    else:
        services.retry_later(job, SILENT, after=timedelta(0))


def promote() -> int:
    """Make ready what is due."""
    bells = dispatch.promote()
    if bells:
        doorbell.ring(*bells)
    return len(bells)


def end_doomed() -> int:
    """End what waits for a job that ended badly, and in the next rounds what waits for that."""
    return sum(_each(found, _end_doomed) for found in dispatch.doomed())


def _end_doomed(found: dispatch.Found) -> None:
    rows = Job.objects.select_for_update(skip_locked=True)
    job = rows.filter(pk=found.job_id, status__in=WAITING, doomed_by_id__isnull=False).first()
    if job is not None:
        services.doom(job)


def _each(found: dispatch.Found, act: Callable[[dispatch.Found], None]) -> int:
    try:
        with tenancy.scope(found.organization_id), transaction.atomic():
            act(found)
    # What hears of a job's end may fail in any way; that must not keep the other jobs from their turn.
    except Exception:
        log.exception("job_not_swept", job=str(found.job_id))
    return 1


def forget_workers() -> int:
    """Forget workers that ended without saying so."""
    count, _ = Worker.objects.filter(heartbeat_at__lt=Now() - WORKER_FORGOTTEN_AFTER).delete()
    return count
