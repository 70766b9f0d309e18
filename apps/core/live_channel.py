"""How live updates travel: in the format of the channel layer, published without an event loop and without Django."""

from __future__ import annotations

from uuid import UUID

import msgpack
import redis

CHANNEL = "live__group__{group}"


def group_name(organization_id: UUID | str) -> str:
    return f"org.{organization_id}"


def person_group(user_id: UUID | str) -> str:
    return f"person.{user_id}"


def publish_raw(client: redis.Redis, organization_id: UUID | str, topic: str, event: str = "changed") -> None:
    """Tell an organization's pages at once that `topic` changed."""
    message = {"type": "live.event", "topic": topic, "event": event}
    client.publish(CHANNEL.format(group=group_name(organization_id)), msgpack.packb(message))


def disconnect_raw(client: redis.Redis, user_id: UUID | str) -> None:
    """Have every open socket of a person closed at once."""
    client.publish(CHANNEL.format(group=person_group(user_id)), msgpack.packb({"type": "live.disconnect"}))
