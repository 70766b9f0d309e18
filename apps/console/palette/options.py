"""What the palette offers: one option leads somewhere or presses a button; options of one kind stand in a group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from apps.console.palette import matching
from apps.console.palette.matching import Rank


@dataclass(frozen=True, slots=True)
class Option:
    """`key` names it for as long as it exists; `attributes` make it a button where it has no `url`."""

    key: str
    label: str
    icon: str
    url: str = ""
    note: str = ""
    aliases: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """An option as an answer: `segments` are the pieces of its label, each with whether it was typed."""

    option: Option
    rank: Rank
    segments: list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Group:
    heading: str
    hits: list[Hit]

    @property
    def rank(self) -> Rank:
        return self.hits[0].rank


def ranked(heading: str, options: Iterable[Option], query: str, limit: int) -> Group:
    """The best `limit` options, what is named exactly so first."""
    hits = [hit for option in options if (hit := _hit(option, query))]
    return Group(heading, sorted(hits, key=lambda hit: (hit.rank, hit.option.label.lower()))[:limit])


def listed(heading: str, options: Iterable[Option]) -> Group:
    """All options in their own order, before anything is typed."""
    return Group(heading, [Hit(option, Rank.WORDS, [(option.label, False)]) for option in options])


def _hit(option: Option, query: str) -> Hit | None:
    found = matching.match(query, option.label, option.aliases)
    return Hit(option, found.rank, matching.segments(option.label, found.spans)) if found else None
