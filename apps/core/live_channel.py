"""How live updates travel: in the format of the channel layer, published without an event loop and without Django.

Each event of an organization has a position in a ring of its last events. It is told together with the position before
it, so that whoever hears it knows whether something was missed, and can ask for what was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgpack
import redis

CHANNEL = "live__group__{group}"
RING = "{organization_id}:live"
RING_LENGTH = 1000
RING_LIFETIME_S = 3600
NOWHERE = "0-0"  # the position before the first event
POSITION = re.compile(r"\d{1,19}-\d{1,19}")

# One step, so that events are heard in the order of their positions.
_PUBLISH = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local at = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'topic', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[5])
local after = last[1] and last[1][1] or '0-0'
redis.call('PUBLISH', ARGV[1],
    cmsgpack.pack({type = 'live.event', topic = ARGV[2], event = ARGV[3], at = at, after = after}))
return at
"""


@dataclass(frozen=True, slots=True)
class Missed:
    """The topics that changed since a position, and the position of now. None: too long ago to say which."""

    topics: frozenset[str] | None
    at: str


def group_name(organization_id: UUID | str) -> str:
    return f"org.{organization_id}"


def person_group(user_id: UUID | str) -> str:
    return f"person.{user_id}"


def publish_raw(client: redis.Redis, organization_id: UUID | str, topic: str, event: str = "changed") -> None:
    """Tell an organization's pages at once that `topic` changed."""
    ring = RING.format(organization_id=organization_id)
    channel = CHANNEL.format(group=group_name(organization_id))
    client.eval(_PUBLISH, 1, ring, channel, topic, event, RING_LENGTH, RING_LIFETIME_S)


def forget_raw(client: redis.Redis, organization_id: UUID | str) -> None:
    """Begin a new ring: whoever asks what it missed is told that it may be anything."""
    client.delete(RING.format(organization_id=organization_id))


def missed_since(client: redis.Redis, organization_id: UUID | str, position: str) -> Missed:
    """What changed after `position`; nobody can tell once the event at it has left the ring."""
    ring = RING.format(organization_id=organization_id)
    known = _entries(client.xrange(ring, min=position)) if POSITION.fullmatch(position) else []
    if known and known[0][0] == position:
        return Missed(frozenset(topic for _, topic in known[1:]), at=known[-1][0])
    last = known[-1:] or _entries(client.xrevrange(ring, count=1))
    return Missed(None, at=last[0][0] if last else NOWHERE)


def _entries(answer: Any) -> list[tuple[str, str]]:
    """(position, topic) of each entry."""
    return [(_text(position), _text(*fields.values())) for position, fields in answer]


def is_after(position: str, other: str) -> bool:
    return _order(position) > _order(other)


def _order(position: str) -> tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def disconnect_raw(client: redis.Redis, user_id: UUID | str) -> None:
    """Have every open socket of a person closed at once."""
    client.publish(CHANNEL.format(group=person_group(user_id)), msgpack.packb({"type": "live.disconnect"}))
