"""Reads what the control plane publishes: every organization's snapshot, kept current and kept on disk."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from apps.core.edge import Snapshot

INDEX = "snapshots"
CHANNEL = "snapshots"
ERASED = "snapshots:erased"
CHUNK = 100
POLL_INTERVAL_S = 10.0
RECONNECT_INTERVAL_S = 0.5

log = structlog.get_logger(__name__)


class SnapshotReader:
    """The newest snapshot of each organization.

    A publication is applied as soon as it is announced; polling catches what an announcement missed. The last good
    snapshots stay on disk and serve when Redis is away at start. One that Redis has lost stays in force: what an
    organization has is only taken away by publishing a snapshot without it, or by telling that it was erased.
    """

    def __init__(self, redis: Redis, folder: Path, apply: Callable[[Snapshot], None]) -> None:
        self._redis = redis
        self._folder = folder
        self._apply = apply
        self._current: dict[str, Snapshot] = {}
        self._raw: dict[str, bytes] = {}
        self._task: asyncio.Task[None] | None = None
        self.is_loaded = False

    def get(self, organization_id: str) -> Snapshot | None:
        return self._current.get(organization_id)

    def all(self) -> Iterable[Snapshot]:
        return self._current.values()

    async def start(self) -> None:
        """Load what Redis holds, or what the disk holds when Redis is away, and follow from there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load_from_disk()
        with suppress(RedisError, OSError):
            await self._load_all()
        self._task = asyncio.create_task(self._follow(), name="snapshots")

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL)
                    await self._listen(channel)
            except (RedisError, OSError) as error:
                log.warning("snapshots_not_followed", error=str(error))
                await asyncio.sleep(RECONNECT_INTERVAL_S)

    async def _listen(self, channel: PubSub) -> None:
        loop = asyncio.get_running_loop()
        next_poll = loop.time()  # at once: what was published while nobody listened
        while True:
            if loop.time() >= next_poll:
                await self._load_all()
                next_poll = loop.time() + POLL_INTERVAL_S
            message = await channel.get_message(timeout=max(0.0, next_poll - loop.time()))
            if message is not None:
                await self._hear(message["data"].decode())

    async def _load_all(self) -> None:
        await self._forget_erased()
        members = sorted(str(member, "utf-8") for member in cast(set[bytes], await self._redis.smembers(INDEX)))
        for start in range(0, len(members), CHUNK):
            await self._load(members[start : start + CHUNK])
        self.is_loaded = True

    async def _hear(self, organization_id: str) -> None:
        if await cast(Awaitable[int], self._redis.sismember(ERASED, organization_id)):
            await self._forget(organization_id)
        else:
            await self._load([organization_id])

    async def _forget_erased(self) -> None:
        erased = {str(member, "utf-8") for member in cast(set[bytes], await self._redis.smembers(ERASED))}
        for organization_id in erased & self._current.keys():
            await self._forget(organization_id)

    async def _forget(self, organization_id: str) -> None:
        """Nothing of an erased organization stays, neither here nor on disk."""
        await asyncio.to_thread(self._path(organization_id).unlink, missing_ok=True)
        if known := self._current.pop(organization_id, None):
            self._apply(Snapshot(organization_id, known.version, {}))
        self._raw.pop(organization_id, None)

    async def _load(self, organization_ids: list[str]) -> None:
        keys = [f"snapshot:{organization_id}" for organization_id in organization_ids]
        bodies = cast(list[bytes | None], await self._redis.mget(keys))
        for organization_id, body in zip(organization_ids, bodies, strict=True):
            if body is not None and body != self._raw.get(organization_id) and self._take(organization_id, body):
                await asyncio.to_thread(self._store, organization_id, body)

    def _take(self, organization_id: str, body: bytes) -> bool:
        """Put a snapshot in force, unless it is broken, someone else's, or older than the one in force."""
        try:
            snapshot = _decoded(body)
            current = self._current.get(organization_id)
            if snapshot.organization_id != organization_id or (current and snapshot.version <= current.version):
                return False
            self._apply(snapshot)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.error("snapshot_refused", organization=organization_id, error=repr(error))
            return False
        self._current[organization_id], self._raw[organization_id] = snapshot, body
        return True

    def _load_from_disk(self) -> None:
        paths = list(self._folder.glob("*.json"))
        for path in paths:
            self._take(path.stem, path.read_bytes())
        self.is_loaded = bool(paths)

    def _path(self, organization_id: str) -> Path:
        return self._folder / f"{organization_id}.json"

    def _store(self, organization_id: str, body: bytes) -> None:
        path = self._path(organization_id)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        try:
            draft.write_bytes(body)
            draft.replace(path)
        except OSError as error:
            log.error("snapshot_not_stored", organization=organization_id, error=str(error))


def _decoded(body: bytes) -> Snapshot:
    document: dict[str, Any] = json.loads(body)
    return Snapshot(document["organization_id"], int(document["version"]), document["sections"])
