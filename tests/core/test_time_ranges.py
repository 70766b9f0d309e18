from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.time_ranges import DAY, MONTH, RANGES, WEEK, TimeRange, named

ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "America/Havana", "Australia/Lord_Howe"]
instants = st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))
moments = st.builds(lambda at, zone: at.astimezone(ZoneInfo(zone)), instants, st.sampled_from(ZONES))
short_ranges = st.sampled_from([one for one in RANGES.values() if one is not MONTH])


@given(short_ranges, moments)
def test_short_steps_cover_the_range_and_end_with_the_one_that_now_falls_into(one: TimeRange, now: datetime) -> None:
    steps = one.steps(now)
    assert steps[0] == one.start(now)
    assert {later - earlier for earlier, later in pairwise(steps)} == {one.step}
    assert len(steps) * one.step == one.span
    assert steps[-1] <= now.astimezone(UTC) < steps[-1] + one.step


@given(moments)
def test_the_steps_of_a_month_are_its_days_in_the_zone_of_now(now: datetime) -> None:
    steps = MONTH.steps(now)
    days = [(now.date() - timedelta(days=number)) for number in range(29, -1, -1)]
    assert [at.astimezone(now.tzinfo).date() for at in steps] == days
    # The instant before belongs to the day before.
    earlier = [(at - timedelta(microseconds=1)).astimezone(now.tzinfo).date() for at in steps]
    assert earlier == [day - timedelta(days=1) for day in days]
    assert steps[-1] <= now.astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "now", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 30, 12), 23),
        ("Europe/Berlin", datetime(2026, 10, 26, 12), 25),
        ("America/St_Johns", datetime(2026, 3, 9, 12), 23),
        ("America/St_Johns", datetime(2026, 11, 2, 12), 25),
        ("Asia/Kathmandu", datetime(2026, 3, 30, 12), 24),
    ],
)
def test_a_day_is_as_long_as_the_zones_clocks_make_it(zone: str, now: datetime, hours: int) -> None:
    *_, yesterday, today = MONTH.steps(now.replace(tzinfo=ZoneInfo(zone)))
    assert today - yesterday == timedelta(hours=hours)


def test_the_same_instant_has_other_days_in_another_zone() -> None:
    now = datetime(2026, 7, 1, 20, 0, tzinfo=UTC)
    assert MONTH.steps(now)[-1] == datetime(2026, 7, 1, tzinfo=UTC)
    assert MONTH.steps(now.astimezone(ZoneInfo("Asia/Kathmandu")))[-1] == datetime(2026, 7, 1, 18, 15, tzinfo=UTC)
    assert MONTH.steps(now.astimezone(ZoneInfo("America/St_Johns")))[-1] == datetime(2026, 7, 1, 2, 30, tzinfo=UTC)


def test_short_steps_begin_at_round_times_of_the_zone() -> None:
    now = datetime(2026, 7, 1, 20, 7, tzinfo=UTC).astimezone(ZoneInfo("Asia/Kathmandu"))
    assert {f"{at.astimezone(now.tzinfo):%H:%M}" for at in WEEK.steps(now)} == {
        *("00:00", "04:00", "08:00", "12:00", "16:00", "20:00")
    }
    assert {at.astimezone(now.tzinfo).minute for at in DAY.steps(now)} == {0, 30}


@pytest.mark.parametrize("name", ["", "1y", "24H"])
def test_an_unknown_name_is_the_default_range(name: str) -> None:
    assert named(name) is DAY
