"""The forecast says what its model says: a mean of a week, the days of the week where they are known, and no more."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.usage.forecasting import Forecast, Outlook, forecast

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday
END = datetime(2026, 12, 1, tzinfo=UTC)


def test_what_is_used_up_runs_out_no_more() -> None:
    assert forecast([1] * 7, 10, 10, NOON, END).outlook == Outlook.USED_UP


@pytest.mark.parametrize("days", [[], [5], [5, 5]])
def test_a_day_or_two_tell_nothing(days: list[int]) -> None:
    assert forecast(days, 10, 1000, NOON, END) == Forecast(Outlook.TOO_EARLY)


def test_an_even_use_runs_out_on_the_day_that_it_reaches_the_amount() -> None:
    # 100 a day from noon of the 20th: 50 until midnight, 650 at the end of the 26th, 750 on the 27th.
    assert forecast([100] * 7, 0, 700, NOON, END).day == date(2026, 11, 27)
    assert forecast([100] * 3, 0, 650, NOON, END).day == date(2026, 11, 26)


def test_what_lasts_says_what_will_have_been_used() -> None:
    assert forecast([100] * 7, 500, 10_000, NOON, END) == Forecast(Outlook.LASTS, None, 500 + 1050)


def test_only_the_last_week_sets_the_level() -> None:
    assert forecast([9999] * 7 + [100] * 7, 0, 10**6, NOON, END).expected == 1050


def test_four_weeks_tell_the_days_of_the_week() -> None:
    # Nothing on Saturdays and Sundays; the last of the days was Thursday.
    days = [0 if (NOON - timedelta(days=back)).weekday() >= 5 else 100 for back in range(28, 0, -1)]
    # Half of Friday, Monday to Friday, and the Monday of the 30th.
    assert forecast(days, 0, 10**6, NOON, END).expected == 50 + 500 + 100
    assert forecast(days, 0, 151, NOON, END).day == date(2026, 11, 24)


def test_what_shrinks_never_runs_out() -> None:
    assert forecast([-5] * 28, 50, 100, NOON, END).outlook == Outlook.LASTS


@given(
    days=st.lists(st.integers(0, 10**9), min_size=3, max_size=40),
    used=st.integers(0, 10**9),
    included=st.integers(1, 10**10),
)
def test_it_runs_out_if_and_only_if_more_than_the_amount_is_expected(days: list[int], used: int, included: int) -> None:
    told = forecast(days, used, included, NOON, END)
    if used >= included:
        assert told.outlook == Outlook.USED_UP
    elif told.outlook == Outlook.RUNS_OUT:
        assert told.day is not None
        assert NOON.date() <= told.day < END.date()
        assert told.expected >= included
    else:
        assert told.expected <= included
