"""An organization's export with 100,000 call records behind it: how much memory it takes, and how long.

Runs on a throw-away PostgreSQL. The peer is the export of an organization with a tenth of that, in the same process.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from bench.report import Row
from bench.services import as_admin, measured, organization

SMALL, LARGE = 10_000, 100_000
FILL = """
INSERT INTO logs_callrecord (
    id, organization_id, created_at, request_id, occurred_at, method, path, route, status, latency_us, request_bytes,
    response_bytes, model, error_code, client
)
SELECT uuidv7(), %(organization)s, now(), 'req_' || n, now(), 'POST', '/v2/models/m' || n %% 7 || '/infer', 'infer',
       200, n %% 9000, n %% 700, n %% 900, 'm' || n %% 7, '', '203.0.113.' || n %% 200
FROM generate_series(1, %(rows)s) AS n
"""


def run() -> list[Row]:
    return measured("bench.export")


def measure() -> list[Row]:
    small, large = _organization("small", SMALL), _organization("large", LARGE)
    idle_mb = _status_mb("VmRSS")
    small_mb, _, small_rows = _exported(small, idle_mb)
    large_mb, seconds, rows = _exported(large, idle_mb)
    ratio = large_mb / small_mb
    what, peer = f"growth while {rows:,} rows are written", f"{small_rows:,} rows"
    memory = Row(what, large_mb, "MB", peer, small_mb, ratio, "1.5 max", ratio <= 1.5)
    return [memory, Row("speed", rows / seconds, "rows/s", "", 0, 0, "", None)]


def _organization(slug: str, rows: int) -> Any:
    made, _ = organization(slug)
    as_admin(FILL, {"organization": made.pk, "rows": rows})
    as_admin("ANALYZE logs_callrecord")
    return made


def _exported(organization: Any, idle_mb: float) -> tuple[float, float, int]:
    """By how many MB over `idle_mb` the process grew at most until then, how long it took, and how many rows."""
    from apps.console.data_rights import archive
    from apps.core import tenancy

    with tempfile.TemporaryFile() as file, tenancy.scope(organization.pk):
        begin = time.perf_counter()
        summary = archive.write(file, _untold)
        seconds, grown_mb = time.perf_counter() - begin, _status_mb("VmHWM") - idle_mb
        assert ZipFile(file).testzip() is None
    return grown_mb, seconds, summary.row_count


def _untold(share: float, step: str) -> None:
    """Nobody watches how far it is."""


def _status_mb(name: str) -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) / 1024
