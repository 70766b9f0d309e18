"""The page of usage over 100,000 events of 23 models, and over as many that also differ each in its tag.

The latter has as many sums as events, which is the worst that a producer can do to the page.

Runs on a throw-away PostgreSQL, through Django's test client. The peer of each page is the same page of an organization
with 100 events, asked in turn; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from bench.report import Row
from bench.services import as_admin, measured, organization
from bench.trail import page_ms, peak_memory

ROUNDS = 15
SMALL, LARGE = 100, 100_000
TAGS = {"small": SMALL, "few": 5, "tagged": LARGE}
DAYS = 28
FILL = """
INSERT INTO usage_usageevent (id, organization_id, meter, quantity, occurred_at, dimensions)
SELECT uuidv7(at - now()), %(organization)s, CASE WHEN n %% 10 = 0 THEN 'training_ms' ELSE 'predictions' END,
       1 + n %% 7, at, jsonb_build_object('model', 'model-' || n %% 23, 'tag', 'request-' || n %% %(tags)s)
FROM (SELECT n, now() - (%(rows)s - n) * make_interval(days => %(days)s) / %(rows)s AS at
      FROM generate_series(1, %(rows)s) AS n) AS numbered
"""


def run() -> list[Row]:
    return measured("bench.usage_page")


def measure() -> list[Row]:
    browsers = {name: _organization(name, SMALL if name == "small" else LARGE) for name in TAGS}
    as_admin("VACUUM ANALYZE")
    pages = [row for name, query in _queries().items() for row in _page_rows(name, browsers, query)]
    return [*pages, *_export_rows(browsers)]


def _organization(slug: str, rows: int) -> Any:
    """The browser of the owner of an organization with so many events spread over four weeks."""
    from django.test import Client

    made, owner = organization(slug)
    as_admin(FILL, {"organization": made.pk, "rows": rows, "days": DAYS, "tags": TAGS[slug]})
    browser = Client()
    browser.force_login(owner)
    return browser


def _queries() -> dict[str, str]:
    yesterday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return {
        "7 days": "",
        "30 days": "range=30d",
        "90 days by tag": "range=90d&group=tag",
        "30 days by model": "range=30d&group=model",
        "30 days by tag": "range=30d&group=tag",
        "7 days by tag": "range=7d&group=tag",
        "the last hour by tag": "range=1h&group=tag",
        "one day's events": f"range=30d&at={yesterday:%Y-%m-%dT%H:%M:%SZ}",
        "one model": "range=30d&model=model-7",
        "one tag": "range=30d&tag=request-2",
        "a tag that no event has": "range=30d&tag=none",
    }


def _page_rows(name: str, browsers: dict[str, Any], query: str) -> Iterator[Row]:
    times: dict[str, list[float]] = {slug: [] for slug in browsers}
    for number in range(ROUNDS + 1):
        for slug in list(browsers)[:: 1 if number % 2 else -1]:
            times[slug].append(page_ms(browsers[slug], f"/o/{slug}/usage/?{query}"))
    small = times["small"][1:]  # the first round warms up
    for slug, what in (("few", "few tags"), ("tagged", "a tag each")):
        large = times[slug][1:]
        ratio = median(one / other for one, other in zip(large, small, strict=True))
        yield Row(f"{name}, {what}", median(large), "ms", "100 events", median(small), ratio, "1.5 max", ratio <= 1.5)


def _export_rows(browsers: dict[str, Any]) -> Iterator[Row]:
    grown = {slug: _exported(browsers[slug], slug) for slug in ("small", "tagged")}
    (small_mb, _), (large_mb, seconds) = grown["small"], grown["tagged"]
    what = "export as CSV, memory over the process's own"
    yield Row(what, large_mb, "MB", "100 events", small_mb, large_mb / max(small_mb, 0.1), "", None)
    yield Row("export as CSV, 100,000 events", LARGE / seconds, "rows/s", "", 0, 0, "", None)


def _exported(browser: Any, slug: str) -> tuple[float, float]:
    """By how many MB the process grew at most while it exported the events, and how long that took."""
    with peak_memory() as grown_mb:
        begin = time.perf_counter()
        size = sum(len(chunk) for chunk in browser.get(f"/o/{slug}/usage/export/?range=30d").streaming_content)
        seconds = time.perf_counter() - begin
    assert size > 100
    return grown_mb(), seconds
