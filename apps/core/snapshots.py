"""Configuration for the data plane: compiled for each organization, published through Redis.

The edge reads nothing else. A publication is complete and versioned; the same content is not published twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar, cast
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.core import tenancy
from apps.core.edge import Snapshot

KEY = "snapshot:{organization_id}"
INDEX = "snapshots"
CHANNEL = "snapshots"
ERASED = "snapshots:erased"  # ids of organizations of which the data plane forgets everything
INSTALLATION = "installation"  # stands among the organizations' ids for what concerns them all
READ_EVERY_S = 0.5
MOST_READ = 1000

Owner = TypeVar("Owner", UUID, str)
log = structlog.get_logger(__name__)
_sections: dict[str, str] = {}
_read: dict[str, tuple[float, bytes, Snapshot | None]] = {}  # until when, and what was read


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
        _publish(organization_id, partial(compile_snapshot, organization_id))


def publish_installation(compile_sections: Callable[[], dict[str, Any]]) -> None:
    """The same for what concerns every organization."""
    _publish(INSTALLATION, compile_sections)
    _read.pop(INSTALLATION, None)


def _publish(owner: UUID | str, compile_sections: Callable[[], dict[str, Any]]) -> None:
    client = _client()
    key = KEY.format(organization_id=owner)
    with transaction.atomic(), client.lock(f"{key}:lock", timeout=10):
        sections = compile_sections()
        published = json.loads(client.get(key) or "{}")
        if published.get("sections") == json.loads(json.dumps(sections)):
            return
        # Milliseconds keep the version growing when Redis has lost the last one.
        version = max(published.get("version", 0) + 1, time.time_ns() // 1_000_000)
        body = {"version": version, "organization_id": str(owner), "sections": sections}
        _store(client, key, owner, body)


def _store(client: redis.Redis, key: str, owner: UUID | str, body: dict[str, Any]) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.set(key, json.dumps(body))
        pipe.sadd(INDEX, str(owner))
        pipe.publish(CHANNEL, str(owner))
        pipe.execute()


def read(owner: UUID | str) -> Snapshot | None:
    """What is published of an organization or the installation, for the control plane: at most half a second ago.

    It stays the same object until it changes. While Redis is away, or has lost it, it is what was read last: limits and
    who is denied stay in force until it is published again.
    """
    now = time.monotonic()
    known = _read.get(str(owner))
    if known and now < known[0]:
        return known[2]
    before = known[1:] if known else (b"", None)
    try:
        body = cast("bytes | None", _reader().get(KEY.format(organization_id=owner))) or before[0]
    except redis.RedisError:
        body = before[0]
    snapshot = before[1] if body == before[0] else _decoded(body)
    if len(_read) >= MOST_READ:
        _read.clear()
    _read[str(owner)] = now + READ_EVERY_S, body, snapshot
    return snapshot


def _decoded(body: bytes) -> Snapshot | None:
    if not body:
        return None
    told = json.loads(body)
    return Snapshot(told["organization_id"], told["version"], told["sections"])


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


def missing(organization_ids: Iterable[Owner]) -> list[Owner]:
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


@cache
def _reader() -> redis.Redis:
    """For what a request waits for."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=0.25, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0)
    )
