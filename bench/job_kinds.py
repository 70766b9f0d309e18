"""The kind of empty work that the benchmark of jobs submits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.jobs.kinds import kind
from bench import job_reports

if TYPE_CHECKING:
    from apps.jobs.running import RunningJob

NAME = "bench.nothing"


@kind(NAME, is_open=True)
def do_nothing(job: RunningJob) -> dict[str, Any]:
    return job_reports.began(job.input["reports"])
