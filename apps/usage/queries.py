"""Reads of the ledger. Every number shown is a sum of its rows, made in one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet, Sum

from apps.core import charts
from apps.core.postgres.aggregates import EPOCH, StepNumber
from apps.core.time_ranges import TimeRange
from apps.organizations.models import ApiToken
from apps.usage import meters
from apps.usage.models import UsageEvent, UsageSum

SUMMED = timedelta(minutes=30)
FILTERS = ("meter", "model", "token")
MOST_CHOICES = 8


@dataclass(slots=True)
class MeterUsage:
    """What one meter counted, in all and in each step of a range."""

    meter: str
    quantity: int = 0
    cost_micro_usd: int | None = None
    event_count: int = 0
    by_step: dict[datetime, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return meters.named(self.meter).label

    @property
    def text(self) -> str:
        return self.format(self.quantity)

    @property
    def format(self) -> Callable[[float | None], str]:
        return meters.named(self.meter).text

    def add(self, row: Mapping[str, Any], at: datetime) -> None:
        self.by_step[at] = row["total"]
        self.quantity += row["total"]
        self.event_count += row["events"]
        if row["cost"] is not None:
            self.cost_micro_usd = (self.cost_micro_usd or 0) + row["cost"]

    def chart(self, steps: Sequence[datetime], zone: tzinfo | None) -> charts.TimeSeries:
        """What was used in each of `steps`, on an axis of `zone`."""
        used = charts.Series(self.label, [self.by_step.get(at, 0) for at in steps])
        local = [at.astimezone(zone) for at in steps]
        return charts.time_series(self.label, local, [used], text=self.format, area=True)


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A row of the ledger as people read it."""

    event: UsageEvent
    meter: str
    quantity: str
    token: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What a range's events can be filtered by: (value, label, number of events), the most frequent first."""

    meter: list[tuple[str, str, int]]
    model: list[tuple[str, str, int]]
    token: list[tuple[str, str, int]]


def filtered(given: Mapping[str, str], time_range: TimeRange, now: datetime) -> QuerySet[UsageEvent]:
    """The range's events with the meter, model and token that `given` names."""
    return UsageEvent.objects.filter(**_wanted(given), occurred_at__gte=time_range.start(now))


def usage_by_meter(given: Mapping[str, str], time_range: TimeRange, now: datetime) -> list[MeterUsage]:
    """Each meter's usage with the model and token that `given` names, the most used meters first."""
    found: dict[str, MeterUsage] = {}
    steps = time_range.steps(now)
    for row in _counted(given, steps, "meter", step=StepNumber(steps, _time_field(steps))):
        found.setdefault(row["meter"], MeterUsage(row["meter"])).add(row, steps[row["step"]])
    return sorted(found.values(), key=lambda usage: (-usage.event_count, usage.meter))


def _counted(
    given: Mapping[str, str], steps: Sequence[datetime], *names: str, **expressions: Any
) -> Iterable[dict[str, Any]]:
    """Quantity, cost and number of events since the first step, for each combination of `names` and `expressions`."""
    rows: QuerySet[Any] = UsageSum.objects.all() if _are_summed(steps) else UsageEvent.objects.all()
    since = {f"{_time_field(steps)}__gte": steps[0]}
    groups = rows.filter(**_wanted(given), **since).order_by().values(*names, **expressions)
    events = Sum("event_count") if _are_summed(steps) else Count("id")
    return groups.annotate(total=Sum("quantity"), cost=Sum("cost_micro_usd"), events=events)


def _are_summed(steps: Sequence[datetime]) -> bool:
    """Whether all steps begin with a half hour that a sum is kept of. Others are added up from the rows: those of short
    ranges, and those of zones such as Asia/Kathmandu, which is 5:45 ahead of UTC.
    """
    return all((at - EPOCH) % SUMMED == timedelta(0) for at in steps)


def _time_field(steps: Sequence[datetime]) -> str:
    return "at" if _are_summed(steps) else "occurred_at"


def _wanted(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in FILTERS if given.get(name)}


def choices(time_range: TimeRange, now: datetime) -> Choices:
    """What the range's events can be filtered by."""
    rows = _counted({}, time_range.steps(now), *FILTERS)
    counted: dict[str, dict[str, int]] = {name: {} for name in FILTERS}
    for row in rows:
        for name, counts in counted.items():
            if row[name]:
                counts[row[name]] = counts.get(row[name], 0) + row["events"]
    tokens = token_names(counted["token"])
    return Choices(
        meter=_choices(counted["meter"], lambda meter: MeterUsage(meter).label),
        model=_choices(counted["model"], str),
        token=_choices(counted["token"], lambda token: tokens.get(token, "Deleted token")),
    )


def shown_events(events: Sequence[UsageEvent]) -> list[ShownEvent]:
    tokens = token_names({event.token for event in events if event.token})
    return [_shown(event, tokens) for event in events]


def _shown(event: UsageEvent, tokens: Mapping[str, str]) -> ShownEvent:
    used = MeterUsage(event.meter, event.quantity)
    return ShownEvent(event, used.label, used.text, tokens.get(event.token or "", ""))


def token_names(token_ids: Iterable[str]) -> dict[str, str]:
    """The names of the organization's tokens among these ids."""
    known = [token_id for token_id in token_ids if _is_uuid(token_id)]
    return {str(pk): name for pk, name in ApiToken.objects.filter(pk__in=known).values_list("pk", "name")}


def _choices(counts: Mapping[str, int], label: Callable[[str], str]) -> list[tuple[str, str, int]]:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_CHOICES]
    return [(value, label(value), count) for value, count in most]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
