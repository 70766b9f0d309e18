"""Timelines: bars stand where their time is, and stay visible however short they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from apps.core import timelines
from apps.core.timelines import Span, Track

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def a_span(first_s: float, last_s: float, look: str = "running") -> Span:
    start, end = (START + timedelta(seconds=at) for at in (first_s, last_s))
    return Span(start, end, look, look, (f"{last_s - first_s} s",))


def test_bars_stand_where_their_time_is() -> None:
    tracks = [Track("Attempt 1", [a_span(0, 10, "waiting"), a_span(10, 50)]), Track("Attempt 2", [a_span(50, 100)])]
    drawn = timelines.timeline("Attempts", tracks, ["Lasted"])

    assert [(bar.left, bar.width) for bar in drawn.bars] == [(0, 10), (10, 40), (50, 50)]
    assert [bar.top for bar in drawn.bars] == [7, 7, 35]
    assert [row.label for row in drawn.rows] == ["waiting", "running", "running"]
    assert drawn.looks == (("waiting", "Waiting"), ("running", "Running"))


def test_what_lasted_no_time_is_seen_and_inside() -> None:
    drawn = timelines.timeline("Attempts", [Track("Attempt 1", [a_span(0, 100), a_span(100, 100, "danger")])], [])
    last = drawn.bars[-1]
    assert last.width == timelines.LEAST_WIDTH
    assert last.left + last.width <= 100


def test_a_single_moment_is_drawn() -> None:
    drawn = timelines.timeline("Attempts", [Track("Attempt 1", [a_span(0, 0)])], [])
    assert drawn.bars[0].left == 0


def test_what_was_over_within_a_second_still_says_when_that_was() -> None:
    drawn = timelines.timeline("Attempts", [Track("Attempt 1", [a_span(0.2, 0.25)])], [])
    assert [(tick.position, tick.label) for tick in drawn.x_ticks] == [(0, "08:00:00")]
