"""A bar is as high as its parts together, wherever it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.charts import Series
from apps.core.stacked_charts import LEAST_PX, REST, stacked_chart

START = datetime(2026, 11, 1, tzinfo=UTC)
TIMES = [START + timedelta(days=number) for number in range(3)]
values = st.lists(st.integers(1, 10**6), min_size=3, max_size=3)


@given(parts=st.lists(values, min_size=1, max_size=8))
def test_the_parts_of_a_bar_stand_on_each_other_without_a_gap(parts: list[list[int]]) -> None:
    chart = stacked_chart("Use", TIMES, [Series(str(number), one) for number, one in enumerate(parts)])
    for bar in chart.bars:
        low = chart.bottom
        for part in bar.parts:
            assert part.top <= low
            assert part.top + part.height == pytest.approx(low, abs=0.6)
            low = part.top
        assert low >= 0
    highest = max(range(3), key=lambda at: sum(one[at] for one in parts))
    assert min(range(3), key=lambda at: chart.bars[at].parts[-1].top) in [
        at for at in range(3) if sum(one[at] for one in parts) >= 0.99 * sum(one[highest] for one in parts)
    ]


def test_what_shrinks_is_drawn_below_the_axis() -> None:
    chart = stacked_chart("Stored", TIMES, [Series("a", [2, -2, 0])])
    (up,), (down,) = chart.bars[0].parts, chart.bars[1].parts
    assert up.top + up.height == pytest.approx(down.top)
    assert chart.bars[2].parts == ()


def test_the_others_have_the_quiet_colour_and_stand_last() -> None:
    chart = stacked_chart("Use", TIMES, [Series("a", [1, 1, 1])], rest=Series("2 others", [1, 0, 3]))
    assert chart.legend == ((1, "a"), (REST, "2 others"))
    assert [part.number for part in chart.bars[2].parts] == [1, REST]
    assert chart.columns == ("Time", "a", "2 others")


def test_nine_series_are_refused() -> None:
    with pytest.raises(ValueError, match="More than 8"):
        stacked_chart("Use", TIMES, [Series(str(number), [1, 1, 1]) for number in range(9)])


def test_without_any_use_there_is_no_chart() -> None:
    assert stacked_chart("Use", TIMES, [Series("a", [0, 0, 0])]).is_empty
    assert stacked_chart("Use", [], [Series("a", [])]).is_empty


def test_a_bar_that_is_small_beside_another_is_seen() -> None:
    chart = stacked_chart("Use", TIMES, [Series("1", [1, 0, 10**9]), Series("2", [1, 0, -(10**9)])])
    small, none, _ = chart.bars
    assert sum(part.height for part in small.parts) == LEAST_PX
    assert none.parts == ()
