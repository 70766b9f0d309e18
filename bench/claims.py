"""What one claim takes with 100 jobs that wait, and with 100,000 that are ready beside 100,000 that come later.

Runs on a throw-away PostgreSQL. Each claim is taken back, so that all of them find the same. The second organization
is at its plan's limit, and the third is suspended, so that both are looked at and passed over.
"""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median
from typing import Any

from bench.report import Row
from bench.services import as_admin, measured, organization

CLAIMS = 300
FEW, MANY = 100, 100_000
ORGANIZATIONS = 10
FILL = """
INSERT INTO jobs_job (
    id, organization_id, created_at, kind, queue, label, status, reason, input, progress, step, attempt, max_attempts,
    time_limit_s, priority, run_at, ready_at, waits_for, has_dependents, worker, error_code, error_class, error_message,
    traceback, callback_url, subject_type, created_by_label, request_id, lease_until
)
SELECT uuidv7(), (%(organizations)s::uuid[])[1 + n %% %(count)s], now(), 'bench.kind', 'data', 'a job',
    %(status)s::text, '', '{}', 0, '', 0, 3, 3600, n %% 10, now() + %(later)s::interval,
    CASE WHEN %(is_ready)s::boolean THEN now() END, 0, false, '', '', '', '', '', '', '', '', '',
    CASE WHEN %(status)s::text = 'running' THEN now() + interval '1 day' END
FROM generate_series(1, %(rows)s) AS n
"""


def run() -> list[Row]:
    return measured("bench.claims")


def measure() -> list[Row]:
    organizations = _organizations()
    in_vain = _claim_ms()
    _fill(organizations, FEW)
    few = _claim_ms()
    _fill(organizations, MANY - FEW)
    _fill(organizations, MANY, hours=1)
    as_admin("VACUUM ANALYZE")
    many = _claim_ms()
    return [
        Row("a claim, 200,000 jobs wait", many, "ms", "100 wait", few, many / few, "1.5 max", many <= 1.5 * few),
        Row("a look in vain", in_vain, "ms", "", 0, 0, "", None),
    ]


def _organizations() -> list[Any]:
    from apps.core import tenancy
    from apps.core.actors import SYSTEM
    from apps.organizations import services

    made = [organization(f"team{number}")[0] for number in range(ORGANIZATIONS)]
    with tenancy.scope(made[1].pk):
        services.set_plan(made[1], plan="starter", by=SYSTEM)
    with tenancy.scope(made[2].pk):
        services.suspend_organization(made[2], because="an open invoice", by=SYSTEM)
    ids = [organization.pk for organization in made]
    _fill(ids[1:2], 2, status="running")
    return ids


def _fill(organizations: list[Any], rows: int, *, status: str = "pending", hours: int = 0) -> None:
    wanted = {"organizations": organizations, "count": len(organizations), "rows": rows, "status": status}
    as_admin(FILL, {**wanted, "is_ready": not hours, "later": timedelta(hours=hours)})


def _claim_ms() -> float:
    """The median of claims that turn from organization to organization."""
    from django.db import transaction

    from apps.jobs.dispatch import Taker

    taker = Taker(["default", "data", "llm"], "bench")
    times = []
    for _ in range(CLAIMS):
        with transaction.atomic():
            begin = time.perf_counter()
            taker.claim()
            times.append((time.perf_counter() - begin) * 1000)
            transaction.set_rollback(True)
    return median(times)
