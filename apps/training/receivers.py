"""What training does when something below it happens (docs/signals.md)."""

from __future__ import annotations

from apps.jobs import kinds
from apps.jobs.models import Job
from apps.training import services
from apps.training.enums import JOB_KIND


@kinds.at_end(JOB_KIND)
def close_run(job: Job) -> None:
    services.close_run(job)
