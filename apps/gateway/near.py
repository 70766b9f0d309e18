"""Which stored answer was given to a question that means the same: its vectors, newest first. Imports no Django.

They are kept in a Redis stream for each partition, of which every process has a copy and reads what is new.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from redis.asyncio import Redis

from apps.gateway.enums import Face

MOST_VECTORS = 500  # of a partition
MOST_PARTITIONS = 40  # copied in this process, of 770 kB each at the most
LONGEST_TEXT = 1_000  # characters: of longer ones the model reads only the beginning
EXCLUDING = frozenset({"tools", "tool_choice", "functions", "function_call", "seed", "logprobs", "modalities"})

Vector = npt.NDArray[np.float32]
Embed = Callable[[str], Awaitable[Vector | None]]


@dataclass(frozen=True, slots=True)
class Question:
    """The last thing a user said, and a hash of all that was said and asked besides."""

    text: str
    rest: str


@dataclass(slots=True)
class Copy:
    """What this process has read of a partition. A row of `vectors` for each of `entries`."""

    last: str = "0"
    entries: list[tuple[str, float]] = field(default_factory=list)
    vectors: Vector = field(default_factory=lambda: np.empty((0, 0), np.float32))


def question(face: Face, body: Mapping[str, Any], context: str) -> Question | None:
    """None for what only an equal request may be answered for: tools, pictures, seeds, several answers."""
    messages = body.get("messages")
    if face not in {Face.CHAT, Face.MESSAGES} or not isinstance(messages, list) or body.get("n") not in {None, 1}:
        return None
    if not EXCLUDING.isdisjoint(body) or not messages or not all(_is_text(one) for one in messages):
        return None
    last = messages[-1]
    text = last["content"] if isinstance(last["content"], str) else "\n".join(one["text"] for one in last["content"])
    if last.get("role") != "user" or not text.strip() or len(text) > LONGEST_TEXT:
        return None
    rest = json.dumps([context, {**body, "messages": messages[:-1]}], sort_keys=True).encode()
    return Question(text, hashlib.blake2b(rest, digest_size=16).hexdigest())


def _is_text(message: Any) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return True
    return isinstance(content, list) and all(
        isinstance(one, dict) and one.get("type") == "text" and isinstance(one.get("text"), str) for one in content
    )


class Nearest:
    """Raises what Redis raises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._copies: OrderedDict[str, Copy] = OrderedDict()

    async def find(self, place: str, vector: Vector, threshold: float, ttl_s: int) -> str | None:
        """The key of the stored answer whose question is the nearest, if it is near enough and not too old."""
        copy = await self._fresh(place)
        if not copy.entries:
            return None
        likeness = copy.vectors @ vector
        oldest = time.time() - ttl_s
        for row in np.argsort(likeness)[::-1]:
            if likeness[row] < threshold:
                return None
            key, at = copy.entries[row]
            if at > oldest:
                return key
        return None

    async def add(self, place: str, vector: Vector, key: str, ttl_s: int) -> None:
        told = {"key": key, "vector": vector.astype("<f4").tobytes()}
        async with self._redis.pipeline() as pipe:
            pipe.xadd(place, told, maxlen=MOST_VECTORS, approximate=False)  # type: ignore[arg-type]
            pipe.expire(place, ttl_s)
            await pipe.execute()

    async def _fresh(self, place: str) -> Copy:
        copy = self._copies.setdefault(place, Copy())
        self._copies.move_to_end(place)
        while len(self._copies) > MOST_PARTITIONS:
            self._copies.popitem(last=False)
        first = f"({copy.last}" if copy.last != "0" else "-"
        found: Any = await self._redis.xrange(place, first, "+", MOST_VECTORS)
        # What another call has read meanwhile is read once.
        new = [(_text(id), told) for id, told in found if _place_in(_text(id)) > _place_in(copy.last)]
        if new:
            _add(copy, new)
        return copy


def _add(copy: Copy, found: list[tuple[str, dict[bytes, bytes]]]) -> None:
    rows = np.stack([np.frombuffer(told[b"vector"], "<f4") for _, told in found])
    copy.vectors = (np.concatenate([copy.vectors, rows]) if copy.entries else rows)[-MOST_VECTORS:]
    copy.entries = [*copy.entries, *((told[b"key"].decode(), _place_in(id)[0] / 1000) for id, told in found)]
    copy.entries = copy.entries[-MOST_VECTORS:]
    copy.last = found[-1][0]


def _place_in(id: str) -> tuple[int, int]:
    at_ms, _, number = id.partition("-")
    return int(at_ms), int(number or 0)


def _text(told: bytes | str) -> str:
    return told.decode() if isinstance(told, bytes) else told
