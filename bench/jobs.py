"""Jobs beside bare Celery: submitting, doing and starting empty work, on the same Redis, in one run.

Both have as many processes and keep results. Ours are rows in a PostgreSQL that waits for its disk, with a history and
a sweeper that tells each end; Celery's are messages in Redis. Rounds take turns; a ratio is the median of theirs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.report import Row
from workers.supervisor.testing import run_with_services

PEER = "bare Celery"


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as folder:
        figures = Path(folder) / "figures.json"
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings.development", "JOB_KIND_MODULES": "bench.job_kinds"}
        code = run_with_services([sys.executable, "-m", "bench.job_load", str(figures)], is_durable=True)
        assert code == 0, "the benchmark did not end well"
        rounds = json.loads(figures.read_text())
    return [
        _row(rounds, "submit", "submit_per_s", "jobs/s", None),
        _row(rounds, "complete", "complete_per_s", "jobs/s", 1.0),
        _row(rounds, "CPU", "cpu_ms", "ms/job", None),
        _row(rounds, "idle, submit to start, p50", "idle_p50_ms", "ms", 1.5),
        _row(rounds, "idle, submit to start, p95", "idle_p95_ms", "ms", None),
    ]


def _row(rounds: list[dict[str, dict[str, float]]], what: str, key: str, unit: str, bar: float | None) -> Row:
    ours, peers = ([one[side][key] for one in rounds] for side in ("ours", "celery"))
    ratio = median(value / peer for value, peer in zip(ours, peers, strict=True))
    is_rate = unit.endswith("/s")
    met = None if bar is None else ratio >= bar if is_rate else ratio <= bar
    limit = "" if bar is None else f"{'>=' if is_rate else '<='} {bar}"
    return Row(what, median(ours), unit, PEER, median(peers), ratio, limit, met)
