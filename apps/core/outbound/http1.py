"""One connection of HTTP/1.1: a request at a time, its answer piece by piece. Imports no Django."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from typing import cast

import httptools

from apps.core.outbound.message import Field, Request, Trouble, WireError

MOST_HEAD_BYTES = 64 * 1024
MOST_WAITING_BYTES = 256 * 1024  # of a body that nobody reads yet; then the other side has to wait
ENCODINGS = {b"gzip": 47, b"deflate": 47}  # zlib's word for either, with its header
BODILESS = frozenset({204, 304})


class Stale(WireError):
    """A kept connection ended before anything of an answer came: the normal end of one."""


class Connection(asyncio.Protocol):
    """One connection. Its parser calls the `on_...` methods.

    `overdue_at` is when whoever waits is told that it took too long; somebody has to call `end_overdue`.
    """

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._error: WireError | None = None
        self._pieces: deque[bytes] = deque()
        self._is_used = self._is_over = self._is_lost = self._is_paused = False
        self._has_head = self._ends_with_connection = self._keeps_alive = False
        self._head_bytes = self._received = self._waiting_bytes = self._unpacked = 0
        self._inflate: zlib._Decompress | None = None
        self.status = 0
        self.headers: list[Field] = []
        self.overdue_at = self.idle_since = 0.0
        self.request: Request | None = None

    @property
    def is_reusable(self) -> bool:
        return self._is_over and not self._is_lost and not self._waiting_bytes and self._keeps_alive

    async def exchange(self, request: Request) -> None:
        """Send the request and wait for the head of its answer. Raises WireError."""
        loop = asyncio.get_running_loop()
        self.request, self.headers, self.status = request, [], 0
        self._is_over = self._has_head = self._ends_with_connection = False
        self._head_bytes = self._received = self._waiting_bytes = self._unpacked = 0
        self._inflate = None
        self.overdue_at = min(loop.time() + request.first_byte_s, request.deadline)
        self._transport.write(request.encoded())
        while not self._has_head:
            await self._wait(loop)
        self._is_used = True

    async def next(self) -> bytes:
        """The next piece of the body, empty at its end. Raises WireError."""
        request = cast(Request, self.request)
        loop = asyncio.get_running_loop()
        while not self._pieces and not self._is_over:
            self.overdue_at = min(loop.time() + request.idle_s, request.deadline)
            await self._wait(loop)
        if not self._pieces:
            return b""
        if len(self._pieces) == 1:
            piece = self._pieces.popleft()
        else:
            piece = b"".join(self._pieces)
            self._pieces.clear()
        self._waiting_bytes = 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    def end_overdue(self, now: float) -> None:
        if self._waiter is not None and self.overdue_at <= now:
            self._fail(WireError(Trouble.TIMEOUT, "it took too long to answer"))

    def abort(self) -> None:
        self._is_lost = True
        self._transport.abort()

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._error:
            raise self._error
        self._waiter = loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error:
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: WireError) -> None:
        if self._error is None:
            self._error = error
        self.abort()
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserCallbackError) as error:
            self._fail(WireError(Trouble.BROKEN, f"it does not answer in HTTP: {error}"))
            return
        if not self._has_head and self._head_bytes > MOST_HEAD_BYTES:
            self._fail(WireError(Trouble.BROKEN, "the head of its answer does not end"))

    def connection_lost(self, error: Exception | None) -> None:
        self._is_lost = True
        if self._has_head and self._ends_with_connection and error is None:
            self.on_message_complete()
        if self._is_over:
            return
        message = f"it broke off its answer after {self._received} bytes"
        is_stale = self._is_used and not self._received
        self._fail((Stale if is_stale else WireError)(Trouble.BROKEN, message))

    def on_message_begin(self) -> None:
        if self.request is None or self._is_over:
            self.abort()  # nobody asked

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return  # something before the answer, such as 103
        fields = dict(self.headers)
        self._keeps_alive = self._parser.should_keep_alive()
        is_measured = b"content-length" in fields or b"transfer-encoding" in fields
        self._ends_with_connection = not is_measured and self.status not in BODILESS
        if encoding := ENCODINGS.get(fields.get(b"content-encoding", b"").lower()):
            self._inflate = zlib.decompressobj(encoding)
        self._has_head = True
        self._wake()

    def on_body(self, body: bytes) -> None:
        request = cast(Request, self.request)
        if self._received > request.max_bytes + MOST_HEAD_BYTES:
            self._fail(WireError(Trouble.TOO_LARGE, f"its answer has more than {request.max_bytes} bytes"))
            return
        piece = self._inflated(body, request.max_bytes) if self._inflate else body
        if not piece:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > MOST_WAITING_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self.status < 200:
            self.headers = []
            return
        self._is_over = True
        self._wake()

    def _inflated(self, body: bytes, most: int) -> bytes:
        """A compressed body, which was not asked for, in the clear."""
        try:
            piece = cast("zlib._Decompress", self._inflate).decompress(body, most + 1)
        except zlib.error:
            self._fail(WireError(Trouble.BROKEN, "it says that its answer is compressed, and it is not"))
            return b""
        self._unpacked += len(piece)
        if self._unpacked > most:
            self._fail(WireError(Trouble.TOO_LARGE, f"its answer has more than {most} bytes"))
            return b""
        return piece
