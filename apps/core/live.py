"""Live updates: a page is told that a topic changed, and fetches the fragment again.

Messages carry no data, so what a page shows is always what a reload would show, and a lost message costs nothing
after the next one. They are published in the format of the channel layer, which lets the sink and Celery tasks publish
without an event loop.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

import msgpack
import redis

CHANNEL = "live__group__org.{organization_id}"


def group_name(organization_id: UUID | str) -> str:
    return f"org.{organization_id}"


def publish_raw(client: redis.Redis, organization_id: UUID | str, topic: str, event: str = "changed") -> None:
    """Tell an organization's pages at once that `topic` changed. Needs no Django."""
    message = {"type": "live.event", "topic": topic, "event": event}
    client.publish(CHANNEL.format(organization_id=organization_id), msgpack.packb(message))


def publish(topic: str, event: str = "changed") -> None:
    """Tell the current tenant's pages after the transaction commits that `topic` changed."""
    from django.db import transaction

    from apps.core.tenancy import current_tenant_id

    organization_id = current_tenant_id()
    transaction.on_commit(lambda: _publish_quietly(organization_id, topic, event))


def _publish_quietly(organization_id: UUID, topic: str, event: str) -> None:
    try:
        publish_raw(_client(), organization_id, topic, event)
    except redis.RedisError:
        # A page that misses this catches up when its socket reconnects.
        return


@cache
def _client() -> Any:
    from django.conf import settings

    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
