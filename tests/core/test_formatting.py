from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import formatting
from apps.core.formatting import ABSENT

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
UNIT_BYTES = {unit: 1000**power for power, unit in enumerate(formatting.BYTE_UNITS)}
UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SMALL_FIRST = {"ms": 999.5, "s": 59.95, "m": 60, "h": 24}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, ABSENT),
        (0, "0 B"),
        (999, "999 B"),
        (999.5, "1 kB"),
        (1000, "1 kB"),
        (1_234_567, "1.23 MB"),
        (999_950, "1 MB"),
        (10**15, "1 PB"),
        (999_499_999_999_999, "999 TB"),
        (2**63 - 1, "9.22 EB"),
    ],
)
def test_sizes_use_decimal_units(size: float | None, text: str) -> None:
    assert formatting.format_bytes(size) == text


@given(st.integers(min_value=0, max_value=2**63 - 1), st.integers(min_value=0, max_value=2**63 - 1))
def test_a_larger_size_is_never_told_as_a_smaller_one_and_no_unit_reaches_the_next(one: int, other: int) -> None:
    def told(size: int) -> float:
        number, unit = formatting.format_bytes(size).split(" ")
        assert float(number) < 1000
        return float(number) * UNIT_BYTES[unit]

    low, high = sorted((one, other))
    assert told(low) <= told(high)


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
    ("number", "decimals", "text"),
    [
        (2.665, 2, "2.66"),
        (2.675, 2, "2.68"),
        (0.5, 0, "0"),
        (1.5, 0, "2"),
        (1234.25, 1, "1,234.2"),
        (-0.125, 2, "-0.12"),
    ],
)
def test_halves_are_rounded_to_even_by_the_digits_that_a_number_prints(number: float, decimals: int, text: str) -> None:
    assert formatting.format_decimals(number, decimals) == text


@given(st.integers(min_value=-(10**9), max_value=10**9))
def test_every_half_of_a_cent_goes_to_the_even_cent(cents: int) -> None:
    text = formatting.format_decimals(float(Decimal(cents * 10 + 5) / 1000), 2)
    assert int(text.replace(",", "").replace(".", "")) == cents + cents % 2


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, ABSENT),
        (0.42, "0.42 ms"),
        (340, "340 ms"),
        (999.7, "1.0 s"),
        (1234, "1.2 s"),
        (1250, "1.2 s"),
        (59_949, "59.9 s"),
        (59_950, "1 m 00 s"),
        (59_960, "1 m 00 s"),
        (391_000, "6 m 31 s"),
        (3_599_600, "1 h 00 m"),
        (3_600_000, "1 h 00 m"),
        (200_000_000, "2 d 07 h"),
    ],
)
def test_durations_show_their_two_largest_units(milliseconds: float | None, text: str) -> None:
    assert formatting.format_duration(milliseconds) == text


@given(*[st.one_of(st.floats(0, 100_000), st.integers(0, 10**11))] * 2)
def test_a_longer_time_is_never_told_as_a_shorter_one_and_there_are_no_sixty_seconds(one: float, other: float) -> None:
    def told(milliseconds: float) -> float:
        text = formatting.format_duration(milliseconds)
        parts = [(float(number), unit) for number, unit in re.findall(r"([\d.e-]+) (ms|s|m|h|d)", text)]
        assert all(number < SMALL_FIRST.get(unit, float("inf")) or unit == "ms" for number, unit in parts), text
        assert all(number < 1000 for number, unit in parts if unit == "ms"), text
        return sum(number * UNIT_MS[unit] for number, unit in parts)

    low, high = sorted((one, other))
    assert told(low) <= told(high)


@pytest.mark.parametrize(
    ("micro", "currency", "text"),
    [
        (None, "USD", ABSENT),
        (0, "USD", "$0.00"),
        (12_350_000, "USD", "$12.35"),
        (1_234_565_000, "USD", "$1,234.56"),
        (1_830, "USD", "$0.0018"),
        (12, "USD", "$0.000012"),
        (1, "USD", "$0.000001"),
        (0.15, "USD", "$0.00000015"),
        (-2_500_000, "USD", "-$2.50"),
        (-12, "USD", "-$0.000012"),
        (250_000, "USD", "$0.25"),
        (99_950, "USD", "$0.10"),
        (1_500_000, "EUR", "€1.50"),
        (1_500_000, "JPY", "¥2"),
        (250_000, "JPY", "¥0.25"),
        (1_500_000, "KWD", "1.500 KWD"),
        (1_500_000, "CHF", "1.50 CHF"),
    ],
)
def test_money_has_its_minor_units_and_small_amounts_stay_visible(
    micro: float | None, currency: str, text: str
) -> None:
    assert formatting.format_money(micro, currency) == text


@given(st.integers(1, 10**15), st.integers(1, 10**15))
def test_a_larger_amount_is_never_told_as_a_smaller_one_nor_any_as_nothing(one: int, other: int) -> None:
    low, high = (Decimal(formatting.format_money(micro)[1:].replace(",", "")) for micro in sorted((one, other)))
    assert 0 < low <= high


def test_a_share_is_a_percentage() -> None:
    assert formatting.format_percent(0.934) == "93.4%"
    assert formatting.format_percent(None) == ABSENT
    nearly = (0.99961, 0.9999999, 1.0, 1.0004)
    assert [formatting.format_percent(share) for share in nearly] == ["99.9%", "99.9%", "100%", "100%"]
    assert formatting.format_percent(0.9999, 2) == "99%"
    assert [formatting.format_part(share) for share in nearly] == ["99%", "99%", "100%", "100%"]
    assert [formatting.format_part(share) for share in (0, 0.0000007, 0.934, 12.5)] == [
        "0%",
        "under 1%",
        "93%",
        "1,250%",
    ]


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (-timedelta(seconds=3), "just now"),
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


@pytest.mark.parametrize(
    ("at", "now", "text"),
    [
        # The clock goes from 2:00 to 3:00, and in autumn from 3:00 back to 2:00.
        (datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN), datetime(2026, 3, 29, 3, 30, tzinfo=BERLIN), "1 hour ago"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=BERLIN), datetime(2026, 10, 25, 3, 30, tzinfo=BERLIN), "3 hours ago"),
        (
            datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
            datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
            "1 hour ago",
        ),
    ],
)
def test_a_changed_clock_does_not_change_how_long_ago_something_was(at: datetime, now: datetime, text: str) -> None:
    assert formatting.format_relative(at, now) == text


AT = datetime(2026, 7, 1, 22, 30, 5, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "moment", "sentence"),
    [
        ("UTC", "2026-07-01 22:30:05 UTC", "1 July 2026, 22:30 UTC"),
        ("Europe/Berlin", "2026-07-02 00:30:05 UTC+02:00", "2 July 2026, 00:30 Europe/Berlin (UTC+02:00)"),
        ("Asia/Kathmandu", "2026-07-02 04:15:05 UTC+05:45", "2 July 2026, 04:15 Asia/Kathmandu (UTC+05:45)"),
        ("America/St_Johns", "2026-07-01 20:00:05 UTC-02:30", "1 July 2026, 20:00 America/St_Johns (UTC-02:30)"),
    ],
)
def test_a_moment_is_told_with_the_offset_of_its_zone(zone: str, moment: str, sentence: str) -> None:
    local = AT.astimezone(ZoneInfo(zone))
    assert formatting.format_moment(local) == moment
    assert formatting.format_sentence(local) == sentence
    assert formatting.format_iso(local) == "2026-07-01T22:30:05Z"


def test_both_hours_that_a_clock_shows_twice_can_be_told_apart() -> None:
    first, second = (datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + timedelta(hours=hour) for hour in (0, 1))
    assert formatting.format_moment(first.astimezone(BERLIN)) == "2026-10-25 02:30:00 UTC+02:00"
    assert formatting.format_moment(second.astimezone(BERLIN)) == "2026-10-25 02:30:00 UTC+01:00"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (121, "2 minutes 1 second"),
        (3599, "59 minutes 59 seconds"),
        (3601, "1 hour 1 minute"),
        (7199, "2 hours"),
        (86_399, "1 day"),
        (90_001, "1 day 2 hours"),
    ],
)
def test_a_wait_is_told_in_two_units_and_never_too_short(seconds: int, text: str) -> None:
    assert formatting.format_wait(seconds) == text
