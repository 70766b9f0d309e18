"""HTTP/1.1 to the replicas: kept-alive connections, one request at a time on each.

Only for replicas, whose addresses the control plane publishes. A general client costs several times the prediction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import httptools

from apps.deployments.protocol import REPLICA_HEADER, ROW_COUNT_HEADER

MAX_ANSWER_BYTES = 64 * 1024 * 1024
CONNECT_TIMEOUT_S = 1.0
WATCH_INTERVAL_S = 0.5


class ReplicaUnreachable(Exception):
    """No whole answer came: refused, reset, closed half-way, or not HTTP. Predictions may be sent again."""


@dataclass(slots=True)
class Request:
    """A POST of JSON, the replica that it is meant for, and how long its answer may take."""

    path: str
    id: str
    body: bytes
    replica_id: str = ""
    timeout_s: float = 20.0

    def encoded(self) -> bytes:
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: replica\r\ncontent-type: application/json\r\n"
            f"x-request-id: {self.id}\r\n{REPLICA_HEADER.decode()}: {self.replica_id}\r\n"
            f"content-length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


@dataclass(slots=True)
class Reply:
    status: int
    body: bytes
    row_count: int = 0


class Connections:
    """The connections to one replica. The last used is used first, so that idle ones can end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def request(self, request: Request) -> Reply:
        """Send one request and wait for the whole answer. Raises ReplicaUnreachable."""
        if connection := self._take_idle():
            # It may have ended as we wrote, which is the normal end of a kept-alive connection: then a new one.
            with suppress(_Stale):
                return await self._exchange(connection, request)
        return await self._exchange(await self._connect(), request)

    def close(self) -> None:
        """Close what is idle now, and each other connection when its answer is there."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    async def _exchange(self, connection: Connection, request: Request) -> Reply:
        self._busy.add(connection)
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(WATCH_INTERVAL_S, self._end_overdue)
        try:
            return await connection.exchange(request)
        finally:
            self._busy.remove(connection)
            if connection.is_reusable and not self._is_closed:
                self._idle.append(connection)
            else:
                connection.close()

    def _end_overdue(self) -> None:
        """Give up on what did not answer in time. One timer for all: a timer for each call costs more than the rest."""
        loop = asyncio.get_running_loop()
        for connection in self._busy:
            if connection.deadline <= loop.time():
                connection.fail(ReplicaUnreachable("it did not answer in time"))
        self._watch = loop.call_later(WATCH_INTERVAL_S, self._end_overdue) if self._busy else None

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(Connection, self._host, self._port)
        except OSError as error:  # TimeoutError is one
            raise ReplicaUnreachable(f"{self.address}: {error or 'connect timed out'}") from error
        return connection


class _Stale(ReplicaUnreachable):
    """A used connection ended before the first byte of an answer."""


class Connection(asyncio.Protocol):
    """One connection. Its parser calls the `on_...` methods."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._chunks: list[bytes] = []
        self._received = 0
        self._row_count = 0
        self._is_used = False
        self.deadline = 0.0
        self.is_reusable = False

    async def exchange(self, request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        self._chunks, self._received, self._row_count, self.is_reusable = [], 0, 0, False
        self.deadline = loop.time() + request.timeout_s
        self._waiter = loop.create_future()
        self._transport.write(request.encoded())
        try:
            return await self._waiter
        finally:
            self._waiter = None
            self._is_used = True

    def close(self) -> None:
        self.is_reusable = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            self.fail(ReplicaUnreachable(f"the answer is larger than {MAX_ANSWER_BYTES} bytes"))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(ReplicaUnreachable(f"not HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        kind = _Stale if self._is_used and not self._received else ReplicaUnreachable
        self.fail(kind(f"the connection was lost after {self._received} bytes"))

    def on_message_begin(self) -> None:
        if self._waiter is None or self._waiter.done():
            self.close()  # nobody asked

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == ROW_COUNT_HEADER:
            self._row_count = int(value)

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        self.is_reusable = self._parser.should_keep_alive()
        self._waiter.set_result(Reply(self._parser.get_status_code(), b"".join(self._chunks), self._row_count))

    def fail(self, error: ReplicaUnreachable) -> None:
        self.is_reusable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
