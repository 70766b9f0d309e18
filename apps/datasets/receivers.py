"""What jobs tell datasets (docs/signals.md)."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.datasets import services
from apps.datasets.models import DatasetVersion
from apps.jobs.enums import Status
from apps.jobs.models import Job
from apps.jobs.signals import job_finished

REASONS = {
    Status.FAILED: "{message}",
    Status.CANCELLED: "Reading the file was cancelled. Retry the job, or upload the file again.",
    Status.DEAD: "Reading the file failed {attempts} times on our side. Retry the job; if it stays, tell support.",
}


@receiver(job_finished)
def fail_unread_version(sender: Any, job: Job, **_: Any) -> None:
    """However reading ends, a version does not stay pending."""
    if job.kind != services.INGEST or job.status not in REASONS:
        return
    version = DatasetVersion.objects.filter(pk=job.input["version"], status="pending").first()
    if version is not None:
        reason = REASONS[Status(job.status)].format(message=job.error_message, attempts=job.attempt)
        services.fail_version(version, job.error_code or services.CANCELLED, reason)
