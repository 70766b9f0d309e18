"""A policy in a sentence that people say: "100 requests a minute for each API token and route". Imports no Django."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from apps.core.formatting import format_count, format_money

UNITS = {"requests": "request", "tokens": "token", "concurrency": "call"}
# Seconds and what a window of so many is called.
WINDOWS = ((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds"))
FOR_EACH = {"token": "API token", "user": "person", "address": "address", "route": "route", "model": "endpoint"}
CALLS = {
    "predictions": "predictions of your endpoints",
    "gateway": "calls of models",
    "api": "calls of the REST API",
    "check": "calls that your own services ask about",
}


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


class Promised(Limited, Protocol):
    """All of a policy that matters to whoever it limits."""

    @property
    def algorithm(self) -> str: ...
    @property
    def burst(self) -> int | None: ...
    @property
    def is_shadow(self) -> bool: ...
    @property
    def planes(self) -> Sequence[str]: ...


def in_words(policy: Limited) -> str:
    return f"{amount(policy)} {whom(policy)}"


def promise(policy: Promised) -> str:
    """What the policy does, in whole sentences: "… for each API token, up to 20 requests at once … gets 429"."""
    counted = _listed([CALLS[plane] for plane in policy.planes])
    over = "What goes over it is counted, and passes." if policy.is_shadow else f"What goes over it {_refused(policy)}."
    return f"{in_words(policy)}{_how(policy)}. It counts {counted}. {over}"


def amount(policy: Limited) -> str:
    """How much: "100 requests a minute", "$2.50 every 15 minutes", "10 calls at once"."""
    return amount_of(policy.quantity, policy.limit, policy.window_s)


def amount_of(name: str, limit: int, window_s: int) -> str:
    return f"{quantity(name, limit)} {'at once' if name == 'concurrency' else window(window_s)}"


def quantity(name: str, number: int) -> str:
    return format_money(number) if name == "cost" else _counted(number, UNITS[name])


def window(seconds: int) -> str:
    """ "a minute", "every 15 minutes"."""
    told = period(seconds)
    if told[0].isdigit():
        return f"every {told}"
    return f"{'an' if told == 'hour' else 'a'} {told}"


def period(seconds: int) -> str:
    """ "minute", "15 minutes"."""
    length, one, many = next(unit for unit in WINDOWS if seconds % unit[0] == 0)
    number = seconds // length
    return one if number == 1 else f"{format_count(number)} {many}"


def whom(policy: Limited) -> str:
    """For whom: "for each API token and route", "for the whole organization"."""
    each = [
        f"value of {policy.header}" if name == "header" else FOR_EACH[name]
        for name in policy.subject
        if name != "organization"
    ]
    if not each:
        return "for the whole organization"
    return f"for each {_listed(each)}"


def _listed(several: Sequence[str]) -> str:
    *most, last = several
    return f"{', '.join(most)} and {last}" if most else last


def _how(policy: Promised) -> str:
    if policy.quantity == "concurrency":
        return ""
    if policy.algorithm == "window":
        return f", never more in any {period(policy.window_s)}"
    burst = policy.burst or policy.limit
    return f", {'all' if burst == policy.limit else f'up to {quantity(policy.quantity, burst)}'} at once if need be"


def _refused(policy: Promised) -> str:
    told = ["gets 429"] if {"predictions", "gateway", "api"} & set(policy.planes) else []
    told += ["is told to your services as not allowed"] if "check" in policy.planes else []
    return ", or ".join(told)


def _counted(number: int, unit: str) -> str:
    return f"{format_count(number)} {unit}" if number == 1 else f"{format_count(number)} {unit}s"
