"""Time ranges that pages and the API offer, and the equal steps a chart divides them into. Imports no Django."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Steps are counted from here, in the database (`date_bin`) as well as in Python.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The last `span` until now, in steps of `step`."""

    name: str
    label: str
    span: timedelta
    step: timedelta

    def start(self, now: datetime) -> datetime:
        """The beginning of the first step."""
        return self.step_of(now - self.span + self.step)

    def step_of(self, at: datetime) -> datetime:
        """The beginning of the step that `at` falls into."""
        return at - (at - EPOCH) % self.step

    def steps(self, now: datetime) -> list[datetime]:
        """The beginnings of all steps up to the one that `now` falls into."""
        count = self.span // self.step
        first = self.start(now)
        return [first + number * self.step for number in range(count)]


HOUR = TimeRange("1h", "Last hour", timedelta(hours=1), timedelta(minutes=1))
DAY = TimeRange("24h", "Last 24 hours", timedelta(days=1), timedelta(minutes=30))
WEEK = TimeRange("7d", "Last 7 days", timedelta(days=7), timedelta(hours=4))
MONTH = TimeRange("30d", "Last 30 days", timedelta(days=30), timedelta(days=1))
RANGES = {one.name: one for one in (HOUR, DAY, WEEK, MONTH)}


def named(name: str, default: TimeRange = DAY) -> TimeRange:
    """The range of that name, or `default`."""
    return RANGES.get(name, default)
