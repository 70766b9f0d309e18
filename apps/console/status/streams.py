"""How many events wait for the sink, and for how long the first of them has."""

from __future__ import annotations

import time
from typing import Any

from apps.core import dead_letters, entries
from apps.core.streams import MOST_EVENTS
from apps.gateway.bodies import STREAM as BODIES
from apps.gateway.recording import STREAM as MODELS
from apps.logs.edge import STREAM as CALLS
from apps.organizations.edge import STREAM as TOKENS
from apps.usage.edge import STREAM as USAGE

WAITING = (USAGE, CALLS, MODELS, BODIES, TOKENS)


def waiting(redis: Any) -> dict[str, tuple[int, float]]:
    """Events and the age of the oldest in seconds, by stream; the sink deletes what it has stored."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.execute_command(*entries.counting(WAITING))
        for stream in WAITING:
            pipe.xrange(stream, count=1)
        counts, *oldest = pipe.execute()
    return {stream: (count, _age_s(first)) for stream, count, first in zip(WAITING, counts, oldest, strict=True)}


def is_filling(redis: Any) -> bool:
    """Whether a stream, or the dead letters, hold half of what they take at most."""
    waiting_most = max(count for count, _ in waiting(redis).values())
    return waiting_most >= MOST_EVENTS // 2 or dead_letters.count(redis) >= dead_letters.MOST // 2


def _age_s(first: list[tuple[bytes, Any]]) -> float:
    if not first:
        return 0.0
    milliseconds = int(first[0][0].partition(b"-")[0])
    return max(0.0, time.time() - milliseconds / 1000)
