"""One connection of HTTP/1.1: a request at a time, its answer piece by piece. Imports no Django."""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from apps.core.outbound.incoming import BODILESS, MOST_HEAD_BYTES, Incoming, Stale
from apps.core.outbound.message import Field, Request, Trouble, WireError

MOST_WAITING_BYTES = 256 * 1024  # of a body that nobody reads yet; then the other side has to wait


class Connection(Incoming, asyncio.Protocol):
    """One connection. Its parser calls the `on_...` methods."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        super().__init__()
        self._parser = httptools.HttpResponseParser(self)
        self._is_used = self._is_lost = self._is_paused = False
        self._ends_with_connection = self._keeps_alive = False
        self._head_bytes = 0
        self._fields: list[Field] = []

    @property
    def is_reusable(self) -> bool:
        return self._is_over and not self._is_lost and not self._waiting_bytes and self._keeps_alive

    async def exchange(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        self._begin(request, loop.time())
        self._ends_with_connection = False
        self._head_bytes = 0
        self._fields = []
        self._transport.write(request.encoded())
        while not self._has_head:
            await self._wait(loop)
        self._is_used = True

    def abort(self) -> None:
        self._is_lost = True
        self._transport.abort()

    def _has_read(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

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
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return  # something before the answer, such as 103
        fields = dict(self._fields)
        self._keeps_alive = self._parser.should_keep_alive()
        is_measured = b"content-length" in fields or b"transfer-encoding" in fields
        self._ends_with_connection = not is_measured and status not in BODILESS
        self._take_head(status, self._fields)

    def on_body(self, body: bytes) -> None:
        self._take_body(body)
        if self._waiting_bytes > MOST_WAITING_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._has_head:
            self._end()
        else:
            self._fields = []
