"""One connection of HTTP/2: many requests beside each other, each with a stream of its own. Imports no Django."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from h2 import events
from h2.config import H2Configuration
from h2.connection import ConnectionInputs, ConnectionState, H2Connection, H2ConnectionStateMachine
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings

from apps.core.outbound.incoming import MOST_HEAD_BYTES, Incoming, Stale
from apps.core.outbound.message import Field, Request, Trouble, WireError

ALPN = "h2"
MOST_STREAMS = 100
STREAM_WINDOW = 256 * 1024  # bytes of a body that nobody reads yet; then the other side has to wait
SESSION_WINDOW = 16 * 1024 * 1024
# Of the connection and not of the request, so that HTTP/2 has no words for them.
LEFT_OUT = frozenset({b"host", b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding"})


class Draining(H2ConnectionStateMachine):
    """Servers say goodbye before they have answered everything: what they took on is still to come."""

    _transitions = {
        **H2ConnectionStateMachine._transitions,
        (ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY): (None, ConnectionState.CLIENT_OPEN),
    }


class Session(asyncio.Protocol):
    """The connection. Whoever wants to send a request takes a `stream`."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None, validate_outbound_headers=False))
        self.h2.state_machine = Draining()
        self.h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._open: set[Stream] = set()
        self._by_id: dict[int, Stream] = {}
        self._is_lost = self._is_leaving = False
        self.heard_at = self.idle_since = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing can come of it any more."""
        return self._is_lost or (self._is_leaving and not self._open)

    @property
    def is_idle(self) -> bool:
        return not self._open

    @property
    def has_room(self) -> bool:
        most = min(self.h2.remote_settings.max_concurrent_streams, MOST_STREAMS)
        return not self._is_lost and not self._is_leaving and len(self._open) < most

    def stream(self) -> Stream:
        stream = Stream(self)
        self._open.add(stream)
        return stream

    def begin(self, stream: Stream, fields: list[Field], *, has_body: bool) -> int:
        """Send a request's head; the number of its stream. Raises Stale."""
        if self._is_lost:
            raise Stale(Trouble.BROKEN, "its connection has ended", was_sent=False)
        stream_id = self.h2.get_next_available_stream_id()
        self._by_id[stream_id] = stream
        try:
            self.h2.send_headers(stream_id, fields, end_stream=not has_body)
        except ProtocolError as error:
            raise Stale(Trouble.BROKEN, str(error), was_sent=False) from None
        self.flush()
        return stream_id

    def release(self, stream: Stream, stream_id: int, *, is_over: bool, unread: int) -> None:
        """Forget a stream; one that is not over is cancelled."""
        self._open.discard(stream)
        self.idle_since = asyncio.get_running_loop().time()
        if self._by_id.pop(stream_id, None) is None or self._is_lost:
            return
        if unread:
            self.h2.acknowledge_received_data(unread, stream_id)
        if not is_over:
            with suppress(StreamClosedError):  # the other side has reset it already
                self.h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        self.flush()

    def leave(self) -> None:
        """Take on nothing more: somebody waited in vain, and the connection may be dead."""
        self._is_leaving = True

    def abort(self) -> None:
        self._is_lost = True
        self.transport.abort()

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.heard_at = self.idle_since = asyncio.get_running_loop().time()
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(SESSION_WINDOW - self.h2.inbound_flow_control_window)
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        try:
            for event in self.h2.receive_data(data):
                self._on(event)
        except ProtocolError as error:
            self.flush()
            self._end(WireError(Trouble.BROKEN, f"it does not answer in HTTP/2: {error}"))
            return
        if not self._is_lost:
            self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(None)

    def _on(self, event: Any) -> None:
        if isinstance(event, events.ConnectionTerminated):
            self._on_goodbye(event.last_stream_id or 0)
        elif isinstance(event, (events.RemoteSettingsChanged, events.WindowUpdated)):
            self._on_window()
        elif stream := self._by_id.get(getattr(event, "stream_id", None) or 0):
            stream.on(event)
        elif isinstance(event, events.DataReceived):  # of a stream that was given up
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def _on_goodbye(self, last_stream_id: int) -> None:
        self._is_leaving = True
        for stream_id, stream in list(self._by_id.items()):
            if stream_id > last_stream_id:
                stream.on_refused()

    def _on_window(self) -> None:
        for stream in self._by_id.values():
            stream.on_window()

    def _end(self, error: WireError | None) -> None:
        self.abort()
        for stream in list(self._open):
            stream.on_lost(error, self.heard_at)


class Stream(Incoming):
    """One request and its answer."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._id = self._unread = 0
        self._began_at = 0.0

    async def exchange(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        self._began_at = loop.time()
        self._begin(request, self._began_at)
        self._id = self._session.begin(self, _head(request), has_body=bool(request.body))
        await self._send(memoryview(request.body), loop)
        while not self._has_head:
            await self._wait(loop)

    def end_overdue(self, now: float) -> None:
        if self._waiter is not None and self.overdue_at <= now and self._session.heard_at < self._began_at:
            self._session.leave()
        super().end_overdue(now)

    def abort(self) -> None:
        self._session.release(self, self._id, is_over=self._is_over, unread=self._unread)
        self._unread = 0

    def _has_read(self) -> None:
        if not self._is_over:
            self._session.h2.acknowledge_received_data(self._unread, self._id)
            self._session.flush()
            self._unread = 0

    async def _send(self, body: memoryview, loop: asyncio.AbstractEventLoop) -> None:
        """Send the body as the other side has room for it; one that has answered already needs no more of it."""
        h2 = self._session.h2
        while body and not self._has_head:
            if self._error:
                raise self._error
            size = min(h2.local_flow_control_window(self._id), h2.max_outbound_frame_size, len(body))
            if size <= 0:
                await self._wait(loop)
                continue
            h2.send_data(self._id, bytes(body[:size]), end_stream=size == len(body))
            self._session.flush()
            body = body[size:]

    def on(self, event: Any) -> None:
        match event:
            case events.ResponseReceived():
                status = next((value for name, value in event.headers if name == b":status"), b"0")
                self._take_head(int(status), [field for field in event.headers if not field[0].startswith(b":")])
            case events.DataReceived():
                self._received += len(event.data)
                self._unread += event.flow_controlled_length
                self._take_body(event.data)
            case events.StreamEnded():
                self._end()
            case events.StreamReset():
                self._on_reset(event.error_code)

    def on_window(self) -> None:
        if not self._has_head:
            self._wake()

    def _on_reset(self, code: int) -> None:
        if code == ErrorCodes.REFUSED_STREAM:
            self.on_refused()
        elif not (code == ErrorCodes.NO_ERROR and self._is_over):
            self._fail(WireError(Trouble.BROKEN, f"it broke off its answer after {self._received} bytes"))

    def on_refused(self) -> None:
        self._fail(Stale(Trouble.BROKEN, "it did not take on the request", was_sent=False))

    def on_lost(self, error: WireError | None, heard_at: float) -> None:
        if self._is_over:
            return
        message = f"it broke off its answer after {self._received} bytes"
        is_stale = error is None and heard_at < self._began_at
        self._fail(error or (Stale if is_stale else WireError)(Trouble.BROKEN, message))


def _head(request: Request) -> list[Field]:
    """Raises ValueError for a header that would be several lines, as the other side may hand it on in HTTP/1.1."""
    fields = [
        (b":method", request.method.encode()),
        (b":authority", request.authority.encode()),
        (b":scheme", request.url.scheme.encode()),
        (b":path", request.url.raw_path_qs.encode()),
        *((name.lower(), value) for name, value in request.headers if name.lower() not in LEFT_OUT),
        (b"accept-encoding", b"identity"),
        (b"content-length", b"%d" % len(request.body)),
    ]
    if any(b"\n" in part or b"\r" in part for field in fields for part in field):
        raise ValueError("a header holds the end of a line")
    return fields


_SETTINGS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
    SettingCodes.MAX_HEADER_LIST_SIZE: MOST_HEAD_BYTES,
}
