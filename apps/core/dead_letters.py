"""Events that could not be stored, kept with the reason until an operator replays or discards them. Imports no Django.

None is dropped to make room: what would be one too many stays in its stream, until that is full and calls are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from apps.core import entries

STREAM = "events:dead"
COUNTS = "events:dead:counts"  # by stream and reason
MOST = 100_000
CHUNK = 1_000
PAGE_SIZE = 50
LOOKED_AT = 10  # chunks, for one page of what a filter leaves

# One step, so that an event is never in both places and never in none. Who was slow finds it buried by who took over;
# what was taken out of its stream meanwhile, by an erasure, is not kept here either.
_BURY = f"""{entries.LEAVE}
local letters, stream, id = KEYS[1], KEYS[2], ARGV[2]
if redis.call('XLEN', letters) >= tonumber(ARGV[4]) then return 0 end
if redis.call('XACK', stream, ARGV[1], id) == 0 or leave(KEYS[4], stream, id, ARGV[3]) == 0 then return 1 end
for i = 5, #ARGV, 2 do
    redis.call('XADD', letters, '*', 'stream', stream, 'id', id, 'reason', ARGV[i + 1], 'e', ARGV[i])
    redis.call('HINCRBY', KEYS[3], stream .. '\\t' .. ARGV[i + 1], 1)
end
return 1
"""
_TAKE_OUT = """
local function take_out(letters, counts, id, kind)
    if redis.call('XDEL', letters, id) == 0 then return 0 end
    if redis.call('HINCRBY', counts, kind, -1) < 1 then redis.call('HDEL', counts, kind) end
    return 1
end
"""
# Whoever takes the letter out first puts it back into its stream; the other one finds it gone.
_REPLAY = f"""{_TAKE_OUT}
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
local fields = found[1][2]
local letter = {{}}
for i = 1, #fields, 2 do letter[fields[i]] = fields[i + 1] end
if letter['stream'] ~= KEYS[2] then return 0 end
redis.call('XADD', KEYS[2], '*', 'e', letter['e'])
redis.call('HINCRBY', KEYS[4], KEYS[2], 1)
return take_out(KEYS[1], KEYS[3], ARGV[1], ARGV[2])
"""
_DISCARD = f"{_TAKE_OUT}return take_out(KEYS[1], KEYS[2], ARGV[1], ARGV[2])"


class Full(Exception):
    """There are so many dead letters that no more is taken."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One event that was refused: where it came from, why, when, and its text as it was."""

    id: str
    stream: str
    reason: str
    event: bytes

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(int(self.id.partition("-")[0]) / 1000, UTC)

    def fits(self, stream: str, reason: str) -> bool:
        """Whether it is of the stream and has the reason, if these are told."""
        return stream in ("", self.stream) and reason in ("", self.reason)

    @property
    def kind(self) -> str:
        """What it is counted under."""
        return f"{self.stream}\t{self.reason}"


@dataclass(frozen=True, slots=True)
class Page:
    """Some letters, and the id before which to look on; None at the end.

    A filter may leave a page with few letters or none that does not end yet.
    """

    letters: list[Letter]
    before: str | None


def bury(redis: Any, group: str, stream: str, entry: tuple[bytes, int], refused: Iterable[tuple[bytes, str]]) -> None:
    """Move events of an entry that `group` has read to the dead letters, each with the reason, and finish the entry.

    `entry` is its id and the number of its events, of which the others are stored. Raises `Full`.
    """
    keys = (STREAM, stream, COUNTS, entries.WAITING)
    if not redis.eval(_BURY, len(keys), *keys, group, *entry, MOST, *chain.from_iterable(refused)):
        raise Full(f"there are {MOST} dead letters; replay or discard them")


def count(redis: Any) -> int:
    return int(redis.xlen(STREAM))


def counts(redis: Any) -> list[tuple[str, str, int]]:
    """Stream, reason and number of letters, the most frequent first. Does not read the letters."""
    with redis.pipeline(transaction=True) as pipe:
        number, kept = pipe.xlen(STREAM).hgetall(COUNTS).execute()
    by_kind: Mapping[str, int] = {kind.decode(errors="replace"): int(of_kind) for kind, of_kind in kept.items()}
    if sum(by_kind.values()) != number:
        # Somebody took letters away by hand, or they are older than their counts.
        by_kind = _counted_anew(redis)
    return [(*_stream_and_reason(kind), of_kind) for kind, of_kind in Counter(by_kind).most_common()]


def _counted_anew(redis: Any) -> Mapping[str, int]:
    by_kind = Counter(letter.kind for letter in letters(redis))
    with redis.pipeline(transaction=True) as pipe:
        pipe.delete(COUNTS)
        if by_kind:
            pipe.hset(COUNTS, mapping=by_kind)
        pipe.execute()
    return by_kind


def _stream_and_reason(kind: str) -> tuple[str, str]:
    stream, _, reason = kind.partition("\t")
    return stream, reason


def page(redis: Any, *, reason: str = "", stream: str = "", before: str = "") -> Page:
    """The newest letters that fit, of those before an id if one is told. Reads a bounded number of them."""
    found: list[Letter] = []
    for number, letter in enumerate(_newest_first(redis, before), start=1):
        if letter.fits(stream, reason):
            found.append(letter)
        if len(found) > PAGE_SIZE:
            return Page(found[:PAGE_SIZE], found[PAGE_SIZE - 1].id)
        if number == LOOKED_AT * CHUNK:
            return Page(found, letter.id)
    return Page(found, None)


def letters(redis: Any, *, reason: str = "", stream: str = "") -> Iterator[Letter]:
    """Those of a stream and with a reason, if these are told, the newest first, a chunk at a time."""
    return (letter for letter in _newest_first(redis) if letter.fits(stream, reason))


def _newest_first(redis: Any, before: str = "") -> Iterator[Letter]:
    edge = f"({before}" if before else "+"
    while entries := _entries(redis, edge):
        yield from (_letter(*entry) for entry in entries)
        edge = f"({entries[-1][0].decode()}"


def found(redis: Any, ids: Iterable[str]) -> list[Letter]:
    """The letters of these ids that are still there."""
    looked_up = (redis.xrange(STREAM, letter_id, letter_id, count=1) for letter_id in ids)
    return [_letter(*entry) for some in looked_up for entry in some]


def replay(redis: Any, letter: Letter) -> bool:
    """Put the event back into its stream, where it is checked like any other. False: somebody else was first."""
    keys = (STREAM, letter.stream, COUNTS, entries.WAITING)
    return bool(redis.eval(_REPLAY, len(keys), *keys, letter.id, letter.kind))


def discard(redis: Any, letter: Letter) -> bool:
    """Give the event up. False: somebody else was first."""
    return bool(redis.eval(_DISCARD, 2, STREAM, COUNTS, letter.id, letter.kind))


def _entries(redis: Any, edge: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return list(redis.xrevrange(STREAM, edge, "-", count=CHUNK))


def _letter(entry_id: bytes, fields: dict[bytes, bytes]) -> Letter:
    texts = {name: fields.get(name.encode(), b"").decode(errors="replace") for name in ("stream", "reason")}
    return Letter(entry_id.decode(), texts["stream"], texts["reason"], fields.get(b"e", b""))
