"""Numbers, money and times as people read them. Pure: every function takes a value and returns text.

Nothing measured is shown as an en dash, so that it is never mistaken for zero. Halves are rounded to even, by the
digits that a number prints, and what is more is never shown as less.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal

ABSENT = "\N{EN DASH}"
BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
MICRO = 1_000_000
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
# Decimals of a currency's minor unit, where it has not two (ISO 4217).
MINOR_DIGITS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
NOW_S = 10
TOLD_BY_DATE_S = 30 * 86_400


def format_bytes(size: float | None) -> str:
    """Decimal units with three significant digits: `1234567` is "1.23 MB"."""
    if size is None:
        return ABSENT
    value, unit = Decimal(str(size)), 0
    while abs(value) >= Decimal("999.5") and unit < len(BYTE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{format_count(value)} B" if unit == 0 else f"{format_significant(value, 3)} {BYTE_UNITS[unit]}"


def format_count(number: float | Decimal | None) -> str:
    """A whole number with thousands separated: `1234567` is "1,234,567"."""
    return ABSENT if number is None else f"{round(number):,}"


def format_significant(number: float | Decimal | None, digits: int = 4) -> str:
    """`digits` significant digits without an exponent where that stays short: `0.96217` is "0.9622"."""
    if number is None or not math.isfinite(number):
        return ABSENT if number is None or math.isnan(number) else ("∞" if number > 0 else "-∞")
    rounded = Context(prec=digits, rounding=ROUND_HALF_EVEN).create_decimal(str(number))
    if rounded == 0:
        return "0"
    exponent = rounded.adjusted()
    if exponent < -5 or exponent >= 15:
        return f"{float(rounded):.{digits - 1}e}"
    text = format_decimals(number, max(digits - 1 - exponent, 0))
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_decimals(number: float | Decimal, decimals: int) -> str:
    """Exactly so many digits behind the point: `2.675` with two is "2.68"."""
    return f"{_rounded(number, decimals):,.{decimals}f}"


def format_percent(share: float | None, digits: int = 3) -> str:
    """A share of one: `0.934` is "93.4%". Less than all is never "100%"."""
    if share is None:
        return ABSENT
    most = 100 - Decimal(10) ** (2 - digits) if share < 1 else Decimal("Infinity")
    return f"{format_significant(min(Decimal(str(share)) * 100, most), digits)}%"


def format_part(share: float) -> str:
    """A share of one in whole percents, for a glance: "93%", and "under 1%" for the least.

    Cut, so that what is nearly used up is not shown as used up.
    """
    return "under 1%" if 0 < share < 0.01 else f"{int(Decimal(str(share)) * 100):,}%"


def format_duration(milliseconds: float | None) -> str:
    """The two largest units, cut behind the smaller: "340 ms", "1.2 s", "2 m 05 s", "3 h 07 m", "2 d 04 h"."""
    if milliseconds is None:
        return ABSENT
    if milliseconds < 999.5:
        return f"{format_significant(milliseconds, 2 if milliseconds < 10 else 3)} ms"
    seconds = Decimal(str(milliseconds)) / 1000
    if seconds < Decimal("59.95"):
        return f"{format_decimals(seconds, 1)} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02} h"
    return f"{hours} h {minute:02} m" if hours else f"{minutes} m {second:02} s"


def format_wait(seconds: int) -> str:
    """How long to wait, in the two largest units and never too short: "4 minutes 10 seconds", "2 hours 1 minute"."""
    largest = next((number for number, (_, size) in enumerate(UNITS) if seconds >= size), len(UNITS) - 1)
    smaller = UNITS[min(largest + 1, len(UNITS) - 1)][1]
    rest, told = -(-seconds // smaller) * smaller, []
    for unit, size in UNITS:
        amount, rest = divmod(rest, size)
        if amount:
            told.append(f"{amount} {unit}{'' if amount == 1 else 's'}")
    return " ".join(told) or "0 seconds"


def format_money(micro: float | Decimal | None, currency: str = "USD") -> str:
    """An amount from millionths of a currency: `12350000` is "$12.35", `12` is "$0.000012".

    In minor units from one whole unit on; below, with as many digits as show the amount.
    """
    if micro is None:
        return ABSENT
    amount, minor = Decimal(str(micro)) / MICRO, MINOR_DIGITS.get(currency, 2)
    decimals = minor if amount == 0 or abs(amount) >= 1 else max(minor, 1 - amount.adjusted())
    whole, _, fraction = format_decimals(abs(amount), decimals).partition(".")
    fraction = fraction[:minor] + fraction[minor:].rstrip("0")
    text = f"{whole}.{fraction}" if fraction else whole
    sign = "-" if amount < 0 else ""
    return f"{sign}{SYMBOLS[currency]}{text}" if currency in SYMBOLS else f"{sign}{text} {currency}"


def format_relative(at: datetime, now: datetime) -> str:
    """How long ago, or how far ahead: "just now", "5 minutes ago", "in 2 hours", "3 Mar 2025" in the zone of `at`.

    The page keeps these words true by itself (static/core/js/times.js): what changes here changes there.
    """
    # Two times of one zone are subtracted by what their clocks show, which a changed clock makes wrong by an hour.
    seconds = (now.astimezone(UTC) - at.astimezone(UTC)) / timedelta(seconds=1)
    distance = abs(seconds)
    if distance < NOW_S:
        return "just now"
    if distance > TOLD_BY_DATE_S:
        return format_date(at)
    amount, unit = next(
        (amount, unit)
        for unit, size in UNITS
        if (amount := int(distance // size) if seconds > 0 else _nearest(distance / size))
    )
    text = f"{amount} {unit}{'' if amount == 1 else 's'}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def format_date(at: datetime) -> str:
    """The day, in the time's own zone: "3 Mar 2025"."""
    return f"{at.day} {at:%b %Y}"


def format_day(at: datetime) -> str:
    """The day for tables and charts: "2025-03-01"."""
    return f"{at:%Y-%m-%d}"


def format_month(at: datetime) -> str:
    """The month: "2025-03"."""
    return f"{at:%Y-%m}"


def format_day_of_month(at: datetime) -> str:
    """The day on an axis: "03 Mar"."""
    return f"{at:%d %b}"


def format_clock(at: datetime, *, seconds: bool = False) -> str:
    """The time of the day: "14:00", or "14:00:00"."""
    return f"{at:%H:%M:%S}" if seconds else f"{at:%H:%M}"


def format_time(at: datetime, *, seconds: bool = True) -> str:
    """Day and time in the time's own zone, which is not named: "2025-03-01 14:00:00"."""
    return f"{format_day(at)} {format_clock(at, seconds=seconds)}"


def format_offset(at: datetime) -> str:
    """How far the time's zone is from UTC at this time: "UTC+05:45"."""
    return f"{at.astimezone(timezone(at.utcoffset() or timedelta())):%Z}"


def format_moment(at: datetime) -> str:
    """A moment in its own zone with the offset: "2025-03-01 14:00:00 UTC+01:00"."""
    return f"{format_time(at)} {format_offset(at)}"


def format_sentence(at: datetime) -> str:
    """A moment for a mail, with its zone: "1 March 2025, 14:00 Europe/Berlin (UTC+01:00)"."""
    offset, zone = format_offset(at), getattr(at.tzinfo, "key", "UTC")
    named = offset if zone == offset else f"{zone} ({offset})"
    return f"{at.day} {at:%B %Y}, {format_clock(at)} {named}"


def format_typed(at: datetime) -> str:
    """The value of an input of type `datetime-local`: "2025-03-01T14:00:00"."""
    return f"{at:%Y-%m-%dT%H:%M:%S}"


def format_iso(at: datetime) -> str:
    """RFC 3339 in UTC, as the API says it: "2025-03-01T13:00:00Z"."""
    return f"{format_typed(at.astimezone(UTC))}Z"


def _rounded(number: float | Decimal, decimals: int) -> Decimal:
    # The digits that a number prints: binary fractions would round 2.675 down.
    return round(Decimal(str(number)), decimals)


def _nearest(amount: float) -> int:
    """The nearest whole number, so that what ends in seven days says so a moment later; below one, zero."""
    return math.floor(amount + 0.5) if amount >= 0.99 else 0
