"""Time ranges that pages and the API offer, and the steps a chart divides them into. Imports no Django.

Days are those of the zone of `now`, with 23 or 25 hours where its clocks change: pages hand in the person's time, the
API UTC. Shorter steps are all equally long, and are counted from today's midnight there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The last `span` until now, in steps of `step`."""

    name: str
    label: str
    span: timedelta
    step: timedelta

    def start(self, now: datetime) -> datetime:
        """The beginning of the first step, in UTC."""
        return self.steps(now)[0]

    def steps(self, now: datetime) -> list[datetime]:
        """The beginnings of all steps up to the one that `now` falls into, in UTC."""
        zone, numbers = now.tzinfo or UTC, range(self.span // self.step - 1, -1, -1)
        if self.step == A_DAY:
            return [midnight(now.date() - number * A_DAY, zone) for number in numbers]
        instant = now.astimezone(UTC)
        last = instant - (instant - midnight(now.date(), zone)) % self.step
        return [last - number * self.step for number in numbers]


def midnight(day: date, zone: tzinfo) -> datetime:
    """When the day begins there, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


HOUR = TimeRange("1h", "Last hour", timedelta(hours=1), timedelta(minutes=1))
DAY = TimeRange("24h", "Last 24 hours", timedelta(days=1), timedelta(minutes=30))
WEEK = TimeRange("7d", "Last 7 days", timedelta(days=7), timedelta(hours=4))
MONTH = TimeRange("30d", "Last 30 days", timedelta(days=30), timedelta(days=1))
RANGES = {one.name: one for one in (HOUR, DAY, WEEK, MONTH)}


def named(name: str, default: TimeRange = DAY) -> TimeRange:
    """The range of that name, or `default`."""
    return RANGES.get(name, default)
