"""The same empty work as a bare Celery task, in another database of the same Redis."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from bench import job_reports

URL = os.environ.get("REDIS_URL", "").rpartition("/")[0] + "/1"
app = Celery("bare", broker=URL, backend=URL)


@app.task(name="bench.nothing")
def do_nothing(reports: bool) -> dict[str, Any]:
    return job_reports.began(reports)
