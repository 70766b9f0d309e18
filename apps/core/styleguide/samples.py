"""What the catalogue shows: made-up values that bring every component into each of its states."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.utils.datastructures import MultiValueDict

from apps.core import charts, formatting, stacked_charts, time_ranges, timelines
from apps.core.actors import Actor
from apps.core.paging import Page
from apps.core.styleguide.forms import SampleForm, SampleUpload

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PERMISSIONS = frozenset(
    f"{area}.read" for area in ("datasets", "training", "models", "deployments", "calls", "usage", "jobs")
)


@dataclass(frozen=True)
class SampleOrganization:
    name: str
    slug: str
    pk: UUID


ACME = SampleOrganization("Acme Foods", "acme", UUID(int=1))
GLOBEX = SampleOrganization("Globex", "globex", UUID(int=2))
VISITOR = Actor(kind="system", id=None, label="Styleguide", permissions=PERMISSIONS)


def memberships() -> list[SimpleNamespace]:
    return [SimpleNamespace(organization=ACME, role="owner"), SimpleNamespace(organization=GLOBEX, role="analyst")]


def chips() -> list[SimpleNamespace]:
    return [
        SimpleNamespace(name="action", label="Action", value="deployment.created"),
        SimpleNamespace(name="address", label="Address", value="203.0.113.9"),
    ]


def runs(now: datetime) -> list[dict[str, Any]]:
    rows = (
        ("churn-march", "running", 12_480, 0.9412, 74_300, now - timedelta(minutes=2)),
        ("churn-february", "succeeded", 11_902, 0.9377, 391_000, now - timedelta(days=4)),
        ("price-elasticity", "failed", 3_201_775, None, 1_240, now - timedelta(days=6)),
        ("returns-baseline", "cancelled", 88_010, None, 9_400, now - timedelta(days=45)),
        ("basket-size-weekly-forecast", "queued", 640, None, None, now - timedelta(seconds=4)),
    )
    names = ("name", "status", "row_count", "accuracy", "duration_ms", "created_at")
    return [dict(zip(names, row, strict=True)) for row in rows]


def log_lines(now: datetime) -> list[dict[str, Any]]:
    lines = (
        ("info", "Read 12,480 rows and 21 columns."),
        ("info", "Dropped customer_id: every value is different."),
        ("warning", "Column region has 3 values in fewer than 5 rows; they became one category."),
        ("info", "LightGBM, fold 2 of 5: accuracy 0.9412"),
        ("error", "Export differs in 14 of 12,480 rows: the model was refused."),
    )
    return [{"at": now - timedelta(seconds=40 - 7 * n), "level": lv, "text": tx} for n, (lv, tx) in enumerate(lines)]


def latency_chart() -> charts.TimeSeries:
    times = [START + timedelta(minutes=15 * number) for number in range(64)]
    middle = [4.2 + 1.1 * math.sin(number / 7) + 0.3 * math.sin(number * 1.7) for number in range(64)]
    tail = [value * 2.1 + (9 if 38 <= number <= 41 else 0) for number, value in enumerate(middle)]
    gap = [None if 20 <= number <= 23 else value for number, value in enumerate(tail)]
    return charts.time_series(
        "Latency of churn, by quarter of an hour",
        times,
        [charts.Series("p50", middle), charts.Series("p95", gap)],
        text=formatting.format_duration,
        markers=[charts.Marker(START + timedelta(hours=9, minutes=20), "version 4")],
    )


def predictions_chart() -> charts.TimeSeries:
    times = [START + timedelta(days=number) for number in range(30)]
    values = [1800 + 600 * math.sin(number / 3.1) + 40 * number for number in range(30)]
    return charts.time_series(
        "Predictions by day", times, [charts.Series("Predictions", values)], text=formatting.format_count, area=True
    )


def empty_chart() -> charts.TimeSeries:
    return charts.time_series("Errors by day", [], [charts.Series("Errors", [])])


def importance_chart() -> charts.BarChart:
    items = [("tenure", 0.31), ("contract", 0.22), ("charges", 0.17), ("support", 0.09), ("region", 0.04)]
    return charts.bar_chart("Importance of each column", items, value_name="Share", text=formatting.format_percent)


def tokens_chart() -> stacked_charts.StackedChart:
    times = [START + timedelta(days=number) for number in range(30)]
    series = [
        charts.Series(f"Token {part}", [200 + 90 * part + 80 * math.sin(number / 2 + part) for number in range(30)])
        for part in range(1, 9)
    ]
    rest = charts.Series("12 others", [150.0 + number for number in range(30)])
    return stacked_charts.stacked_chart("Predictions by token", times, series, rest=rest, text=formatting.format_count)


def attempts() -> timelines.Timeline:
    looks = (("waiting", 3), ("danger", 8), ("pausing", 6), ("stopped", 4), ("waiting", 2), ("success", 9))
    at, spans = START, []
    for look, minutes in looks:
        words, end = timelines.LOOKS[look], at + timedelta(minutes=minutes)
        cells = (formatting.format_time(at), formatting.format_duration(minutes * 60_000))
        spans.append(timelines.Span(at, end, look, words, cells))
        at = end
    last = timelines.Span(at, at + timedelta(minutes=5), "running", "Running", (formatting.format_time(at), "5 m 00 s"))
    names = ("Attempt 1", "Attempt 2", "Attempt 3")
    tracks = [timelines.Track(name, spans[2 * number : 2 * number + 2]) for number, name in enumerate(names)]
    return timelines.timeline("Attempts", [*tracks, timelines.Track("Attempt 4", [last])], ["From", "Lasted"])


def score_comparison() -> charts.Comparison:
    measured = [
        charts.Measured("LightGBM", 0.9412, 0.0061),
        charts.Measured("Extra trees", 0.9318, 0.0084),
        charts.Measured("Logistic regression", 0.8790, 0.0122),
    ]
    reference = charts.Measured("Always the most frequent class", 0.735)
    return charts.comparison("Accuracy by candidate", measured, value_name="Accuracy", reference=reference, high=1.0)


def age_histogram() -> charts.Histogram:
    counts = [40, 180, 420, 610, 560, 390, 210, 90, 0, 2]
    return charts.histogram("age", [18 + 7 * number for number in range(11)], counts)


def region_histogram() -> charts.Histogram:
    return charts.category_histogram("region", [("north", 5120), ("south", 4011), ("west", 2200), ("east", 1149)])


def forms() -> dict[str, Any]:
    wrong = SampleForm({"name": "refuse me", "folds": "many", "task": "regression"})
    wrong.full_clean()
    refused_upload = SampleUpload({}, MultiValueDict(), prefix="refused")
    refused_upload.full_clean()
    return {"form": SampleForm(), "wrong_form": wrong, "upload": SampleUpload(), "refused_upload": refused_upload}


def uptime_slots(now: datetime, step: timedelta, shares: list[float | None]) -> list[SimpleNamespace]:
    starts = [now - step * number for number in range(len(shares), 0, -1)]
    return [SimpleNamespace(start=start, share=share) for start, share in zip(starts, shares, strict=True)]


def palette_groups() -> list[SimpleNamespace]:
    """What the palette answers to `ma`."""

    def option(label: str, icon: str, note: str = "", **attributes: str) -> SimpleNamespace:
        url = "" if attributes else "#palette-samples"
        return SimpleNamespace(label=label, icon=icon, note=note, url=url, key="", attributes=attributes)

    def hit(before: str, typed: str, after: str, *given: Any, **attributes: str) -> SimpleNamespace:
        chosen = option(before + typed + after, *given, **attributes)
        return SimpleNamespace(option=chosen, segments=[(before, False), (typed, True), (after, False)])

    return [
        SimpleNamespace(heading="Pages", hits=[hit("", "Ma", "il templates", "mail", "Settings")]),
        SimpleNamespace(heading="Actions", hits=[hit("", "Ma", "rk all read", "check-check", type="button")]),
        SimpleNamespace(heading="Datasets", hits=[hit("churn-", "ma", "rch", "database")]),
        SimpleNamespace(heading="Members", hits=[hit("", "Ma", "ry Smith", "user", "mary@acme.test")]),
    ]


def inbox() -> list[SimpleNamespace]:
    return [
        SimpleNamespace(title="Training churn-march failed", text="Column region has one value only.", is_unread=True),
        SimpleNamespace(title="The replica of churn restarted", text="", is_unread=False),
    ]


def catalogue(now: datetime) -> dict[str, Any]:
    rows = runs(now)
    return {
        "memberships": memberships(),
        "runs": rows,
        "page": Page(rows=rows, next_cursor=str(UUID(int=5)), previous_cursor=None),
        "statuses": ["queued", "running", "succeeded", "failed", "cancelled", "degraded", "ready", "unheard_of"],
        "chips": chips(),
        "status_options": [("running", "Running", 1), ("succeeded", "Succeeded", 212), ("failed", "Failed", 7)],
        "log_lines": log_lines(now),
        "range": time_ranges.WEEK,
        "moment": now - timedelta(minutes=4),
        "zones": [("Asia/Kathmandu", "Kathmandu, UTC+05:45"), ("Europe/Berlin", "Berlin, UTC+01:00")],
        "latency": latency_chart(),
        "predictions": predictions_chart(),
        "no_errors": empty_chart(),
        "importance": importance_chart(),
        "by_token": tokens_chart(),
        "scores": score_comparison(),
        "attempts": attempts(),
        "ages": age_histogram(),
        "regions": region_histogram(),
        "palette_groups": palette_groups(),
        "inbox": inbox(),
        "bell_counts": [0, 3, 120],
        "uptime_hours": uptime_slots(now, timedelta(minutes=30), [*[None] * 6, *[1.0] * 30, 0.4, 0.98, *[1.0] * 10]),
        "uptime_days": uptime_slots(now, timedelta(days=1), [*[None] * 20, *[1.0] * 10]),
        **forms(),
    }
