"""The time zones one can choose, grouped by the part of the world."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


# What a machine may have beside the names of zones: another machine, or the database, takes them for something else.
NO_ZONES = {"Factory", "localtime"}


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones() - NO_ZONES)


def exists(name: str) -> bool:
    return name in _names()


@cache
def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """(region, [(name, words)]), as a form's select shows them."""
    names = sorted(_names())
    regions = [(region, [_choice(name) for name in names if name.startswith(f"{region}/")]) for region in REGIONS]
    return [("Universal", [("UTC", "UTC")]), *regions]


def _choice(name: str) -> tuple[str, str]:
    return name, name.partition("/")[2].replace("_", " ").replace("/", ", ")
