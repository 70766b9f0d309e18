from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.time_ranges import DAY, RANGES, TimeRange, named

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(st.sampled_from(list(RANGES.values())), moments)
def test_the_steps_cover_the_range_and_end_with_the_one_that_now_falls_into(one: TimeRange, now: datetime) -> None:
    steps = one.steps(now)
    assert steps[0] == one.start(now)
    assert steps[-1] == one.step_of(now)
    assert len(steps) * one.step == one.span
    assert steps[-1] <= now < steps[-1] + one.step


@pytest.mark.parametrize("name", ["", "1y", "24H"])
def test_an_unknown_name_is_the_default_range(name: str) -> None:
    assert named(name) is DAY
