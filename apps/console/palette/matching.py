"""How well a name answers what was typed, and which of its letters did."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

WORD = re.compile(r"[^\W_]+")

Span = tuple[int, int]


class Rank(IntEnum):
    """Better first."""

    EXACT = 0
    PREFIX = 1
    WORDS = 2
    ALIAS = 3


@dataclass(frozen=True, slots=True)
class Match:
    """`spans` are the parts of the name that answer, from and to, in order and apart."""

    rank: Rank
    spans: tuple[Span, ...]


def match(query: str, name: str, aliases: str = "") -> Match | None:
    """Whether the name is what was typed, begins so, or has for each typed word one that begins so.

    `aliases` are other words for the same thing, which come after the name's own. Upper and lower case are alike.
    """
    wanted, given = _lower(query), _lower(name)
    if given.startswith(wanted):
        return Match(Rank.EXACT if given == wanted else Rank.PREFIX, ((0, len(wanted)),))
    words = WORD.findall(wanted)
    found = [(word, _beginning(word, given)) for word in words]
    unnamed = [word for word, span in found if span is None]
    if not words or not all(_beginning(word, _lower(aliases)) for word in unnamed):
        return None
    return Match(Rank.ALIAS if unnamed else Rank.WORDS, _apart(span for _, span in found if span))


def segments(name: str, spans: tuple[Span, ...]) -> list[tuple[str, bool]]:
    """The name cut into pieces, each with whether it answers."""
    pieces, at = [], 0
    for start, end in spans:
        pieces += [(name[at:start], False), (name[start:end], True)]
        at = end
    return [piece for piece in [*pieces, (name[at:], False)] if piece[0]]


def _beginning(word: str, text: str) -> Span | None:
    """Where a word of the text begins so."""
    starts = (hit.start() for hit in WORD.finditer(text) if hit.group().startswith(word))
    start = next(starts, None)
    return None if start is None else (start, start + len(word))


def _apart(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order, of two at the same place the longer one."""
    return tuple(sorted(dict(sorted(spans)).items()))


def _lower(text: str) -> str:
    # Letter by letter, because some letters become two, which would shift what is marked.
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)
