"""Webhooks from the commit to the endpoint, and what is left of them when workers are killed.

A private PostgreSQL and Valkey, one real worker process, and receivers of their own. Rounds with and without dead
endpoints take turns, and a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench.report import Row
from workers.supervisor.testing import run_with_services

ALONE = "no dead endpoints"
BESIDE = "10 dead endpoints beside"


def run() -> list[Row]:
    rounds = _asked("rates")
    return [
        _row(rounds, "deliveries a second", "per_second", "/s"),
        _row(rounds, "commit to request, p50", "p50_ms", "ms"),
        _row(rounds, "commit to request, p95", "p95_ms", "ms"),
    ]


def run_kills() -> list[Row]:
    """200 deliveries while their worker is killed over and over: none may be missing."""
    found = _asked("kills")
    kills = f"{found['kills']} x kill -9"
    missing, again = found["told"] - found["arrived"], found["requests"] - found["arrived"]
    return [
        Row("deliveries missing", missing, "of all", kills, found["told"], missing / found["told"], "0", not missing),
        Row("sent again, with the same id", again, "requests", kills, found["told"], again / found["told"], "", None),
    ]


def _asked(what: str) -> Any:
    """The figures that the process inside of the services wrote down."""
    with tempfile.TemporaryDirectory(prefix="bench-webhooks-") as folder:
        figures = Path(folder) / "figures.json"
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings.testing", "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.1/32"}
        code = run_with_services([sys.executable, "-m", "bench.webhook_load", what, str(figures)])
        assert code == 0, "the benchmark did not end well"
        return json.loads(figures.read_text())


def _row(rounds: list[dict[str, dict[str, float]]], what: str, key: str, unit: str) -> Row:
    values = [one["beside"][key] for one in rounds]
    alone = [one["alone"][key] for one in rounds]
    ratio = median(value / peer for value, peer in zip(values, alone, strict=True))
    return Row(f"{what}, {BESIDE}", median(values), unit, ALONE, median(alone), ratio, "", None)
