"""Configuration for the data plane: compiled for each organization, published through Redis.

The edge reads nothing else. A publication is complete and versioned; the same content is not published twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from apps.core import tenancy

KEY = "snapshot:{organization_id}"
INDEX = "snapshots"
CHANNEL = "snapshots"
ERASED = "snapshots:erased"  # ids of organizations of which the data plane forgets everything

log = structlog.get_logger(__name__)
_sections: dict[str, str] = {}


class Gone(LookupError):
    """The organization was erased since somebody read its id."""


def section(name: str, compile_path: str) -> None:
    """Add the dotted path of a function that, inside a tenant's scope, returns the JSON of section `name`.

    One of them raises `Gone` for an organization that is no more.
    """
    _sections[name] = compile_path


def compile_snapshot(organization_id: UUID) -> dict[str, Any]:
    with tenancy.scope(organization_id):
        return {name: _compiler(path)() for name, path in _sections.items()}


@cache
def _compiler(path: str) -> Callable[[], Any]:
    return import_string(path)


def publish(organization_id: UUID) -> None:
    """Compile and publish now. Does nothing when what is published says the same, nor for who was erased."""
    with suppress(Gone):
        _publish(organization_id)


def _publish(organization_id: UUID) -> None:
    client = _client()
    key = KEY.format(organization_id=organization_id)
    with transaction.atomic(), client.lock(f"{key}:lock", timeout=10):
        sections = compile_snapshot(organization_id)
        published = json.loads(client.get(key) or "{}")
        if published.get("sections") == json.loads(json.dumps(sections)):
            return
        # Milliseconds keep the version growing when Redis has lost the last one.
        version = max(published.get("version", 0) + 1, time.time_ns() // 1_000_000)
        body = {"version": version, "organization_id": str(organization_id), "sections": sections}
        _store(client, key, organization_id, body)


def _store(client: redis.Redis, key: str, organization_id: UUID, body: dict[str, Any]) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.set(key, json.dumps(body))
        pipe.sadd(INDEX, str(organization_id))
        pipe.publish(CHANNEL, str(organization_id))
        pipe.execute()


def forget(*organization_ids: UUID) -> None:
    """Take away what is published of organizations that are no more, in the data plane too, from memory and disk."""
    client = _client()
    for organization_id in organization_ids:
        key = KEY.format(organization_id=organization_id)
        # Whoever compiled it before its rows went has stored it once the lock is ours.
        with client.lock(f"{key}:lock", timeout=10), client.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.srem(INDEX, str(organization_id))
            pipe.sadd(ERASED, str(organization_id))
            pipe.publish(CHANNEL, str(organization_id))
            pipe.execute()


def untold(erased_ids: Iterable[UUID]) -> list[UUID]:
    """Those of which the data plane would not hear any more that they were erased: Redis has lost it."""
    ids = list(erased_ids)
    known = _client().smismember(ERASED, [str(organization_id) for organization_id in ids]) if ids else []
    return [organization_id for organization_id, is_known in zip(ids, known, strict=True) if not is_known]


def missing(organization_ids: Iterable[UUID]) -> list[UUID]:
    """Those of which Redis has no snapshot."""
    ids = list(organization_ids)
    with _client().pipeline(transaction=False) as pipe:
        for organization_id in ids:
            pipe.exists(KEY.format(organization_id=organization_id))
        return [organization_id for organization_id, found in zip(ids, pipe.execute(), strict=True) if not found]


def publish_on_commit(organization_id: UUID) -> None:
    transaction.on_commit(lambda: publish_or_leave_to_beat(organization_id))


def publish_or_leave_to_beat(organization_id: UUID) -> None:
    """Publish now; what Redis does not take now is taken by the next round of beat."""
    try:
        publish(organization_id)
    except redis.RedisError as error:
        log.warning("snapshot_publish_failed", organization_id=str(organization_id), error=str(error))


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=2)
