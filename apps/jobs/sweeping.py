"""The sweeper: returns jobs of workers that went silent, and rings again for work that nobody took."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models.functions import Now

from apps.core import tenancy
from apps.jobs import dispatch, doorbell, services
from apps.jobs.enums import Status
from apps.jobs.models import Job

log = structlog.get_logger(__name__)

SILENT = "The worker went silent; its lease ran out"


def sweep() -> int:
    """Safe to run in several processes at once. Returns how many leases had expired."""
    claims = dispatch.expired()
    for claim in claims:
        try:
            _return(claim)
        # What hears of a job's end may fail in any way; that must not keep the other jobs from being returned.
        except Exception:
            log.exception("job_not_returned", job=str(claim.job_id))
    for queue in dispatch.due_queues():
        doorbell.ring(queue)
    return len(claims)


def _return(claim: dispatch.Claim) -> None:
    with tenancy.scope(claim.organization_id), transaction.atomic():
        rows = Job.objects.select_for_update(skip_locked=True)
        job = rows.filter(pk=claim.job_id, attempt=claim.attempt, status=Status.RUNNING, lease_until__lt=Now()).first()
        if job is not None:
            services.retry_later(job, "worker_lost", SILENT, after=timedelta(0))
