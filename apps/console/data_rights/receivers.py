"""What lower apps tell the data rights (docs/signals.md)."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.console.data_rights import exports
from apps.jobs.models import Job
from apps.jobs.signals import job_finished


@receiver(job_finished)
def tell_end_of_export(sender: Any, job: Job, **_: Any) -> None:
    if job.kind == exports.KIND:
        exports.tell_end(job)
