"""Numbers and times as people read them. Pure: every function takes a value and returns text.

Nothing measured is shown as an en dash, so that it is never mistaken for zero.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

ABSENT = "\N{EN DASH}"
BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def format_bytes(size: float | None) -> str:
    """Decimal units with three significant digits: `1234567` is "1.23 MB"."""
    if size is None:
        return ABSENT
    value, unit = float(size), 0
    while abs(value) >= 999.5 and unit < len(BYTE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{format_significant(value, 3)} {BYTE_UNITS[unit]}"


def format_count(number: float | None) -> str:
    """A whole number with thousands separated: `1234567` is "1,234,567"."""
    return ABSENT if number is None else f"{round(number):,}"


def format_significant(number: float | None, digits: int = 4) -> str:
    """`digits` significant digits without an exponent where that stays short: `0.96217` is "0.9622"."""
    if number is None or not math.isfinite(number):
        return ABSENT if number is None or math.isnan(number) else ("∞" if number > 0 else "-∞")
    if number == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{number:.{digits - 1}e}"))))
    if exponent < -5 or exponent >= 15:
        return f"{number:.{digits - 1}e}"
    decimals = max(digits - 1 - exponent, 0)
    text = f"{number:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def format_percent(share: float | None, digits: int = 3) -> str:
    """A share of one: `0.934` is "93.4%"."""
    return ABSENT if share is None else f"{format_significant(share * 100, digits)}%"


def format_duration(milliseconds: float | None) -> str:
    """The two largest units: "0.42 ms", "340 ms", "1.2 s", "2 m 05 s", "3 h 07 m", "2 d 04 h"."""
    if milliseconds is None:
        return ABSENT
    if milliseconds < 999.5:
        return f"{format_significant(milliseconds, 2 if milliseconds < 10 else 3)} ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02} h"
    return f"{hours} h {minute:02} m" if hours else f"{minutes} m {second:02} s"


def format_money(micro_usd: int | None) -> str:
    """US dollars from micro-dollars; below one dollar with enough decimals to see the amount."""
    if micro_usd is None:
        return ABSENT
    dollars = micro_usd / 1_000_000
    if micro_usd == 0 or abs(dollars) >= 1:
        return f"-${-dollars:,.2f}" if dollars < 0 else f"${dollars:,.2f}"
    digits = max(2, 1 - math.floor(math.log10(abs(dollars))))
    text = f"{abs(dollars):.{min(digits, 6)}f}"
    return f"-${text}" if dollars < 0 else f"${text}"


def format_relative(at: datetime, now: datetime) -> str:
    """How long ago, or how far ahead: "just now", "5 minutes ago", "in 2 hours", "3 Mar 2025"."""
    seconds = (now - at) / timedelta(seconds=1)
    distance = abs(seconds)
    if distance < 10:
        return "just now"
    if distance > 30 * 86_400:
        return f"{at.day} {at:%b %Y}"
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if amount := int(distance // size) if seconds > 0 else _whole(distance / size):
            text = f"{amount} {unit}{'' if amount == 1 else 's'}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now"


def format_moment(at: datetime) -> str:
    """A moment in its own zone with the offset: "2025-03-01 14:00:00 UTC+01:00"."""
    return f"{at.astimezone(timezone(at.utcoffset() or timedelta())):%Y-%m-%d %H:%M:%S %Z}"


def _whole(amount: float) -> int:
    """The nearest whole number, so that what ends in seven days says so a moment later; below one, zero."""
    return round(amount) if amount >= 0.99 else 0
