"""Telling of jobs' ends, a moment after them: the ledger, people, webhooks and callbacks, each exactly once.

What ended is told in the transaction that marks it as told, so that a process may die anywhere in between.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from apps.core import live, tenancy
from apps.jobs import callbacks, dispatch, kinds
from apps.jobs.enums import END_EVENTS, FINISHED, Status
from apps.jobs.models import Job
from apps.notifications import services as notifications
from apps.usage.meters import JOB_MS

log = structlog.get_logger(__name__)

BATCH = 500

# Each job's history is read by its index, whatever the planner thinks of the rest.
METER = """
INSERT INTO usage_usageevent (id, organization_id, created_at, meter, quantity, occurred_at, dimensions)
SELECT usage_derived_id(span.until, span.id::text), %s, statement_timestamp(), %s,
    greatest(0, round(extract(epoch FROM span.until - span.created_at) * 1000)), span.until,
    jsonb_build_object('kind', ended.kind, 'job', ended.job_id)
FROM unnest(%s::uuid[], %s::text[]) AS ended (job_id, kind), LATERAL (
    SELECT id, created_at, status, lead(created_at) OVER (ORDER BY id) AS until FROM jobs_jobtransition
    WHERE organization_id = %s AND job_id = ended.job_id
) AS span
WHERE span.status = 'running' AND span.until IS NOT NULL
ON CONFLICT DO NOTHING
"""


def tell() -> int:
    """Tell of the ends that nobody was told of. Safe to run in several processes at once. Returns how many."""
    return sum(_try_to_tell(organization_id) for organization_id in dispatch.untold())


def _try_to_tell(organization_id: UUID) -> int:
    try:
        return _tell_of(organization_id)
    except (OperationalError, InterfaceError):
        raise
    # What cannot be told to one organization must not keep the others from hearing of theirs.
    except Exception:
        log.exception("ends_not_told", organization=str(organization_id))
        return 0


def _tell_of(organization_id: UUID) -> int:
    with tenancy.scope(organization_id), transaction.atomic():
        rows = Job.objects.select_for_update(skip_locked=True, no_key=True)
        jobs = list(rows.filter(status__in=FINISHED, told_at__isnull=True).order_by("id")[:BATCH])
        _tell(jobs)
    return len(jobs)


def tell_before_more(ids: Collection[UUID]) -> None:
    """Tell of those of these locked jobs whose end nobody was told of yet, because they are about to begin anew."""
    _tell(list(Job.objects.filter(pk__in=ids, status__in=FINISHED, told_at__isnull=True).order_by("id")))


def _tell(jobs: list[Job]) -> None:
    if jobs:
        _meter(jobs)
        ends = [(job, _told(job)) for job in jobs]
        _notify(ends)
        callbacks.call_back(ends)
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(told_at=Now())


def _meter(jobs: list[Job]) -> None:
    """Count what each attempt ran on our workers. Its row of the history gives the event its id."""
    tenant, ours = tenancy.current_tenant_id(), [job for job in jobs if not job.is_outside]
    with connection.cursor() as cursor:
        cursor.execute(METER, [tenant, JOB_MS.name, [job.pk for job in ours], [job.kind for job in ours], tenant])
    live.publish("usage")


def _notify(ends: list[tuple[Job, dict[str, Any]]]) -> None:
    """Webhooks hear of every end, the person who submitted of those that have no event of their own."""
    notifications.notify_all([_happening(job, told) for job, told in ends])


def _happening(job: Job, told: dict[str, Any]) -> notifications.Happening:
    event = END_EVENTS[Status(job.status)]
    if kinds.get(job.kind).tells_its_own_end:
        return notifications.happening(event, job, told, to=[], but=job.created_by_id)
    return notifications.happening(event, job, told, to=[job.created_by_id])


def _told(job: Job) -> dict[str, Any]:
    data = {"name": job.label, "kind": job.kind, "status": job.status}
    return {**data, "reason": job.reason, "error_code": job.error_code, "error_message": job.error_message}
