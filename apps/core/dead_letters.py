"""Events that could not be stored, kept with the reason until an operator replays or discards them. Imports no Django.

None is dropped to make room: whoever would bury one more waits, the streams behind it fill, and calls are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

STREAM = "events:dead"
MOST = 100_000
CHUNK = 1_000

# One step, so that the event is never in both places and never in none. Who was slow finds it buried by who took over.
_BURY = """
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 0 end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 1 end
redis.call('XADD', KEYS[1], '*', 'stream', KEYS[2], 'id', ARGV[2], 'reason', ARGV[3], 'e', ARGV[4])
redis.call('XDEL', KEYS[2], ARGV[2])
return 1
"""
# Whoever takes the letter out first puts it back into its stream; the other one finds it gone.
_REPLAY = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
local fields = found[1][2]
local letter = {}
for i = 1, #fields, 2 do letter[fields[i]] = fields[i + 1] end
if letter['stream'] ~= KEYS[2] then return 0 end
redis.call('XADD', KEYS[2], '*', 'e', letter['e'])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
"""


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


def bury(redis: Any, group: str, stream: str, entry_id: bytes, event: bytes, reason: str) -> None:
    """Move an entry that `group` has read to the dead letters. Raises `Full`."""
    if not redis.eval(_BURY, 2, STREAM, stream, group, entry_id, reason, event, MOST):
        raise Full(f"there are {MOST} dead letters; replay or discard them")


def count(redis: Any) -> int:
    return int(redis.xlen(STREAM))


def letters(redis: Any, *, reason: str = "", stream: str = "") -> Iterator[Letter]:
    """Those of a stream and with a reason, if these are told, the newest first, a chunk at a time."""
    edge = "+"
    while entries := _entries(redis, edge):
        for entry_id, fields in entries:
            letter = _letter(entry_id, fields)
            if reason in ("", letter.reason) and stream in ("", letter.stream):
                yield letter
        edge = f"({entries[-1][0].decode()}"


def found(redis: Any, ids: Iterable[str]) -> list[Letter]:
    """The letters of these ids that are still there."""
    entries = (redis.xrange(STREAM, letter_id, letter_id, count=1) for letter_id in ids)
    return [_letter(*entry) for some in entries for entry in some]


def replay(redis: Any, letter: Letter) -> bool:
    """Put the event back into its stream, where it is checked like any other. False: somebody else was first."""
    return bool(redis.eval(_REPLAY, 2, STREAM, letter.stream, letter.id))


def discard(redis: Any, letter: Letter) -> bool:
    """Give the event up. False: somebody else was first."""
    return bool(redis.xdel(STREAM, letter.id))


def _entries(redis: Any, edge: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return list(redis.xrevrange(STREAM, edge, "-", count=CHUNK))


def _letter(entry_id: bytes, fields: dict[bytes, bytes]) -> Letter:
    texts = {name: fields.get(name.encode(), b"").decode(errors="replace") for name in ("stream", "reason")}
    return Letter(entry_id.decode(), texts["stream"], texts["reason"], fields.get(b"e", b""))
