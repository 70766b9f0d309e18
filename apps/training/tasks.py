"""The job that is a run. What learns is imported when it is needed: the web process never loads it."""

from __future__ import annotations

from apps.jobs import kinds
from apps.jobs.running import RunningJob
from apps.training.enums import JOB_KIND


@kinds.kind(
    JOB_KIND,
    queue="training",
    time_limit_s=3600,
    max_attempts=3,
    tells_its_own_end=True,
    started_by="POST /api/v1/training-runs/",
)
def run_training(job: RunningJob) -> None:
    from apps.training import execution

    execution.execute(job)
