"""The trail with 100,000 entries of one organization among 1,100,000: its page by filter, its export, its expiry.

Runs on a throw-away PostgreSQL, through Django's test client. A page's peer is the unfiltered page of an organization
with 100 entries, asked in turn; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from bench.report import Row
from bench.services import as_admin, measured, organization

ROUNDS = 15
SMALL, LARGE, HUGE = 100, 100_000, 1_000_000
DAYS = 400
FILL = """
INSERT INTO audit_auditentry (
    id, organization_id, created_at, actor_kind, actor_id, actor_label, operator_id, operator_label, action,
    subject_type, subject_id, subject_label, changes, request_id, address
)
SELECT uuidv7(at - now()), %(organization)s, at, 'user', md5('actor' || n %% 23)::uuid,
       'person' || n %% 23 || '@example.com',
       CASE WHEN n %% 1000 = 0 THEN md5('operator')::uuid END,
       CASE WHEN n %% 1000 = 0 THEN 'operator@modelyard.test' ELSE '' END,
       (ARRAY['dataset.created', 'job.retried', 'project.updated', 'token.created', 'member.role_changed'])[1 + n %% 5],
       (ARRAY['dataset', 'job', 'project', 'apitoken', 'membership'])[1 + n %% 5],
       md5('subject' || n %% 5000)::uuid,
       'thing ' || n %% 5000 || CASE WHEN n < %(rows)s * 0.04 THEN ' of the former team' ELSE '' END
           || CASE WHEN n %% 50 = 7 AND n < 1000 THEN ' rarely named' ELSE '' END,
       '{"name": ["before", "after"]}', 'req_' || n / 3, '203.0.113.' || n %% 200
FROM (SELECT n, now() - (%(rows)s - n) * make_interval(days => %(days)s) / %(rows)s AS at
      FROM generate_series(1, %(rows)s) AS n) AS numbered
"""


def run() -> list[Row]:
    return measured("bench.trail")


def measure() -> list[Row]:
    organizations = {name: _organization(name, rows) for name, rows in (("small", SMALL), ("large", LARGE))}
    huge = _organization("huge", HUGE)
    as_admin("VACUUM ANALYZE")
    pages = [_page_row(name, organizations, query) for name, query in _queries().items()]
    return [*pages, *_export_rows(organizations), *_expiry_rows(huge)]


def _organization(slug: str, rows: int) -> tuple[Any, Any]:
    """An organization with so many entries spread over 400 days, and its owner's browser."""
    from django.test import Client

    made, owner = organization(slug)
    as_admin(FILL, {"organization": made.pk, "rows": rows, "days": DAYS})
    browser = Client()
    browser.force_login(owner)
    return made, browser


def _queries() -> dict[str, str]:
    from django.utils import timezone

    from apps.audit import moments

    now = timezone.now()
    old = f"{now - timedelta(days=380):%Y-%m-%dT%H:%M:%SZ}"
    person, operator, subject = (_md5(text) for text in ("actor7", "operator", "subject42"))
    return {
        "nothing": "",
        "the last 24 hours": "range=24h",
        "a time 380 days ago": f"before={old}",
        "page 1,800": f"cursor={moments.first_id(now, -timedelta(days=DAYS * 0.9))}",
        "one action": "action=job.retried",
        "one person": f"actor_id={person}",
        "one operator": f"operator_id={operator}",
        "one subject": f"subject_id={subject}",
        "one kind of subject": "subject_type=job",
        "one address": "address=203.0.113.9",
        "one request id": "request_id=req_7",
        "a name that most have": "q=example.com",
        "a name that 4 in 100 have": "q=person7@",
        "a name of the oldest 4,000 only": "q=former+team",
        "a name that 20 have": "q=rarely",
        "a name that nobody has": "q=nosuchthing",
        "a rare name and an action": "q=rarely&action=job.retried",
        "two people's crossing": f"q=person9@&actor_id={person}",
    }


def _md5(text: str) -> str:
    import hashlib
    from uuid import UUID

    return str(UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()))


def _page_row(name: str, organizations: dict[str, tuple[Any, Any]], query: str) -> Row:
    times: dict[str, list[float]] = {slug: [] for slug in organizations}
    for number in range(ROUNDS + 1):
        order = list(organizations)[:: 1 if number % 2 else -1]
        for slug in order:
            wanted = query if slug == "large" else ""
            times[slug].append(page_ms(organizations[slug][1], f"/o/{slug}/trail/?{wanted}"))
    small, large = times["small"][1:], times["large"][1:]  # the first round warms up
    ratio = median(one / other for one, other in zip(large, small, strict=True))
    return Row(name, median(large), "ms", "unfiltered, 100 entries", median(small), ratio, "1.5 max", ratio <= 1.5)


def page_ms(browser: Any, address: str) -> float:
    begin = time.perf_counter()
    answer = browser.get(address)
    assert answer.status_code == 200, answer
    return (time.perf_counter() - begin) * 1000


def _export_rows(organizations: dict[str, tuple[Any, Any]]) -> Iterator[Row]:
    for kind in ("csv", "jsonl"):
        grown = {slug: _exported(organizations[slug][1], slug, kind) for slug in ("small", "large")}
        (small_mb, _), (large_mb, seconds) = grown["small"], grown["large"]
        what = f"export as {kind}, memory over the process's own"
        yield Row(what, large_mb, "MB", "100 entries", small_mb, large_mb / max(small_mb, 0.1), "", None)
        yield Row(f"export as {kind}, 100,000 entries", LARGE / seconds, "rows/s", "", 0, 0, "", None)


def _exported(browser: Any, slug: str, kind: str) -> tuple[float, float]:
    """By how many MB the process grew at most while it exported the trail, and how long that took."""
    with peak_memory() as grown_mb:
        begin = time.perf_counter()
        size = sum(len(chunk) for chunk in browser.get(f"/o/{slug}/trail/export/?as={kind}").streaming_content)
        seconds = time.perf_counter() - begin
    assert size > 100
    return grown_mb(), seconds


@contextmanager
def peak_memory() -> Iterator[Callable[[], float]]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = _status_mb("VmRSS")
    yield lambda: _status_mb("VmHWM") - before


def _status_mb(name: str) -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) / 1024


def _expiry_rows(huge: tuple[Any, Any]) -> Iterator[Row]:
    """Almost all of the huge trail goes at once, as if its retention was cut from years to 30 days."""
    from apps.audit import services
    from apps.core import tenancy
    from apps.organizations.models import Organization

    organization, _ = huge
    Organization.objects.filter(pk=organization.pk).update(audit_retention_days=30)
    batches: list[float] = []
    removed, begin = 0, time.perf_counter()
    with tenancy.scope(organization.pk):
        while count := services._remove("audit_expire(%s)", [services.EXPIRY_BATCH], using="default"):
            batches.append((time.perf_counter() - begin) * 1000)
            removed, begin = removed + count, time.perf_counter()
    what = f"expiring {removed:,} entries, one transaction"
    yield Row(f"{what}, median", median(batches), "ms", "", 0, 0, "", None)
    yield Row(f"{what}, longest", max(batches), "ms", "", 0, 0, "", None)
    yield Row(f"expiring {removed:,} entries, all of it", sum(batches) / 1000, "s", "", 0, 0, "", None)
