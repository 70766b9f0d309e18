"""Reads of the ledger. Every number shown is a sum of its rows, made in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any
from uuid import UUID

from django.db.models import Count, F, QuerySet, Sum, Window
from django.db.models.functions import Abs

from apps.core import charts, stacked_charts, time_ranges
from apps.core.formatting import format_count, format_part
from apps.core.postgres.aggregates import EPOCH, StepNumber
from apps.core.time_ranges import TimeRange
from apps.organizations.models import ApiToken, Membership
from apps.usage import meters
from apps.usage.meters import Meter
from apps.usage.models import DIMENSIONS, UsageDay, UsageEvent, UsageSum

SUMMED = timedelta(minutes=30)
QUARTER = TimeRange("90d", "Last 90 days", timedelta(days=90), time_ranges.A_DAY)
RANGES = {**time_ranges.RANGES, QUARTER.name: QUARTER}
FILTERS = ("meter", *DIMENSIONS)
GROUPS = [(name, name.capitalize(), None) for name in DIMENSIONS]
MOST_PARTS = 8
NOTHING = "Without"


@dataclass(slots=True)
class Use:
    """What was counted of one meter, in all and in each step of a range; of one value of a dimension, or of all."""

    value: str = ""
    label: str = ""
    quantity: int = 0
    cost_micro_usd: int | None = None
    event_count: int = 0
    by_step: dict[datetime, int] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any], at: datetime) -> None:
        self.by_step[at] = self.by_step.get(at, 0) + row["total"]
        self.quantity += row["total"]
        self.event_count += row["events"]
        if row["cost"] is not None:
            self.cost_micro_usd = (self.cost_micro_usd or 0) + row["cost"]

    def series(self, steps: Sequence[datetime]) -> charts.Series:
        return charts.Series(self.label, [self.by_step.get(at, 0) for at in steps])


@dataclass(slots=True)
class MeterUsage(Use):
    """A meter's use, and its parts by the values of a dimension: the largest ones, and `rest` for all the others."""

    meter: Meter = meters.PREDICTIONS
    parts: list[Use] = field(default_factory=list)
    rest: Use | None = None

    @property
    def text(self) -> str:
        return self.meter.text(self.quantity)

    @property
    def note(self) -> str:
        return "what came and went" if self.meter.is_stock else ""

    @property
    def is_divided(self) -> bool:
        """Whether any of it has the dimension."""
        return any(part.value for part in self.parts)

    @property
    def shown_parts(self) -> list[ShownPart]:
        if not self.is_divided:
            return []
        rest = [self._shown(self.rest, None)] if self.rest else []
        return [*(self._shown(part, part.value) for part in self.parts), *rest]

    def _shown(self, part: Use, value: str | None) -> ShownPart:
        share = format_part(part.quantity / self.quantity) if self.quantity > 0 <= part.quantity else ""
        return ShownPart(part, self.meter.text(part.quantity), share, value)

    def chart(
        self, steps: Sequence[datetime], zone: tzinfo | None, hrefs: Sequence[str] = ()
    ) -> stacked_charts.StackedChart:
        """What was used in each of `steps`, on an axis of `zone`."""
        local = [at.astimezone(zone) for at in steps]
        series = [part.series(steps) for part in self.parts] if self.is_divided else [self.series(steps)]
        rest = self.rest.series(steps) if self.rest else None
        return stacked_charts.stacked_chart(self.label, local, series, rest=rest, text=self.meter.text, hrefs=hrefs)


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A row of the table below a chart; `value` is None for all the others together."""

    use: Use
    text: str
    share: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A row of the ledger as people read it."""

    event: UsageEvent
    meter: str
    quantity: str
    token: str


def named_range(name: str) -> TimeRange:
    return RANGES.get(name, time_ranges.WEEK)


def filtered(given: Mapping[str, str], time_range: TimeRange, now: datetime) -> QuerySet[UsageEvent]:
    """The range's events with the meter and the dimensions that `given` names; of one of its steps if it names `at`."""
    events = UsageEvent.objects.filter(**_wanted(given))
    if span := step_at(given, time_range, now):
        return events.between(*span)
    return events.since(time_range.start(now))


def step_at(given: Mapping[str, str], time_range: TimeRange, now: datetime) -> tuple[datetime, datetime] | None:
    """Beginning and end of the step that `at` names, or falls into."""
    try:
        at = datetime.fromisoformat(given.get("at", ""))
    except ValueError:
        return None
    steps = [*time_range.steps(now), now + time_range.step]
    if at.tzinfo is None or not steps[0] <= at < steps[-1]:
        return None
    number = max(index for index, start in enumerate(steps) if start <= at)
    return steps[number], steps[number + 1]


def usage_by_meter(
    given: Mapping[str, str], time_range: TimeRange, now: datetime, group: str = "", most: int = MOST_PARTS
) -> list[MeterUsage]:
    """Each meter's use with the dimensions that `given` names, in parts by `group`; the most used meters first."""
    found: dict[str, MeterUsage] = {}
    steps = time_range.steps(now)
    for row, at in _by_step(given, steps, "meter"):
        name = row["meter"]
        found.setdefault(name, MeterUsage(name, meters.named(name).label, meter=meters.named(name))).add(row, at)
    used = sorted(found.values(), key=lambda one: (-one.event_count, one.value))
    if group:
        for one in used:
            divide(one, given, steps, group, most)
    return used


def divide(used: MeterUsage, given: Mapping[str, str], steps: Sequence[datetime], group: str, most: int) -> None:
    """Find the meter's largest parts by `group`, in order; all the others are what remains.

    However many values there are, PostgreSQL hands out those of `most` and the number of all.
    """
    given = {**given, "meter": used.value}
    largest = _largest(given, steps, group, most)
    parts = {value: Use(value) for value, _ in largest}
    for row, at in _by_step(given, steps, group, only=parts):
        parts[row[group]].add(row, at)
    used.parts = list(parts.values())
    _label(group, used.parts)
    others = max((count for _, count in largest), default=0) - len(parts)
    used.rest = _rest(used, f"{format_count(others)} other{'' if others == 1 else 's'}") if others else None


def _largest(given: Mapping[str, str], steps: Sequence[datetime], group: str, most: int) -> list[tuple[str, int]]:
    """The values with the largest sums, each with the number of all values."""
    sums = _since(given, steps).values(group).annotate(total=Sum("quantity"), count=Window(Count("*")))
    return list(sums.order_by(Abs("total").desc(), group).values_list(group, "count")[:most])


def _rest(used: MeterUsage, label: str) -> Use:
    """What no part of the meter has."""
    costs = [part.cost_micro_usd or 0 for part in used.parts]
    steps = {at: total - sum(part.by_step.get(at, 0) for part in used.parts) for at, total in used.by_step.items()}
    return Use(
        label=label,
        quantity=used.quantity - sum(part.quantity for part in used.parts),
        cost_micro_usd=None if used.cost_micro_usd is None else used.cost_micro_usd - sum(costs),
        event_count=used.event_count - sum(part.event_count for part in used.parts),
        by_step={at: quantity for at, quantity in steps.items() if quantity},
    )


def _label(group: str, parts: Iterable[Use]) -> None:
    known = labels(group, {part.value for part in parts})
    for part in parts:
        part.label = known[part.value]


def labels(dimension: str, values: Iterable[str]) -> dict[str, str]:
    """What people call these values of a dimension."""
    given = set(values)
    match dimension:
        case "token":
            known, gone = token_names(given), "Deleted token"
        case "user":
            known, gone = _member_names(given), "Former member"
        case "deployment":
            known, gone = _deployment_names(given), ""
        case "meter":
            known, gone = {value: meters.named(value).label for value in given}, ""
        case _:
            known, gone = {}, ""
    return {value: known.get(value) or (gone or value if value else f"{NOTHING} {dimension}") for value in given}


def token_names(token_ids: Iterable[str]) -> dict[str, str]:
    """The names of the organization's tokens among these ids."""
    rows = ApiToken.objects.filter(pk__in=_uuids(token_ids))
    return {str(pk): name for pk, name in rows.values_list("pk", "name")}


def _member_names(user_ids: Iterable[str]) -> dict[str, str]:
    rows = Membership.objects.filter(user_id__in=_uuids(user_ids))
    return {str(pk): email for pk, email in rows.values_list("user_id", "user__email")}


def _deployment_names(deployment_ids: Iterable[str]) -> dict[str, str]:
    """A deployment is called as calls name it, which its events say as their model."""
    rows = UsageDay.objects.filter(deployment__in=[value for value in deployment_ids if value]).exclude(model="")
    newest = rows.order_by("deployment", "-day").distinct("deployment")
    return dict(newest.values_list("deployment", "model"))


def _by_step(
    given: Mapping[str, str], steps: Sequence[datetime], name: str, only: Iterable[str] | None = None
) -> Iterable[tuple[dict[str, Any], datetime]]:
    """What was counted for each value of the dimension `name`, or for `only` these, and in which step."""
    rows, time_field = _since(given, steps), _time_field(steps)
    if only is not None:
        rows = rows.filter(**{f"{name}__in": list(only)})
    is_by_day = time_field == "day"
    counted = rows.values(name, step=F("day") if is_by_day else StepNumber(steps, time_field))
    events = Count("id") if rows.model is UsageEvent else Sum("event_count")
    for row in counted.annotate(total=Sum("quantity"), cost=Sum("cost_micro_usd"), events=events):
        yield row, datetime.combine(row["step"], time(), UTC) if is_by_day else steps[row["step"]]


def _since(given: Mapping[str, str], steps: Sequence[datetime]) -> QuerySet[Any]:
    """The fewest rows that know these steps, since the first one, with what `given` names."""
    rows, time_field = _source(steps)
    wanted = rows.filter(**_wanted(given)).order_by()
    if time_field == "occurred_at":
        return wanted.since(steps[0])
    return wanted.filter(**{f"{time_field}__gte": steps[0].date() if time_field == "day" else steps[0]})


def _source(steps: Sequence[datetime]) -> tuple[Any, str]:
    """The fewest rows that know these steps, and their column of time.

    Days of UTC and half hours are summed. Others are added up from the rows: the steps of short ranges, and those of
    zones such as Asia/Kathmandu, which is 5:45 ahead of UTC.
    """
    if _are_utc_days(steps):
        return UsageDay.objects.all(), "day"
    if all((at - EPOCH) % SUMMED == timedelta(0) for at in steps):
        return UsageSum.objects.all(), "at"
    return UsageEvent.objects.all(), "occurred_at"


def _are_utc_days(steps: Sequence[datetime]) -> bool:
    return all((at - EPOCH) % time_ranges.A_DAY == timedelta(0) for at in steps) and len(steps) > 1


def _time_field(steps: Sequence[datetime]) -> str:
    return _source(steps)[1]


def _wanted(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in FILTERS if given.get(name)}


def chips(given: Mapping[str, str], names: Iterable[str]) -> list[Chip]:
    """The filters that are on among these dimensions."""
    chosen = _wanted(given)
    return [
        Chip(name, name.capitalize(), labels(name, [chosen[name]])[chosen[name]]) for name in names if name in chosen
    ]


def shown_events(events: Sequence[UsageEvent]) -> list[ShownEvent]:
    tokens = token_names({event.token for event in events if event.token})
    return [_shown(event, tokens) for event in events]


def _shown(event: UsageEvent, tokens: Mapping[str, str]) -> ShownEvent:
    meter = meters.named(event.meter)
    return ShownEvent(event, meter.label, meter.text(event.quantity), tokens.get(event.token or "", ""))


def _uuids(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if _is_uuid(text)]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
