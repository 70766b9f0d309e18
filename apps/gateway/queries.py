"""Reads for the gateway's screens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Now

from apps.core import charts
from apps.core.errors import NotFound
from apps.core.formatting import format_count, format_duration, format_money
from apps.core.postgres.aggregates import Percentiles, StepNumber
from apps.core.tenancy import current_tenant_id
from apps.core.time_ranges import TimeRange
from apps.gateway import health
from apps.gateway.health import Seen
from apps.gateway.models import ModelCall, ModelCallBody, Route, Upstream, UpstreamKey, VirtualKey
from apps.logs.enums import StatusClass

MOST_CHOICES = 8
MILLISECOND = timedelta(milliseconds=1)
CHART_HEIGHT = 140
IS_ERROR = Q(status__gte=400)
TOKEN_CLASSES = (
    ("Input", "input_tokens"),
    ("Cached", "cached_tokens"),
    ("Cache write", "cache_write_tokens"),
    ("Output", "output_tokens"),
)
FILTERED = ("route", "upstream", "model", "error_class", "cache", "request_id")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a range's calls can be filtered by: (value, label, number of calls), the most frequent first."""

    status: list[tuple[str, str, int]]
    route: list[tuple[str, str, int]]
    upstream: list[tuple[str, str, int]]
    cache: list[tuple[str, str, int]]
    error_class: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class CallCharts:
    """A range's calls over time, and the same in all."""

    calls: charts.TimeSeries
    latency: charts.TimeSeries
    tokens: charts.TimeSeries
    cost: charts.TimeSeries
    sums: Mapping[str, Any]

    @property
    def error_share(self) -> float | None:
        return self.sums["errors"] / self.sums["calls"] if self.sums["calls"] else None


def filtered(given: Mapping[str, str], time_range: TimeRange, now: datetime) -> QuerySet[ModelCall]:
    """The range's calls that `given` names by status class, key, tag (`name:value`) or one of `FILTERED`."""
    calls = ModelCall.objects.filter(occurred_at__gte=time_range.start(now))
    if given.get("status") in StatusClass.values:
        first = StatusClass(given["status"]).first
        calls = calls.filter(status__gte=first, status__lt=first + 100)
    for name in FILTERED:
        if value := given.get(name):
            calls = calls.filter(**{name: value})
    if token := given.get("token"):
        calls = calls.filter(token_id=_uuid(token))
    if tag := given.get("tag"):
        name, _, value = tag.partition(":")
        calls = calls.filter(tags__contains={name: value})
    return calls


def call_charts(calls: QuerySet[ModelCall], time_range: TimeRange, now: datetime) -> CallCharts:
    """Calls, errors, latency, tokens by class and cost by step, in the zone of `now`."""
    steps = time_range.steps(now)
    rows = calls.order_by().values(step=StepNumber(steps, "occurred_at")).annotate(**_measures())
    by_step: dict[int, Mapping[str, Any]] = {row["step"]: row for row in rows}
    found = [by_step.get(number, {}) for number in range(len(steps))]
    local = [at.astimezone(now.tzinfo) for at in steps]
    return CallCharts(
        calls=_summed("Calls", local, found, (("Calls", "calls"), ("Errors", "errors"))),
        latency=_latency_chart(local, found),
        tokens=_summed("Tokens", local, found, TOKEN_CLASSES),
        cost=_cost_chart(local, found),
        sums=_total(found),
    )


def choices(time_range: TimeRange, now: datetime) -> Choices:
    """What the range's calls can be filtered by, in one query."""
    rows = filtered({}, time_range, now).order_by().values("route", "upstream", "cache", "error_class", "status")
    counted: dict[str, dict[str, int]] = {name: {} for name in ("route", "upstream", "cache", "error_class", "status")}
    groups: Iterable[Mapping[str, Any]] = rows.annotate(calls=Count("id"))
    for row in groups:
        for name, counts in counted.items():
            value = f"{row['status'] // 100}xx" if name == "status" else row[name]
            if value:
                counts[value] = counts.get(value, 0) + row["calls"]
    statuses = counted.pop("status")
    known = [(one.value, one.label, statuses[one.value]) for one in StatusClass if one.value in statuses]
    return Choices(status=known, **{name: _most(counts) for name, counts in counted.items()})


def figures_by(column: str, time_range: TimeRange, now: datetime) -> dict[Any, dict[str, Any]]:
    """The range's calls, errors, their share, p50 and cost, for each value of `column`."""
    rows = filtered({}, time_range, now).order_by().values(column)
    rows = rows.annotate(
        calls=Count("id"), errors=Count("id", filter=IS_ERROR), p50=Percentiles("latency_us", (0.5,)), **_costs()
    )
    return {row[column]: {**row, **_worked_out(row)} for row in rows}


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """What the data plane saw of an upstream at `at`. `resting` are the keys that rest, each until when."""

    upstream: Upstream
    seen: Seen
    at: datetime
    open_until: datetime | None
    resting: list[tuple[UpstreamKey, datetime]]
    checked_at: datetime | None

    @property
    def open_for_ms(self) -> float | None:
        return (self.open_until - self.at) / MILLISECOND if self.open_until else None

    @property
    def resting_for_ms(self) -> list[tuple[str, float]]:
        return [(key.name, (until - self.at) / MILLISECOND) for key, until in self.resting]

    @property
    def failures(self) -> list[tuple[str, int]]:
        """By class in words, the most frequent first."""
        most = sorted(self.seen.failures.items(), key=lambda item: (-item[1], item[0]))
        return [(name.replace("_", " "), count) for name, count in most]

    @property
    def check_words(self) -> str:
        return self.seen.check.error_class.replace("_", " ").capitalize() if self.seen.check else ""


def upstreams_seen() -> list[UpstreamHealth] | None:
    """The organization's upstreams as the data plane sees them; None if nobody can say."""
    try:
        found = health.read(_reader(), str(current_tenant_id()))
    except redis.RedisError:
        return None
    upstreams = Upstream.objects.prefetch_related("keys").order_by("name")
    return [_health(upstream, found.get(str(upstream.pk), Seen())) for upstream in upstreams]


def _health(upstream: Upstream, seen: Seen) -> UpstreamHealth:
    ends = [(key, seen.resting.get(str(key.pk))) for key in upstream.keys.all()]
    resting = [(key, _moment(end)) for key, end in ends if end]
    return UpstreamHealth(
        upstream,
        seen,
        at=datetime.now(UTC),
        open_until=_moment(seen.open_until) if seen.open_until else None,
        resting=resting,
        checked_at=_moment(seen.check.at) if seen.check else None,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@cache
def _reader() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def routes_with_targets() -> QuerySet[Route]:
    return Route.objects.prefetch_related("targets__upstream", "targets__deployment").order_by("name")


def kept_body(call: ModelCall) -> ModelCallBody | None:
    """What the call sent and was answered, where its route keeps that and the day has not come."""
    return ModelCallBody.objects.filter(pk=call.pk, expires_at__gt=Now()).first()


def keys_with_tokens() -> QuerySet[VirtualKey]:
    return VirtualKey.objects.select_related("token__membership__user")


def _measures() -> dict[str, Any]:
    tokens = {name: Sum(name) for _, name in TOKEN_CLASSES}
    return {
        "calls": Count("id"),
        "errors": Count("id", filter=IS_ERROR),
        "latency": Percentiles("latency_us", (0.5, 0.95)),
        "first_token": Percentiles("first_token_us", (0.5,)),
        **{f"sum_{name}": total for name, total in tokens.items()},
        **_costs(),
    }


def _costs() -> dict[str, Any]:
    return {
        "cost": Sum("cost_micro_usd"),
        "saved": Sum("saved_micro_usd"),
        "priced": Count("cost_micro_usd"),
        "unpriced": Count("id", filter=Q(cost_micro_usd__isnull=True, status__lt=400)),
    }


def _worked_out(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"error_share": row["errors"] / row["calls"], "p50_ms": row["p50"][0] / 1000}


def _total(found: list[Mapping[str, Any]]) -> dict[str, Any]:
    names = ("calls", "errors", "cost", "saved", "priced", "unpriced", *(f"sum_{name}" for _, name in TOKEN_CLASSES))
    totals: dict[str, Any] = {name.removeprefix("sum_"): sum(row.get(name) or 0 for row in found) for name in names}
    if totals["unpriced"] and not totals["priced"]:
        totals["cost"] = None  # nobody knows, which is not nothing
    return {**totals, "tokens": sum(totals[name] for _, name in TOKEN_CLASSES)}


def _summed(label: str, steps: list[datetime], found: list[Mapping[str, Any]], columns: Any) -> charts.TimeSeries:
    series = [
        charts.Series(title, [row.get(f"sum_{name}", row.get(name)) or 0 for row in found]) for title, name in columns
    ]
    return charts.time_series(label, steps, series, text=format_count, height=CHART_HEIGHT)


def _cost_chart(steps: list[datetime], found: list[Mapping[str, Any]]) -> charts.TimeSeries:
    """With a gap where no call of a step is priced; empty while nothing was paid, which has no scale."""
    is_paid = any(row.get("cost") or row.get("saved") for row in found)

    def known(row: Mapping[str, Any], name: str) -> int | None:
        is_unknown = name == "cost" and row.get("unpriced") and not row["priced"]
        return None if is_unknown or not is_paid else row.get(name) or 0

    named = (("Cost", "cost"), ("Saved by the cache", "saved"))
    series = [charts.Series(title, [known(row, name) for row in found]) for title, name in named]
    return charts.time_series("Cost", steps, series, text=format_money, height=CHART_HEIGHT)


def _latency_chart(steps: list[datetime], found: list[Mapping[str, Any]]) -> charts.TimeSeries:
    def at(name: str, index: int) -> list[float | None]:
        return [row[name][index] / 1000 if row.get(name) else None for row in found]

    series = [
        charts.Series("p50", at("latency", 0)),
        charts.Series("p95", at("latency", 1)),
        charts.Series("First token p50", at("first_token", 0)),
    ]
    return charts.time_series("Latency", steps, series, text=format_duration, height=CHART_HEIGHT)


def _most(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_CHOICES]
    return [(value, value.replace("_", " "), count) for value, count in most]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None
