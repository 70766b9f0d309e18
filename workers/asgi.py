"""A pipeline of the data plane as an ASGI application."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import structlog

from apps.core.addresses import client_address, networks
from apps.core.edge import Answer, BodyTooLarge, Call, ClientGone, Proceed, Sent, Unsendable
from apps.core.errors import DomainError, Unexpected
from apps.core.request_ids import accept_or_make

MAX_BODY_BYTES = 16 * 1024 * 1024
TRUSTED_PROXIES = networks(os.environ.get("TRUSTED_PROXIES", "").split(","))

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SENT = Unsendable()

log = structlog.get_logger(__name__)


class Application:
    """Turns requests into calls and refusals into problem documents, from the server's lifespan start to its end."""

    headers: ClassVar[list[tuple[bytes, bytes]]] = []  # of every answer
    _serve: Proceed | None = None

    async def start(self) -> Proceed:
        """Make what calls need; return what serves them."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Let go of what `start` made."""

    def admit(self, call: Call) -> None:
        """Take note of a call that begins."""

    def settle(self, call: Call, status: int) -> None:
        """Do what a call leaves behind once its answer is on its way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        call = _call(scope, receive)
        call.reply = pieces = Pieces(call, receive, send, self.headers)
        self.admit(call)
        status = ClientGone.status
        try:
            answer = await self._answer(call)
            status = answer.status
            if isinstance(answer, Sent):
                await pieces.end()
            elif not pieces.has_begun:  # otherwise the server breaks it off: half an answer must not look whole
                await _send(send, call, answer, self.headers)
        except ClientGone:
            return
        finally:
            pieces.close()
            self.settle(call, status)
            # Both refer to the call, which would stay until the collector finds the circle.
            call.reply, call.events = SENT, []

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._serve = await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, call: Call) -> Answer:
        if self._serve is None:
            raise RuntimeError("the data plane needs a server that runs its lifespan")
        try:
            return await self._serve(call)
        except ClientGone:
            raise
        except DomainError as error:
            return call.refusal(error, call.request_id)
        # The last resort of the process: one call's defect must not leave its caller without an answer.
        except Exception:
            log.exception("call_failed", request_id=call.request_id, route=call.route)
            return call.refusal(Unexpected(), call.request_id)


def _call(scope: Scope, receive: Receive) -> Call:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return Call(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers=headers,
        client=_client(scope),
        request_id=accept_or_make(headers.get(b"x-request-id", b"").decode("latin-1")),
        read=lambda: _body(headers, receive),
    )


def _client(scope: Scope) -> str:
    peer: str = scope["client"][0] if scope["client"] else ""
    if not TRUSTED_PROXIES:
        return peer
    claims = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    return client_address(peer, claims.decode("latin-1"), TRUSTED_PROXIES)


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as that is known."""
    declared = headers.get(b"content-length", b"0")
    if int(declared) > MAX_BODY_BYTES:
        raise BodyTooLarge(limit_bytes=MAX_BODY_BYTES)
    message = await receive()
    body: bytes = message.get("body", b"")
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge(limit_bytes=MAX_BODY_BYTES)
    if message["type"] == "http.disconnect":
        raise ClientGone
    return body if len(chunks) == 1 else b"".join(chunks)


async def _send(send: Send, call: Call, answer: Answer, common: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(answer.body)).encode())
    await send(_head(call, answer.status, [*answer.headers, length], common))
    await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else answer.body})


def _head(
    call: Call, status: int, headers: list[tuple[bytes, bytes]], common: list[tuple[bytes, bytes]]
) -> dict[str, Any]:
    fields = [*headers, *call.told, *common, (b"x-request-id", call.request_id.encode())]
    return {"type": "http.response.start", "status": status, "headers": fields}


class Pieces:
    """An answer that is sent piece by piece, while somebody looks whether the caller is still there."""

    def __init__(self, call: Call, receive: Receive, send: Send, common: list[tuple[bytes, bytes]]) -> None:
        self._call, self._receive, self._send, self._common = call, receive, send, common
        self._watching: asyncio.Task[None] | None = None
        self.has_begun = False
        self.sent_bytes = 0

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._watch()
        self.has_begun = True
        await self._send(_head(self._call, status, headers, self._common))

    async def send(self, piece: bytes) -> None:
        if self._watch().done():
            raise ClientGone
        self.sent_bytes += len(piece)
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def until_gone(self) -> None:
        await asyncio.shield(self._watch())

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    def close(self) -> None:
        if self._watching:
            self._watching.cancel()

    def _watch(self) -> asyncio.Task[None]:
        if self._watching is None:
            self._watching = asyncio.create_task(self._until_closed(), name="client")
        return self._watching

    async def _until_closed(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
