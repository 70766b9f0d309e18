"""Live updates: a page is told that a topic changed, and fetches the fragment again.

Messages carry no data, so what a page shows is always what a reload would show, and a lost message costs nothing
after the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction

from apps.core import live_channel
from apps.core.live_channel import Missed, disconnect_raw, forget_raw, publish_raw
from apps.core.tenancy import current_tenant_id

_unheard: set[UUID] = set()


def publish(*topics: str) -> None:
    """Tell the current tenant's pages after the transaction commits that these topics changed."""
    organization_id = current_tenant_id()
    transaction.on_commit(lambda: publish_at_once([(organization_id, topic) for topic in topics]))


def publish_at_once(changes: Sequence[tuple[UUID, str]]) -> None:
    """Tell the pages of each organization that its topic changed, outside of any transaction, in one round trip."""
    tenants = {organization_id for organization_id, _ in changes}
    unheard = _unheard & tenants
    try:
        with _client().pipeline(transaction=False) as pipeline:
            for organization_id in unheard:
                forget_raw(pipeline, organization_id)
            for organization_id, topic in changes:
                publish_raw(pipeline, organization_id, topic)
            pipeline.execute()
    except redis.RedisError:
        # The ring would have a hole that nobody sees, so the next event begins a new one and pages fetch everything.
        _unheard.update(tenants)
    else:
        _unheard.difference_update(unheard)


def missed_since(organization_id: UUID, position: str) -> Missed:
    """What an organization's page was not told since `position`: everything, if Redis cannot say."""
    try:
        return live_channel.missed_since(_client(), organization_id, position)
    except redis.RedisError:
        return Missed(None, at=live_channel.NOWHERE)


def disconnect(user_id: Any) -> None:
    """Close the person's open sockets after the commit. A page that may still hear comes back by itself."""
    transaction.on_commit(lambda: _disconnect_quietly(user_id))


def _disconnect_quietly(user_id: Any) -> None:
    # Messages carry no data, so a socket that could not be told learns nothing but that something changed.
    with suppress(redis.RedisError):
        disconnect_raw(_client(), user_id)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
