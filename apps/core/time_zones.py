"""The time zones one can choose, grouped by the part of the world, and how one is found by what somebody types."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

from apps.core.errors import DomainError
from apps.core.formatting import format_offset

REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")

# What a machine may have beside the names of zones: another machine, or the database, takes them for something else.
NO_ZONES = {"Factory", "localtime"}


class UnknownTimeZone(DomainError):
    code = "unknown_time_zone"
    status = 422
    detail = "There is no time zone `{name}`. Write it like `Europe/Berlin`."


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones() - NO_ZONES)


def exists(name: str) -> bool:
    return name in _names()


def require(name: str) -> str:
    """The zone's name. Raises `UnknownTimeZone`, for the field `time_zone`."""
    if not exists(name):
        raise UnknownTimeZone(field="time_zone", name=name)
    return name


def named_like(text: str) -> str:
    """The zone that somebody means who types "europe/berlin", "New York" or "Kathmandu"; `text` if there is not one.

    Browsers say old names, such as "Asia/Katmandu": what is offered for the place is its present one.
    """
    wanted = _plain(text)
    found = {name for name in _names() if _plain(name) == wanted} or {
        name for _, zones in choices() for name, _ in zones if _plain(name.rpartition("/")[2]) == wanted
    }
    name = found.pop() if len(found) == 1 else text
    return _present_names().get(name, name)


def offered(now: datetime) -> list[tuple[str, str]]:
    """(name, its place and present offset), as a list that is searched while typing shows them."""
    zones = [zone for _, region in choices() for zone in region]
    return [(name, f"{words}, {format_offset(now.astimezone(ZoneInfo(name)))}") for name, words in zones]


def _plain(text: str) -> str:
    return text.strip().replace(" ", "_").casefold()


@cache
def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """(region, [(name, words)]), as a form's select shows them."""
    names = sorted(_names() & _places() or _names())
    regions = [(region, [_choice(name) for name in names if name.startswith(f"{region}/")]) for region in REGIONS]
    return [("Universal", [("UTC", "UTC")]), *regions]


def _places() -> set[str]:
    """The zones of the table that the tz database keeps for choosing: one name for each place, none of the old ones."""
    return {line.split("\t")[2] for line in _lines("zone.tab") if not line.startswith("#")}


@cache
def _present_names() -> dict[str, str]:
    """Old names of places by their present ones, as the tz database links them."""
    links = [line.split()[1:] for line in _lines("tzdata.zi") if line.startswith("L ")]
    places = _places()
    return {old: present for present, old in links if present in places and old not in places}


def _lines(table: str) -> list[str]:
    files = (Path(folder, table) for folder in TZPATH)
    return [line for file in files if file.is_file() for line in file.read_text().splitlines()]


def _choice(name: str) -> tuple[str, str]:
    return name, name.partition("/")[2].replace("_", " ").replace("/", ", ")
