"""The data plane's way out: HTTP over kept connections to addresses that were checked. Imports no Django.

A general client costs several times what is done with an answer here. One timer looks after all calls, a request is
one write, and nothing is copied that need not be. A redirect is an answer like any other; nothing is sent again but
what met a kept connection that had ended. Servers that offer HTTP/2 are spoken to in it, by TLS's own negotiation.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator

from aiohttp.abc import ResolveResult

from apps.core.errors import DomainError
from apps.core.outbound import addresses, http2
from apps.core.outbound.http1 import Connection
from apps.core.outbound.incoming import Incoming, Stale
from apps.core.outbound.message import Request, Trouble, WireError

LOOK_INTERVAL_S = 0.1
NAMES_KEPT_S = 30.0
IDLE_KEPT_S = 55.0  # less than servers wait as a rule, so that they end few connections as we write
MOST_IDLE = 1024  # of one origin

__all__ = ["Request", "Response", "Trouble", "Wire", "WireError"]


class Response:
    """An answer whose head is there. Read it, or iterate over its body as it comes, or close it."""

    def __init__(self, connection: Incoming, origin: Origin) -> None:
        self._connection, self._origin = connection, origin
        self._is_closed = False
        self.status, self.headers = connection.status, connection.headers

    async def read(self) -> bytes:
        """The whole body. Raises WireError."""
        try:
            piece = await self._connection.next()
            if not piece:
                return piece
            pieces = [piece]
            while piece := await self._connection.next():
                pieces.append(piece)
        finally:
            self.close()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises WireError."""
        try:
            while piece := await self._connection.next():
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back if the answer is over, and end it otherwise."""
        if not self._is_closed:
            self._is_closed = True
            self._origin.give_back(self._connection)


class Wire:
    """The connections of one event loop, by origin."""

    def __init__(self, allowed: addresses.Networks = ()) -> None:
        self._allowed = allowed
        self._origins: dict[tuple[str, str, int, bool], Origin] = {}
        self._context = ssl.create_default_context()
        self._context.set_alpn_protocols([http2.ALPN, "http/1.1"])
        self._look: asyncio.TimerHandle | None = None

    async def send(self, request: Request) -> Response:
        """Send a request and wait for the head of its answer. Raises WireError."""
        if self._look is None:
            self._plan()
        return await self._origin(request).send(request)

    def close(self) -> None:
        if self._look:
            self._look.cancel()
        for origin in self._origins.values():
            origin.close()

    def _origin(self, request: Request) -> Origin:
        url = request.url
        key = (url.scheme, url.raw_host or "", url.port or 0, request.is_trusted)
        if key not in self._origins:
            context = self._context if url.scheme == "https" else None
            self._origins[key] = Origin(key[1], key[2], context, None if request.is_trusted else self._allowed)
        return self._origins[key]

    def _plan(self) -> None:
        self._look = asyncio.get_running_loop().call_later(LOOK_INTERVAL_S, self._look_after)

    def _look_after(self) -> None:
        """End what is overdue. One timer for all: a timer for each call costs more than the rest."""
        now = asyncio.get_running_loop().time()
        for key, origin in list(self._origins.items()):
            origin.look_after(now)
            if origin.is_unused:
                del self._origins[key]
        self._look = None
        if self._origins:
            self._plan()


class Opening(asyncio.Protocol):
    """A connection that is being made, until it is known what is spoken on it."""

    chosen: Connection | http2.Session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        speaks_http2 = tls is not None and tls.selected_alpn_protocol() == http2.ALPN
        self.chosen = http2.Session() if speaks_http2 else Connection()
        transport.set_protocol(self.chosen)
        self.chosen.connection_made(transport)


class Origin:
    """The connections to one server. The last used is used first, so that idle ones can end."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, allowed: addresses.Networks | None
    ) -> None:
        self._host, self._port, self._context, self._allowed = host, port, context, allowed
        self._idle: deque[Incoming] = deque()
        self._busy: set[Incoming] = set()
        self._sessions: list[http2.Session] = []
        self._connects_one_by_one = asyncio.Lock() if context else None  # until it is known not to speak HTTP/2
        self._connecting = 0
        self._found: list[ResolveResult] = []
        self._found_at = float("-inf")

    @property
    def is_unused(self) -> bool:
        return not (self._idle or self._busy or self._connecting or self._sessions)

    async def send(self, request: Request) -> Response:
        if connection := self._kept():
            try:
                return await self._exchange(connection, request)
            except Stale:
                pass  # the normal end of a kept connection: then a new one
        return await self._exchange(await self._connect(request), request)

    def give_back(self, connection: Incoming) -> None:
        self._busy.discard(connection)
        if connection.is_reusable and len(self._idle) < MOST_IDLE:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    def look_after(self, now: float) -> None:
        for connection in list(self._busy):
            connection.end_overdue(now)
        while self._idle and (not self._idle[0].is_reusable or self._idle[0].idle_since < now - IDLE_KEPT_S):
            self._idle.popleft().abort()
        for session in self._sessions:
            if session.is_over or (session.is_idle and session.idle_since < now - IDLE_KEPT_S):
                session.abort()
        self._sessions = [session for session in self._sessions if not session.is_over]

    def close(self) -> None:
        for connection in (*self._idle, *self._busy):
            connection.abort()
        for session in self._sessions:
            session.abort()

    async def _exchange(self, connection: Incoming, request: Request) -> Response:
        self._busy.add(connection)
        try:
            await connection.exchange(request)
        except BaseException:
            self._busy.discard(connection)
            connection.abort()
            raise
        return Response(connection, self)

    def _kept(self) -> Incoming | None:
        """What a request can be sent on without a new connection."""
        for session in self._sessions:
            if session.has_room:
                return session.stream()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        return None

    async def _connect(self, request: Request) -> Incoming:
        loop = asyncio.get_running_loop()
        self._connecting += 1
        try:
            async with asyncio.timeout_at(min(loop.time() + request.connect_s, request.deadline)):
                if self._connects_one_by_one is None:
                    return await self._connected(loop)
                async with self._connects_one_by_one:
                    return self._kept() or await self._connected(loop)
        except TimeoutError:
            raise WireError(Trouble.TIMEOUT, "it took too long to connect", was_sent=False) from None
        finally:
            self._connecting -= 1

    async def _connected(self, loop: asyncio.AbstractEventLoop) -> Incoming:
        """A connection to the first address that takes one."""
        failed = OSError("it has no address")
        for found in await self._addresses(loop):
            try:
                _, opening = await loop.create_connection(
                    Opening,
                    found["host"],
                    found["port"],
                    ssl=self._context,
                    server_hostname=self._host if self._context else None,
                )
            except TimeoutError:
                raise
            except OSError as error:
                failed = error
            else:
                return self._opened(opening.chosen)
        self._found_at = float("-inf")
        raise WireError(Trouble.UNREACHABLE, _reason(failed), was_sent=False)

    def _opened(self, chosen: Connection | http2.Session) -> Incoming:
        if isinstance(chosen, Connection):
            self._connects_one_by_one = None
            return chosen
        self._sessions.append(chosen)
        return chosen.stream()

    async def _addresses(self, loop: asyncio.AbstractEventLoop) -> list[ResolveResult]:
        """Where the name leads, looked up now and then; each address is checked before anything connects to it."""
        if self._allowed is None:
            return [ResolveResult(hostname=self._host, host=self._host, port=self._port, family=0, proto=0, flags=0)]
        if loop.time() - self._found_at > NAMES_KEPT_S:
            try:
                self._found = await addresses.resolve(self._host, self._port, self._allowed)
            except addresses.AddressRefused as error:
                raise WireError(Trouble.REFUSED, error.message, was_sent=False) from None
            except DomainError as error:
                raise WireError(Trouble.UNREACHABLE, error.message, was_sent=False) from None
            self._found_at = loop.time()
        return self._found


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its TLS certificate is not valid for this name"
    if isinstance(error, ssl.SSLError):
        return "it does not answer in TLS"
    return (error.strerror or str(error) or "it cannot be reached").lower()
