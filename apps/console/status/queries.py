"""What the status page shows, from the probes' results and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDay

from apps.console.models import ProbeHour, ProbeResult
from apps.console.status.components import BY_NAME, COMPONENTS, Component
from apps.console.status.rounds import INTERVAL
from apps.core.postgres.aggregates import Percentiles, TimeStep
from apps.jobs import queues
from apps.jobs.models import Queue

STALE_AFTER = 4 * INTERVAL
STEP = timedelta(minutes=30)
STEPS = 48
DAYS = 30
# The component works, only later than it should.
DEGRADING = frozenset({"busy", "lagging", "filling", "differing"})


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of time in a strip, and how many of its probes succeeded."""

    start: datetime
    probe_count: int = 0
    ok_count: int = 0

    @property
    def share(self) -> float | None:
        return self.ok_count / self.probe_count if self.probe_count else None


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component as it is now. `state` is operational, degraded, failing, or unknown since `checked_at`."""

    component: Component
    state: str
    checked_at: datetime
    p50_latency_ms: float | None
    day: Sequence[Slot]
    month: Sequence[Slot]

    @property
    def uptime_day(self) -> float | None:
        return _share(self.day)

    @property
    def uptime_month(self) -> float | None:
        return _share(self.month)


@dataclass(frozen=True, slots=True)
class Overview:
    """`state` is operational, degraded, failing (something essential is) or unknown.

    `drained` are the queues that the operator holds back.
    """

    state: str
    checked_at: datetime | None
    components: Sequence[ComponentStatus]
    drained: Sequence[Queue] = ()


def overview(now: datetime) -> Overview:
    latest = _latest()
    latencies = _latencies(now)
    day, month = _day(now), _month(now)
    components = [
        ComponentStatus(
            component=component,
            state=_state(latest[component.name], now),
            checked_at=latest[component.name].at,
            p50_latency_ms=latencies.get(component.name) if component.is_timed else None,
            day=day[component.name],
            month=month[component.name],
        )
        for component in COMPONENTS
        if component.name in latest
    ]
    checked_at = max((one.checked_at for one in components), default=None)
    return Overview(_overall(components), checked_at, components, queues.drained())


def states(now: datetime) -> list[tuple[Component, str]]:
    """Each component with its state, without its history."""
    latest = _latest()
    return [(one, _state(latest[one.name], now)) for one in COMPONENTS if one.name in latest]


def _latest() -> dict[str, ProbeResult]:
    rows = list(ProbeResult.objects.order_by("component", "-at").distinct("component"))
    newest = max((row.at for row in rows), default=None)
    # A round writes down every component, so one that the last rounds left out is there no more.
    return {row.component: row for row in rows if newest and newest - row.at <= STALE_AFTER}


def _state(result: ProbeResult, now: datetime) -> str:
    if now - result.at > STALE_AFTER:
        return "unknown"
    if result.is_ok:
        return "operational"
    return "degraded" if result.error_code in DEGRADING else "failing"


def _overall(components: Sequence[ComponentStatus]) -> str:
    states = {one.state for one in components}
    if not states or "unknown" in states:
        return "unknown"
    if any(one.state == "failing" and one.component.is_essential for one in components):
        return "failing"
    return "operational" if states == {"operational"} else "degraded"


def _latencies(now: datetime) -> dict[str, float]:
    rows = ProbeResult.objects.filter(at__gt=now - timedelta(days=1), is_ok=True).values("component")
    found = rows.annotate(p=Percentiles("latency_ms", (0.5,)))
    return {row["component"]: row["p"][0] for row in found if row["p"]}


def _day(now: datetime) -> dict[str, list[Slot]]:
    starts = [_floor(now, STEP) - STEP * n for n in reversed(range(STEPS))]
    rows = ProbeResult.objects.filter(at__gte=starts[0]).values("component", start=TimeStep(STEP, "at"))
    return _slots(starts, rows.annotate(probes=Count("id"), ok=Count("id", filter=Q(is_ok=True))))


def _month(now: datetime) -> dict[str, list[Slot]]:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [today - timedelta(days=n) for n in reversed(range(DAYS))]
    rows = ProbeHour.objects.filter(hour__gte=starts[0]).values("component", start=TruncDay("hour", tzinfo=UTC))
    return _slots(starts, rows.annotate(probes=Sum("probe_count"), ok=Sum("ok_count")))


def _slots(starts: Sequence[datetime], rows: Any) -> dict[str, list[Slot]]:
    found: dict[str, dict[datetime, Slot]] = defaultdict(dict)
    for row in rows:
        found[row["component"]][row["start"]] = Slot(row["start"], row["probes"], row["ok"])
    return {name: [found[name].get(start, Slot(start)) for start in starts] for name in BY_NAME}


def _floor(moment: datetime, step: timedelta) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // step.total_seconds() * step.total_seconds(), UTC)


def _share(slots: Sequence[Slot]) -> float | None:
    probes = sum(slot.probe_count for slot in slots)
    return sum(slot.ok_count for slot in slots) / probes if probes else None
