"""Events on their way to PostgreSQL: appended to Redis Streams in batches, kept on disk while Redis is away.

Every event carries its own id, so an event that arrives twice counts once. Imports no Django.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.core import entries
from apps.core.errors import DomainError

BATCH = 1_000
QUEUE_LIMIT = 50_000
FLUSH_INTERVAL_S = 0.01
AWAY_INTERVAL_S = 0.5
ADOPT_INTERVAL_S = 10.0
# So many events of a stream wait for the sink at most before calls are refused. At half of it operators are told.
MOST_EVENTS = int(os.environ.get("STREAM_MOST_EVENTS", "1000000"))

Waiting = tuple[str, bytes]  # a stream and an event as JSON
log = structlog.get_logger(__name__)


class EventsNotStored(DomainError):
    code = "events_not_stored"
    status = 503
    detail = "Usage cannot be recorded at the moment, so the call was not made. Try again in a few seconds."
    headers = {"Retry-After": "5"}


class Writer:
    """Appends events to streams from an event loop, without making the caller wait.

    `append` queues what makes an event; a task makes and sends the queued ones every few milliseconds. While Redis is
    away they go to a spool on disk and follow when it is back; the spools of processes that died are adopted. An event
    is lost only when the process is killed in the few milliseconds before its batch is sent.

    Of a `dispensable` stream, told with the most events that wait in it, no more are taken, and none while Redis is
    away: what is large and can be missed costs neither Redis's memory, nor the disk, nor the call.
    """

    def __init__(
        self,
        redis: Redis,
        spool_dir: Path,
        name: str,
        most_events: int = MOST_EVENTS,
        dispensable: Mapping[str, int] | None = None,
    ) -> None:
        self._redis = redis
        self._most_events = most_events
        self._dispensable = dispensable or {}
        self._counts: dict[str, int] = {}
        self._spool = Spool(spool_dir, name)
        self._adopted: list[Spool] = []
        self._unmade: deque[tuple[str, Callable[[], dict[str, Any]]]] = deque()
        self._queue: deque[Waiting] = deque()
        self._queued = asyncio.Event()
        self._is_away = False
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="streams.writer")

    async def close(self) -> None:
        """Send, or spool, all that is queued."""
        self._is_closing = True
        self._queued.set()
        if self._task:
            await self._task
        for spool in (self._spool, *self._adopted):
            spool.close()

    def append(self, stream: str, make_event: Callable[[], dict[str, Any]]) -> None:
        if stream in self._dispensable and (self._is_away or self._is_full(stream)):
            return
        self._unmade.append((stream, make_event))
        self._queued.set()

    @property
    def waiting_count(self) -> int:
        """Events that are neither in Redis nor on disk yet."""
        return len(self._queue) + len(self._unmade)

    def require_room(self) -> None:
        """Raise EventsNotStored while neither Redis nor the disk takes what is queued already, or a stream is full."""
        if self.waiting_count >= QUEUE_LIMIT or self._task is None or self._task.done() or self._blocked:
            raise EventsNotStored()

    @property
    def _full(self) -> list[str]:
        return [stream for stream in self._counts if self._is_full(stream)]

    @property
    def _blocked(self) -> list[str]:
        return [stream for stream in self._full if stream not in self._dispensable]

    def _is_full(self, stream: str) -> bool:
        return self._counts.get(stream, 0) >= self._dispensable.get(stream, self._most_events)

    async def _run(self) -> None:
        next_adoption = 0.0
        while not self._is_closing:
            await self._pause()
            await self._flush()
            now = asyncio.get_running_loop().time()
            if not self._is_away and now >= next_adoption:
                next_adoption = now + ADOPT_INTERVAL_S
                await self._adopt()
        await self._flush()

    async def _pause(self) -> None:
        """Wait for events, and for a batch of them; not for ever, because the spool waits too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AWAY_INTERVAL_S):
                await self._queued.wait()
        await asyncio.sleep(AWAY_INTERVAL_S if self._is_away else FLUSH_INTERVAL_S)

    async def _flush(self) -> None:
        """Send the spool and then the queue; when Redis is away, put the queue into the spool."""
        self._queued.clear()
        if self._is_away:
            await self._spool_queue()
        try:
            await self._drain(self._spool)
            while batch := self._made(BATCH):
                await self._send(batch)
                self._forget(len(batch))
            await self._look_again()
            self._is_away = False
        except (RedisError, OSError) as error:
            log.warning("redis_away", error=str(error))
            self._is_away = True
            await self._spool_queue()

    def _made(self, most: int) -> list[Waiting]:
        """The next events. Each is made once: its id has to stay the same however often it is sent."""
        while self._unmade and len(self._queue) < most:
            stream, make_event = self._unmade.popleft()
            self._queue.append((stream, to_json(make_event())))
        return list(islice(self._queue, most))

    async def _send(self, waiting: list[Waiting]) -> None:
        streams, command = entries.appending(waiting)
        self._note(streams, await self._redis.execute_command(*command))

    async def _look_again(self) -> None:
        """Whether there is room again: while calls are refused nothing is appended that would tell."""
        if full := self._full:
            self._note(full, await self._redis.execute_command(*entries.counting(full)))

    def _note(self, streams: list[str], counts: list[int]) -> None:
        for stream, count in zip(streams, counts, strict=True):
            before, most = self._counts.get(stream, 0), self._dispensable.get(stream, self._most_events)
            half = most // 2
            if before < half <= count:
                log.warning("stream_half_full", stream=stream, events=count, most=most)
            if before < most <= count:
                log.error("stream_full", stream=stream, events=count, most=most)
            self._counts[stream] = count

    async def _spool_queue(self) -> None:
        batch = self._made(QUEUE_LIMIT)
        if not batch:
            return
        try:
            await asyncio.to_thread(self._spool.append, batch)
        except OSError as error:
            log.error("spool_failed", error=str(error))
            return
        self._forget(len(batch))

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._queue.popleft()

    async def _drain(self, spool: Spool) -> None:
        """Send what is on disk; while a stream is full the rest stays there."""
        if spool.is_empty:
            return
        for waiting in spool.batches(BATCH):
            if self._blocked:
                return
            await self._send(waiting)
        spool.clear()

    async def _adopt(self) -> None:
        self._adopted += self._spool.orphans()
        while self._adopted and not self._blocked:
            spool = self._adopted.pop(0)
            try:
                await self._drain(spool)
            except (RedisError, OSError) as error:
                log.warning("spool_not_adopted", error=str(error))
                self._adopted.append(spool)
                return
            if spool.is_empty:
                spool.close()
            else:
                self._adopted.append(spool)


class Spool:
    """A file of events, locked by the process that writes it; the lock falls with its owner, however that ends."""

    def __init__(self, folder: Path, name: str, path: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._name = folder, name
        self._path = path or folder / f"{name}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._file: BinaryIO | None = _locked(path) if path else None
        self._taken = 0  # bytes from the beginning

    @property
    def is_empty(self) -> bool:
        return self._file is None or os.fstat(self._file.fileno()).st_size == 0

    def append(self, waiting: Iterable[Waiting]) -> None:
        """Write and fsync; on OSError nothing of it stays."""
        if self._file is None:
            self._file = _locked(self._path, os.O_CREAT)
        size = os.fstat(self._file.fileno()).st_size
        try:
            _write_all(self._file, b"".join(stream.encode() + b"\t" + event + b"\n" for stream, event in waiting))
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), size)
            raise

    def batches(self, size: int) -> Iterator[list[Waiting]]:
        """What is in the file and was not taken, oldest first. A batch is taken when the next one is asked for.

        A last line cut short by a kill is left out.
        """
        with self._path.open("rb") as file:
            file.seek(self._taken)
            lines = (line for line in file if line.endswith(b"\n"))
            while batch := list(islice(lines, size)):
                yield [_waiting(line) for line in batch]
                self._taken += sum(map(len, batch))

    def clear(self) -> None:
        if self._file:
            os.ftruncate(self._file.fileno(), 0)
        self._taken = 0

    def close(self) -> None:
        """Give the file up: away with it when it is empty, otherwise the next process adopts it."""
        if self._file is None:
            return
        if self.is_empty:
            self._path.unlink(missing_ok=True)
        self._file.close()
        self._file = None

    def orphans(self) -> Iterator[Spool]:
        """The spools in the folder whose owner is gone, now locked by this process."""
        for path in sorted(self._folder.glob("*.jsonl")):
            if path == self._path:
                continue
            try:
                orphan = Spool(self._folder, self._name, path)
            except (BlockingIOError, FileNotFoundError):
                continue
            yield orphan


def _locked(path: Path, flags: int = 0) -> BinaryIO:
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | flags, 0o600), "r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_nlink == 0:
            raise FileNotFoundError(path)  # its last owner removed it between our open and our lock
    except OSError:
        file.close()
        raise
    return file


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _waiting(line: bytes) -> Waiting:
    stream, _, event = line.rstrip(b"\n").partition(b"\t")
    return stream.decode(), event
