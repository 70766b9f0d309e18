"""What an entry of a stream of events is, and how it comes in and goes. Imports no Django.

An entry holds up to `SIZE` events as JSON, one a line, in its field `e`: what a stream costs Redis and its
clients it costs for each entry. A hash beside the streams counts the events that wait in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

FIELD = b"e"
WAITING = "events:waiting"
SIZE = 100

# KEYS: the counts, then the streams; ARGV: for each entry the number of its stream, how many events it holds, and they.
# Answers how many events each stream holds then; one that is empty has none, whatever was done to it by hand.
_APPEND = """
for i = 1, #ARGV, 3 do
    local stream = KEYS[1 + tonumber(ARGV[i])]
    redis.call('XADD', stream, '*', 'e', ARGV[i + 2])
    redis.call('HINCRBY', KEYS[1], stream, ARGV[i + 1])
end
local counts = {}
for i = 2, #KEYS do
    if redis.call('XLEN', KEYS[i]) == 0 then redis.call('HDEL', KEYS[1], KEYS[i]) end
    counts[i - 1] = tonumber(redis.call('HGET', KEYS[1], KEYS[i]) or 0)
end
return counts
"""
LEAVE = """
local function leave(counts, stream, id, events)
    if redis.call('XDEL', stream, id) == 0 then return 0 end
    if redis.call('HINCRBY', counts, stream, -tonumber(events)) < 1 then redis.call('HDEL', counts, stream) end
    return 1
end
"""
_FINISH = f"""{LEAVE}
for i = 2, #ARGV, 2 do
    redis.call('XACK', KEYS[2], ARGV[1], ARGV[i])
    leave(KEYS[1], KEYS[2], ARGV[i], ARGV[i + 1])
end
"""
_REPLACE = f"""{LEAVE}
if leave(KEYS[1], KEYS[2], ARGV[1], ARGV[2]) == 1 and ARGV[4] ~= '' then
    redis.call('XADD', KEYS[2], '*', 'e', ARGV[4])
    redis.call('HINCRBY', KEYS[1], KEYS[2], ARGV[3])
end
"""


def events(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """The events of an entry, each as JSON."""
    return fields[FIELD].split(b"\n") if FIELD in fields else []


def appending(waiting: Iterable[tuple[str, bytes]]) -> tuple[list[str], list[Any]]:
    """The streams of these events, and the command that appends them and answers how many each stream holds then."""
    by_stream: dict[str, list[bytes]] = {}
    for stream, event in waiting:
        by_stream.setdefault(stream, []).append(event)
    packed = chain.from_iterable(
        (number, len(some), b"\n".join(some))
        for number, of_stream in enumerate(by_stream.values(), start=1)
        for some in _slices(of_stream)
    )
    return list(by_stream), counting(by_stream) + list(packed)


def counting(streams: Iterable[str]) -> list[Any]:
    """The command that answers how many events each stream holds."""
    keys = [WAITING, *streams]
    return ["EVAL", _APPEND, len(keys), *keys]


def counts(redis: Any, streams: Sequence[str]) -> dict[str, int]:
    """How many events wait in each stream."""
    return dict(zip(streams, redis.execute_command(*counting(streams)), strict=True))


def finish(redis: Any, group: str, stream: str, finished: Iterable[tuple[bytes, int]]) -> None:
    """Acknowledge entries, told by id and number of events, and take them out."""
    redis.eval(_FINISH, 2, WAITING, stream, group, *chain.from_iterable(finished))


def replace(redis: Any, stream: bytes, entry_id: bytes, count: int, kept: Sequence[bytes]) -> None:
    """Put the events `kept` in the place of an entry of `count` events, unless it is gone. They go to the end."""
    redis.eval(_REPLACE, 2, WAITING, stream, entry_id, count, len(kept), b"\n".join(kept))


def _slices(some: list[bytes]) -> Iterator[list[bytes]]:
    return (some[start : start + SIZE] for start in range(0, len(some), SIZE))
