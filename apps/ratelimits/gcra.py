"""The generic cell rate algorithm, as a leaky bucket: a level that leaks `limit` in each `window_ms` and holds `burst`.

The form with a continuous state of ITU-T I.371, annex A. The level is kept in units of the quantity, not in time, so
that another limit or burst counts for what was taken before it too. All of it is exact: a level is whole units and a
part, counted in 1/window of a unit; only another window rounds that part, up.
"""

from __future__ import annotations

from typing import NamedTuple

from apps.ratelimits.rules import LONGEST_MS, MOST_UNITS, Rule


class Level(NamedTuple):
    """`units` and `part`/`window_ms` of a unit, as they were at `at_ms` by a rule of that `burst`; 0 if not known."""

    units: int
    part: int
    window_ms: int
    at_ms: int
    burst: int = 0

    @property
    def parts(self) -> int:
        return self.units * self.window_ms + self.part


def aged(level: Level | None, rule: Rule, now_ms: int) -> Level:
    """What has not leaked yet. A level of the future is as if it were of now.

    Under a lower burst a level is no higher than that, but for what was above the burst already: whoever used much
    of a large limit would wait for hours under a small one.
    """
    if level is None:
        return Level(0, 0, rule.window_ms, now_ms, rule.burst)
    held = level.units * rule.window_ms + _divided_up(level.part * rule.window_ms, level.window_ms)
    lowered = max(0, level.burst - rule.burst) * rule.window_ms
    if lowered:
        held = max(held - lowered, min(held, rule.burst * rule.window_ms))
    leaked = max(0, now_ms - level.at_ms) * rule.limit
    return _level(max(0, held - leaked), rule, now_ms)


def is_stale(level: Level, rule: Rule, now_ms: int) -> bool:
    return level.at_ms > now_ms


def wait_ms(level: Level, rule: Rule, now_ms: int) -> int:
    if rule.cost > rule.burst:
        return -1
    excess = level.parts - (rule.burst - rule.cost) * rule.window_ms
    return min(LONGEST_MS, _divided_up(max(0, excess), rule.limit))


def remaining(level: Level, rule: Rule) -> int:
    return max(0, rule.burst - _divided_up(level.parts, rule.window_ms))


def reset_after_ms(level: Level, rule: Rule, now_ms: int) -> int:
    return min(LONGEST_MS, _divided_up(level.parts, rule.limit))


def taken(level: Level, rule: Rule, now_ms: int, quantity: int) -> Level:
    return level._replace(units=min(MOST_UNITS, level.units + quantity))


def given_back(level: Level, rule: Rule, now_ms: int, quantity: int, taken_at_ms: int, reset_ms: int) -> Level:
    """Take `quantity` out again that was put in at `taken_at_ms`, when the bucket was to be empty `reset_ms` later.

    No more than can still be in the bucket, even if nothing came after it: what has leaked meanwhile was given back so.
    """
    parts, elapsed_ms = quantity * rule.window_ms, now_ms - taken_at_ms
    if elapsed_ms > 0:
        parts = min(parts, max(0, reset_ms - 1 - elapsed_ms) * rule.limit)  # `reset_ms` is rounded up
    return _level(max(0, level.parts - parts), rule, now_ms)


def _level(parts: int, rule: Rule, now_ms: int) -> Level:
    units, part = divmod(parts, rule.window_ms)
    return Level(units, part, rule.window_ms, now_ms, rule.burst)


def _divided_up(number: int, by: int) -> int:
    return -(-number // by)
