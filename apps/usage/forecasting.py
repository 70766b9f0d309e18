"""When an amount runs out, if it goes on being used as lately. Imports no Django.

Each coming day is expected to use as much as the mean of the last 7 whole days. Where 28 whole days are known, the days
of the week differ as they did in those four weeks. Fewer than 3 days tell nothing. Days are those of UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

A_DAY = timedelta(days=1)
WEEK = 7
PATTERN_DAYS = 28
FEWEST_DAYS = 3


class Outlook(StrEnum):
    TOO_EARLY = "too_early"
    LASTS = "lasts"
    RUNS_OUT = "runs_out"
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class Forecast:
    """`day` is when it runs out. `expected` is what will have been used at the end; None if nothing can be told."""

    outlook: Outlook
    day: date | None = None
    expected: int | None = None


def forecast(days: Sequence[int], used: int, included: int, now: datetime, end: datetime) -> Forecast:
    """When `used` reaches `included` before `end`. `days` are what the whole days up to yesterday used, oldest first,
    from the first one that is known.
    """
    if used >= included:
        return Forecast(Outlook.USED_UP, expected=used)
    if len(days) < FEWEST_DAYS:
        return Forecast(Outlook.TOO_EARLY)
    level, factors = _level(days), _factors(days, now)
    at, total, runs_out = now.astimezone(UTC), float(used), None
    while at < end:
        midnight = datetime.combine(at.date() + A_DAY, time(), UTC)
        total += level * factors[at.weekday()] * ((min(midnight, end) - at) / A_DAY)
        if runs_out is None and total >= included:
            runs_out = at.date()
        at = midnight
    outlook = Outlook.RUNS_OUT if runs_out else Outlook.LASTS
    return Forecast(outlook, runs_out, round(total))


def _level(days: Sequence[int]) -> float:
    lately = days[-WEEK:]
    return sum(lately) / len(lately)


def _factors(days: Sequence[int], now: datetime) -> list[float]:
    """How much each day of the week uses of a mean day's use, from Monday on."""
    weeks = days[-PATTERN_DAYS:]
    mean = sum(weeks) / len(weeks)
    if len(weeks) < PATTERN_DAYS or mean <= 0:
        return [1.0] * WEEK
    # The last of `days` was yesterday.
    yesterday = (now.astimezone(UTC) - A_DAY).weekday()
    by_weekday = [sum(weeks[PATTERN_DAYS - 1 - back :: -WEEK]) for back in range(WEEK)]
    factors = {(yesterday - back) % WEEK: total / (PATTERN_DAYS / WEEK) / mean for back, total in enumerate(by_weekday)}
    return [factors[weekday] for weekday in range(WEEK)]
