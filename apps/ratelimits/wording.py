"""A policy in a sentence that people say: "100 requests a minute for each API token and route". Imports no Django."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from apps.core.formatting import format_count, format_money

UNITS = {"requests": "request", "tokens": "token", "concurrency": "call"}
# Seconds and what a window of so many is called.
WINDOWS = ((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds"))
FOR_EACH = {"token": "API token", "user": "person", "address": "address", "route": "route", "model": "endpoint"}


class Limited(Protocol):
    """A policy, or a plan's limit."""

    @property
    def subject(self) -> Sequence[str]: ...
    @property
    def header(self) -> str: ...
    @property
    def quantity(self) -> str: ...
    @property
    def limit(self) -> int: ...
    @property
    def window_s(self) -> int: ...


def in_words(policy: Limited) -> str:
    return f"{amount(policy)} {whom(policy)}"


def amount(policy: Limited) -> str:
    """How much: "100 requests a minute", "$2.50 every 15 minutes", "10 calls at once"."""
    return amount_of(policy.quantity, policy.limit, policy.window_s)


def amount_of(name: str, limit: int, window_s: int) -> str:
    return f"{quantity(name, limit)} {'at once' if name == 'concurrency' else window(window_s)}"


def quantity(name: str, number: int) -> str:
    return format_money(number) if name == "cost" else _counted(number, UNITS[name])


def window(seconds: int) -> str:
    """ "a minute", "every 15 minutes"."""
    for length, one, many in WINDOWS:
        if seconds % length == 0:
            number = seconds // length
            return f"every {format_count(number)} {many}" if number > 1 else f"{'an' if one == 'hour' else 'a'} {one}"
    raise ValueError(seconds)


def whom(policy: Limited) -> str:
    """For whom: "for each API token and route", "for the whole organization"."""
    each = [
        f"value of {policy.header}" if name == "header" else FOR_EACH[name]
        for name in policy.subject
        if name != "organization"
    ]
    if not each:
        return "for the whole organization"
    *most, last = each
    return f"for each {', '.join(most)} and {last}" if most else f"for each {last}"


def _counted(number: int, unit: str) -> str:
    return f"{format_count(number)} {unit}" if number == 1 else f"{format_count(number)} {unit}s"
