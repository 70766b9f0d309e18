from __future__ import annotations

from typing import Any

from apps.jobs.kinds import kind
from apps.jobs.running import RunningJob


@kind(
    "datasets.ingest",
    queue="data",
    time_limit_s=3600,
    max_attempts=3,
    tells_its_own_end=True,
    started_by="POST /api/v1/datasets/",
)
def ingest_version(job: RunningJob) -> dict[str, Any]:
    from apps.datasets import ingestion

    return ingestion.ingest(job)
