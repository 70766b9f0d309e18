"""Reads of the call records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.db.models.fields import CharField

from apps.core import charts
from apps.core.errors import NotFound
from apps.core.formatting import format_count, format_duration
from apps.core.postgres.aggregates import Percentiles, StepNumber
from apps.core.time_ranges import TimeRange
from apps.logs.enums import StatusClass
from apps.logs.models import CallRecord
from apps.organizations.models import ApiToken

MOST_CHOICES = 8
CHART_HEIGHT = 140

STATUS_CLASS = Case(
    *(When(status__gte=one.first, status__lt=one.first + 100, then=Value(one.value)) for one in StatusClass),
    default=Value(""),
    output_field=CharField(),
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a range's calls can be filtered by: (value, label, number of calls), the most frequent first."""

    status: list[tuple[str, str, int]]
    model: list[tuple[str, str, int]]
    route: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class CallCharts:
    """A range's calls over time, and the same in all."""

    calls: charts.TimeSeries
    latency: charts.TimeSeries
    call_count: int
    error_count: int

    @property
    def error_share(self) -> float | None:
        return self.error_count / self.call_count if self.call_count else None


def filtered(given: Mapping[str, str], time_range: TimeRange, now: datetime) -> QuerySet[CallRecord]:
    """The range's calls with the status class, model, route, deployment, token and request id that `given` names."""
    calls = CallRecord.objects.filter(occurred_at__gte=time_range.start(now))
    if given.get("status") in StatusClass.values:
        calls = calls.answered(StatusClass(given["status"]))
    for name in ("model", "route", "request_id"):
        if value := given.get(name):
            calls = calls.filter(**{name: value})
    for name in ("deployment", "token"):
        if value := given.get(name):
            calls = calls.filter(**{f"{name}_id": _uuid(value)})
    return calls


def call_charts(calls: QuerySet[CallRecord], time_range: TimeRange, now: datetime) -> CallCharts:
    """How many calls there were, how many went wrong and how long they took, by step, in the zone of `now`."""
    steps = time_range.steps(now)
    rows = calls.order_by().values(step=StepNumber(steps, "occurred_at"))
    rows = rows.annotate(
        calls=Count("id"),
        refused=Count("id", filter=Q(status__gte=400, status__lt=500)),
        failed=Count("id", filter=Q(status__gte=500)),
        latency=Percentiles("latency_us", (0.5, 0.95)),
    )
    by_step: dict[int, Mapping[str, Any]] = {row["step"]: row for row in rows}
    found = [by_step.get(number, {}) for number in range(len(steps))]
    local = [at.astimezone(now.tzinfo) for at in steps]
    return CallCharts(
        calls=_count_chart(local, found),
        latency=_latency_chart(local, found),
        call_count=sum(row["calls"] for row in by_step.values()),
        error_count=sum(row["refused"] + row["failed"] for row in by_step.values()),
    )


def choices(time_range: TimeRange, now: datetime) -> Choices:
    """What the range's calls can be filtered by, in one query."""
    rows = filtered({}, time_range, now).order_by().values("model", "route", status_class=STATUS_CLASS)
    counted: dict[str, dict[str, int]] = {"status_class": {}, "model": {}, "route": {}}
    groups: Iterable[Mapping[str, Any]] = rows.annotate(calls=Count("id"))
    for row in groups:
        for name, counts in counted.items():
            if row[name]:
                counts[row[name]] = counts.get(row[name], 0) + row["calls"]
    statuses = counted["status_class"]
    return Choices(
        status=[(one.value, one.label, statuses[one.value]) for one in StatusClass if one.value in statuses],
        model=_most(counted["model"]),
        route=_most(counted["route"]),
    )


def token_name(token_id: UUID | None) -> str:
    """The name of the call's token; empty for one that is gone."""
    token = ApiToken.objects.filter(pk=token_id).first() if token_id else None
    return token.name if token else ""


def _count_chart(steps: list[datetime], found: list[Mapping[str, Any]]) -> charts.TimeSeries:
    series = [
        charts.Series(label, [row.get(name, 0) for row in found])
        for label, name in (("Calls", "calls"), ("Refused", "refused"), ("Failed", "failed"))
    ]
    return charts.time_series("Calls", steps, series, text=format_count, height=CHART_HEIGHT)


def _latency_chart(steps: list[datetime], found: list[Mapping[str, Any]]) -> charts.TimeSeries:
    series = [
        charts.Series(label, [row["latency"][index] / 1000 if row else None for row in found])
        for index, label in enumerate(("p50", "p95"))
    ]
    return charts.time_series("Latency", steps, series, text=format_duration, height=CHART_HEIGHT)


def _most(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_CHOICES]
    return [(value, value, count) for value, count in most]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None
