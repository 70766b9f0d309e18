from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import formatting
from apps.core.formatting import ABSENT

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, ABSENT),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_234_567, "1.23 MB"),
        (999_950, "1 MB"),
        (10**15, "1 PB"),
    ],
)
def test_sizes_use_decimal_units(size: int | None, text: str) -> None:
    assert formatting.format_bytes(size) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, ABSENT),
        (0, "0"),
        (0.96217, "0.9622"),
        (1234567.0, "1,234,567"),
        (-0.00012345, "-0.0001234"),
        (9.99996, "10"),
        (1e-9, "1.000e-09"),
        (float("inf"), "∞"),
        (float("nan"), ABSENT),
    ],
)
def test_significant_digits_do_not_need_an_exponent_while_short(number: float | None, text: str) -> None:
    assert formatting.format_significant(number) == text


@given(st.floats(min_value=1e-5, max_value=1e12))
def test_four_significant_digits_are_within_one_part_in_two_thousand(number: float) -> None:
    assert float(formatting.format_significant(number).replace(",", "")) == pytest.approx(number, rel=5.1e-4)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, ABSENT),
        (0.42, "0.42 ms"),
        (340, "340 ms"),
        (999.7, "1.0 s"),
        (1234, "1.2 s"),
        (59_960, "1 m 00 s"),
        (391_000, "6 m 31 s"),
        (3_600_000, "1 h 00 m"),
        (200_000_000, "2 d 07 h"),
    ],
)
def test_durations_show_their_two_largest_units(milliseconds: float | None, text: str) -> None:
    assert formatting.format_duration(milliseconds) == text


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [
        (None, ABSENT),
        (0, "$0.00"),
        (12_350_000, "$12.35"),
        (1_830, "$0.0018"),
        (1, "$0.000001"),
        (-2_500_000, "-$2.50"),
        (250_000, "$0.25"),
    ],
)
def test_small_amounts_of_money_stay_visible(micro_usd: int | None, text: str) -> None:
    assert formatting.format_money(micro_usd) == text


def test_a_share_is_a_percentage() -> None:
    assert formatting.format_percent(0.934) == "93.4%"
    assert formatting.format_percent(None) == ABSENT


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=45), "45 seconds ago"),
        (timedelta(minutes=1, seconds=59), "1 minute ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=29), "29 days ago"),
        (timedelta(days=90), "2 Dec 2025"),
        (-timedelta(hours=2), "in 2 hours"),
        (timedelta(seconds=2) - timedelta(days=7), "in 7 days"),
        (timedelta(seconds=2) - timedelta(days=30), "in 30 days"),
        (-timedelta(days=6, hours=8), "in 6 days"),
        (-timedelta(hours=20), "in 20 hours"),
        (timedelta(seconds=2) - timedelta(days=1), "in 1 day"),
    ],
)
def test_times_are_told_relative_to_now(ago: timedelta, text: str) -> None:
    assert formatting.format_relative(NOW - ago, NOW) == text
