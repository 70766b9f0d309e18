"""What training does when something below it happens (docs/signals.md)."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.jobs.models import Job
from apps.jobs.signals import job_finished
from apps.training import services
from apps.training.enums import JOB_KIND


@receiver(job_finished)
def close_run(sender: Any, job: Job, **_: Any) -> None:
    if job.kind == JOB_KIND:
        services.close_run(job)
