"""An answer as it comes in, whatever carries it: what of it waits to be read, and until when. Imports no Django."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable
from typing import cast

from apps.core.outbound.message import Field, Request, Trouble, WireError

MOST_HEAD_BYTES = 64 * 1024
ENCODINGS = {b"gzip": 47, b"deflate": 47}  # zlib's word for either, with its header
BODILESS = frozenset({204, 304})


class Stale(WireError):
    """Nothing of a request was worked on, as with a kept connection that had ended: the normal end of one."""


class Incoming:
    """The answer to one request at a time.

    `overdue_at` is when whoever waits is told that it took too long; somebody has to call `end_overdue`.
    """

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self._error: WireError | None = None
        self._pieces: deque[bytes] = deque()
        self._is_over = self._has_head = False
        self._received = self._waiting_bytes = self._unpacked = 0
        self._inflate: zlib._Decompress | None = None
        self.status = 0
        self.headers: list[Field] = []
        self.overdue_at = self.idle_since = 0.0
        self.request: Request | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent when this answer is over."""
        return False

    async def exchange(self, request: Request) -> None:
        """Send the request and wait for the head of its answer. Raises WireError."""
        raise NotImplementedError

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
        self._has_read()
        return piece

    def end_overdue(self, now: float) -> None:
        if self._waiter is not None and self.overdue_at <= now:
            self._fail(WireError(Trouble.TIMEOUT, "it took too long to answer"))

    def abort(self) -> None:
        """Give up what is still to come."""
        raise NotImplementedError

    def _has_read(self) -> None:
        """Let more of the body come."""
        raise NotImplementedError

    def _begin(self, request: Request, now: float) -> None:
        self.request, self.headers, self.status = request, [], 0
        self._is_over = self._has_head = False
        self._received = self._waiting_bytes = self._unpacked = 0
        self._inflate = None
        self.overdue_at = min(now + request.first_byte_s, request.deadline)

    def _take_head(self, status: int, fields: Iterable[Field]) -> None:
        self.status, self.headers = status, list(fields)
        encoding = next((value.lower() for name, value in self.headers if name == b"content-encoding"), b"")
        if window := ENCODINGS.get(encoding):
            self._inflate = zlib.decompressobj(window)
        self._has_head = True
        self._wake()

    def _take_body(self, body: bytes) -> None:
        request = cast(Request, self.request)
        if self._received > request.max_bytes + MOST_HEAD_BYTES:
            self._fail(WireError(Trouble.TOO_LARGE, f"its answer has more than {request.max_bytes} bytes"))
            return
        piece = self._inflated(body, request.max_bytes) if self._inflate else body
        if piece:
            self._pieces.append(piece)
            self._waiting_bytes += len(piece)
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

    def _end(self) -> None:
        self._is_over = True
        self._wake()

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
