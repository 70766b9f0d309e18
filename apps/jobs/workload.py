"""How an organization's queues do: what stands in them, what ended lately, and who is there to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q

from apps.core import charts, time_ranges
from apps.core.formatting import format_count
from apps.core.postgres.aggregates import StepNumber
from apps.jobs import kinds, listing
from apps.jobs.enums import FINISHED, OUTSIDE, WAITING, Status
from apps.jobs.models import Job, OutsideWorker, Queue, Worker
from apps.jobs.querysets import READY
from apps.jobs.queues import SHOWN_FOR, SILENT_AFTER

CHART_HEIGHT = 96
HOUR = time_ranges.TimeRange("1h", "Last hour", timedelta(hours=1), timedelta(minutes=2))
MOST_WORKERS = 50
BADLY = Q(status__in=(Status.FAILED, Status.DEAD))


@dataclass(frozen=True, slots=True)
class Depth:
    """One queue: how much of the organization's work stands in it, and how much of it ended in the last hour."""

    name: str
    ready: str
    later: str
    running: int
    oldest_ready_at: datetime | None
    ended: int
    failed: int
    chart: charts.TimeSeries
    drained_because: str | None

    @property
    def is_outside(self) -> bool:
        return self.name == OUTSIDE

    @property
    def note(self) -> str:
        return "what your own processes do" if self.is_outside else ""

    @property
    def failure_share(self) -> float | None:
        return self.failed / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class Helper:
    """A process that works on queues or kinds, under the name that customers know it by."""

    name: str
    serves: Sequence[str]
    seen_at: datetime
    is_silent: bool


def depths(now: datetime) -> list[Depth]:
    """Every queue of ours, and the organization's own if it ever had work there. Times are in the zone of `now`."""
    ended, drained, running = _ended(now), _drained(), _running()
    names = kinds.queues()
    if Job.objects.filter(queue=OUTSIDE).exists() or OutsideWorker.objects.exists():
        names = [*names, OUTSIDE]
    return [_depth(name, ended.get(name, {}), drained, running, now) for name in names]


def _depth(
    name: str,
    ended: Mapping[int, tuple[int, int]],
    drained: Mapping[str, str],
    running: Mapping[str, int],
    now: datetime,
) -> Depth:
    waiting = Job.objects.filter(queue=name, status__in=WAITING)
    ready = waiting.filter(ready_at__isnull=False)
    return Depth(
        name=name,
        ready=listing.bounded(ready),
        later=listing.bounded(waiting.filter(ready_at__isnull=True)),
        running=running.get(name, 0),
        oldest_ready_at=ready.aggregate(oldest=Min("ready_at"))["oldest"],
        ended=sum(count for count, _ in ended.values()),
        failed=sum(failed for _, failed in ended.values()),
        chart=_chart(name, ended, now),
        drained_because=drained.get(name),
    )


def _ended(now: datetime) -> dict[str, dict[int, tuple[int, int]]]:
    """By queue and step of the last hour: how many jobs ended, and how many of those went wrong."""
    steps = HOUR.steps(now)
    rows = Job.objects.filter(status__in=FINISHED, finished_at__gte=steps[0]).order_by()
    counted = rows.values("queue", slot=StepNumber(steps, "finished_at")).annotate(
        jobs=Count("id"), failed=Count("id", filter=BADLY)
    )
    found: dict[str, dict[int, tuple[int, int]]] = {}
    groups: Any = counted
    for row in groups:
        found.setdefault(row["queue"], {})[row["slot"]] = (row["jobs"], row["failed"])
    return found


def _chart(name: str, ended: Mapping[int, tuple[int, int]], now: datetime) -> charts.TimeSeries:
    times = [at.astimezone(now.tzinfo) for at in HOUR.steps(now)]
    counts = [ended.get(number, (0, 0)) for number in range(len(times))]
    series = [
        charts.Series("Ended", [jobs for jobs, _ in counts]),
        charts.Series("Went wrong", [failed for _, failed in counts]),
    ]
    if not ended:
        times, series = [], []
    return charts.time_series(f"Ended jobs of {name}", times, series, text=format_count, height=CHART_HEIGHT)


def _drained() -> dict[str, str]:
    return dict(Queue.objects.filter(drained_at__isnull=False).values_list("name", "drained_because"))


def _running() -> dict[str, int]:
    return dict(Job.objects.filter(status=Status.RUNNING).values_list("queue").annotate(Count("id")))


def our_workers(now: datetime) -> list[Helper]:
    """Our processes. They serve everybody, so what they do now is nobody's to see."""
    rows = Worker.objects.order_by("name")[:MOST_WORKERS]
    return [Helper(one.plain_name, one.queues, one.heartbeat_at, _is_silent(one.heartbeat_at, now)) for one in rows]


def outside_workers(now: datetime) -> list[Helper]:
    """The organization's own processes that asked for work within the last day, the latest first."""
    rows = OutsideWorker.objects.filter(last_seen_at__gte=now - SHOWN_FOR).order_by("-last_seen_at")[:MOST_WORKERS]
    # A poll may wait for half a minute before the process is heard of again.
    return [Helper(one.name, one.kinds, one.last_seen_at, now - one.last_seen_at > 4 * SILENT_AFTER) for one in rows]


def _is_silent(seen_at: datetime, now: datetime) -> bool:
    return now - seen_at > SILENT_AFTER


def figures(now: datetime) -> list[dict[str, Any]]:
    """What programs are told of each queue, in two queries."""
    waits, is_ready = Q(status__in=WAITING), READY
    active = Job.objects.active().order_by().values("queue")
    ended = Job.objects.finished().filter(finished_at__gte=now - HOUR.span).order_by().values("queue")
    standing = active.annotate(
        ready=Count("id", filter=is_ready),
        later=Count("id", filter=waits & Q(ready_at=None)),
        running=Count("id", filter=Q(status=Status.RUNNING)),
        oldest_ready_at=Min("ready_at", filter=is_ready),
    )
    lately = ended.annotate(ended_last_hour=Count("id"), failed_last_hour=Count("id", filter=BADLY))
    found: dict[str, dict[str, Any]] = {}
    for row in [*standing, *lately]:
        found.setdefault(row["queue"], {}).update(row)
    nothing = dict.fromkeys(["ready", "later", "running", "ended_last_hour", "failed_last_hour"], 0)
    drained = _drained()
    return [
        {**nothing, "oldest_ready_at": None, **found.get(name, {}), "name": name, "is_drained": name in drained}
        for name in [*kinds.queues(), OUTSIDE]
    ]
