"""What jobs tell datasets (docs/signals.md)."""

from __future__ import annotations

from apps.datasets import services
from apps.datasets.models import DatasetVersion
from apps.jobs import kinds
from apps.jobs.enums import Status
from apps.jobs.models import Job

REASONS = {
    Status.FAILED: "{message}",
    Status.CANCELLED: "Reading the file was cancelled. Retry the job, or upload the file again.",
    Status.DEAD: "Reading the file failed {attempts} times on our side. Retry the job; if it stays, tell support.",
}


@kinds.at_end(services.INGEST)
def fail_unread_version(job: Job) -> None:
    """However reading ends, a version does not stay pending."""
    if job.status not in REASONS:
        return
    version = DatasetVersion.objects.filter(pk=job.input["version"], status="pending").first()
    if version is not None:
        reason = REASONS[Status(job.status)].format(message=job.error_message, attempts=job.attempt)
        services.fail_version(version, job.error_code or services.CANCELLED, reason)
