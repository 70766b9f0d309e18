"""The time zones one can choose, grouped by the part of the world."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from zoneinfo import TZPATH, available_timezones

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
    names = sorted(_names() & _places() or _names())
    regions = [(region, [_choice(name) for name in names if name.startswith(f"{region}/")]) for region in REGIONS]
    return [("Universal", [("UTC", "UTC")]), *regions]


def _places() -> set[str]:
    """The zones of the table that the tz database keeps for choosing: one name for each place, none of the old ones."""
    tables = (Path(folder, "zone.tab") for folder in TZPATH)
    lines = [line for table in tables if table.is_file() for line in table.read_text().splitlines()]
    return {line.split("\t")[2] for line in lines if not line.startswith("#")}


def _choice(name: str) -> tuple[str, str]:
    return name, name.partition("/")[2].replace("_", " ").replace("/", ", ")
