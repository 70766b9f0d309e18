"""A provider of models: speaks their protocols over a socket, keeps what it was sent, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.stand_ins import provider_answers as answers_of
from tests.stand_ins.provider_answers import HELLO, Saying

PIECE_BYTES = 65_536
JSON, EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Cut(Exception):
    """The connection ends here."""


@dataclass
class Visit:
    """One request and the way back."""

    received: Received
    writer: asyncio.StreamWriter
    provider: Provider

    @property
    def protocol(self) -> str:
        return answers_of.protocol(self.received.path)

    @property
    def body(self) -> dict[str, Any]:
        """What was asked; Gemini's model stands in the path."""
        return {"model": "stand-in", **json.loads(self.received.body or b"{}")}

    @property
    def is_stream(self) -> bool:
        return answers_of.is_stream(self.received.path, self.body)

    def events(self, saying: Saying = HELLO) -> list[bytes]:
        return answers_of.events(self.protocol, self.body, saying)

    def whole(self, saying: Saying = HELLO) -> bytes:
        return json.dumps(answers_of.whole(self.protocol, self.body, saying)).encode()

    async def head(self, status: int = 200, version: str = "1.1", **headers: Any) -> None:
        lines = [f"HTTP/{version} {status} {HTTPStatus(status).phrase if status != 529 else 'Overloaded'}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def write(self, piece: bytes) -> None:
        self.writer.write(piece)
        await self.writer.drain()

    async def chunk(self, piece: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def answer(self, body: bytes, status: int = 200, kind: str = JSON, **headers: Any) -> None:
        await self.head(status, content_type=kind, content_length=len(body), x_request_id="up-1", **headers)
        await self.write(body)

    async def begin_events(self) -> None:
        await self.head(content_type=EVENTS, transfer_encoding="chunked")

    def reset(self) -> None:
        """Send RST instead of an end."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise Cut


Behaviour = Callable[[Visit], Awaitable[None]]


def saying(said: Saying = HELLO, pause_s: float = 0.0) -> Behaviour:
    """A good answer; with a pause before each of a stream's events."""

    async def behave(visit: Visit) -> None:
        if not visit.is_stream:
            await visit.answer(visit.whole(said))
            return
        await visit.begin_events()
        for event in visit.events(said):
            await asyncio.sleep(pause_s)
            await visit.chunk(event)
        await visit.chunk(b"")

    return behave


def late(seconds: float) -> Behaviour:
    """Nothing at all for so long, then a good answer."""

    async def behave(visit: Visit) -> None:
        await asyncio.sleep(seconds)
        await saying()(visit)

    return behave


def dripping(pause_s: float) -> Behaviour:
    """A good answer, a byte at a time."""

    async def behave(visit: Visit) -> None:
        body = b"".join(visit.events()) if visit.is_stream else visit.whole()
        await visit.head(content_type=EVENTS if visit.is_stream else JSON, content_length=len(body))
        for byte in body:
            await visit.write(bytes([byte]))
            await asyncio.sleep(pause_s)

    return behave


def reset_after(count: int) -> Behaviour:
    """So many events (of a whole answer: bytes), then a reset."""

    async def behave(visit: Visit) -> None:
        if visit.is_stream:
            await visit.begin_events()
            for event in visit.events()[:count]:
                await visit.chunk(event)
        else:
            body = visit.whole()
            await visit.head(content_type=JSON, content_length=len(body))
            await visit.write(body[:count])
        await asyncio.sleep(0.2)  # a reset drops what the other side has not read yet
        visit.reset()

    return behave


def stopping_after(count: int) -> Behaviour:
    """So many events, then silence with the connection open."""

    async def behave(visit: Visit) -> None:
        await visit.begin_events()
        for event in visit.events()[:count]:
            await visit.chunk(event)
        await visit.provider.until_released()

    return behave


def refusing_after(count: int) -> Behaviour:
    """So many events, then an error among them."""

    async def behave(visit: Visit) -> None:
        await visit.begin_events()
        for event in visit.events()[:count]:
            await visit.chunk(event)
        await asyncio.sleep(0.2)  # what comes together may be told together
        told = answers_of.refusal(visit.protocol, 529, "Overloaded", "overloaded_error", "overloaded")
        name = b"event: error\n" if visit.protocol in {"messages", "responses"} else b""
        await visit.chunk(name + b"data: " + json.dumps(told).encode() + b"\n\n")
        await visit.chunk(b"")

    return behave


def refusing(status: int, message: str, kind: str, code: str | None = None, **headers: Any) -> Behaviour:
    async def behave(visit: Visit) -> None:
        told = answers_of.refusal(visit.protocol, status, message, kind, code)
        await visit.answer(json.dumps(told).encode(), status, **headers)

    return behave


def rate_limited(retry_after: str = "1") -> Behaviour:
    return refusing(429, "Rate limit reached", "rate_limit_error", "rate_limit_exceeded", retry_after=retry_after)


def garbled(piece: bytes) -> Behaviour:
    """200 and this, as a stream where one was asked for."""

    async def behave(visit: Visit) -> None:
        await visit.answer(piece, kind=EVENTS if visit.is_stream else JSON)

    return behave


def error_in_success() -> Behaviour:
    """200, and an error in it."""

    async def behave(visit: Visit) -> None:
        told = json.dumps(answers_of.refusal(visit.protocol, 500, "Something broke", "server_error")).encode()
        await (garbled(b"data: " + told + b"\n\n") if visit.is_stream else garbled(told))(visit)

    return behave


def huge(size: int) -> Behaviour:
    """A body that is larger than anybody wants."""

    async def behave(visit: Visit) -> None:
        await visit.head(content_type=JSON, content_length=size)
        for sent in range(0, size, PIECE_BYTES):
            await visit.write(b" " * min(PIECE_BYTES, size - sent))

    return behave


def wrong_length(by: int) -> Behaviour:
    """A good answer whose length is told `by` too high or too low."""

    async def behave(visit: Visit) -> None:
        body = visit.whole()
        await visit.head(content_type=JSON, content_length=len(body) + by)
        await visit.write(body)
        raise Cut

    return behave


def gzipped() -> Behaviour:
    """Compressed though nobody asked."""

    async def behave(visit: Visit) -> None:
        await visit.answer(gzip.compress(visit.whole()), content_encoding="gzip")

    return behave


def old() -> Behaviour:
    """HTTP/1.0: no length, and the end of the connection is the end."""

    async def behave(visit: Visit) -> None:
        await visit.head(version="1.0", content_type=EVENTS if visit.is_stream else JSON)
        await visit.write(b"".join(visit.events()) if visit.is_stream else visit.whole())
        raise Cut

    return behave


async def hanging(visit: Visit) -> None:
    await visit.provider.until_released()


async def closing(visit: Visit) -> None:
    raise Cut


@dataclass
class Provider:
    """`answer` is what every request gets, but for those that `next` has something for; `received` has them all."""

    port: int = 0
    answer: Behaviour = field(default_factory=saying)
    next: deque[Behaviour] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        self.answer = saying()
        self.next.clear()
        self.received.clear()

    async def until_released(self) -> None:
        await self._released.wait()
        raise Cut

    async def serve(self, started: Callable[[], None]) -> None:
        self._released = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._converse, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        started()
        await self._released.wait()
        server.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._released.set)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(Cut, OSError, EOFError):
            while received := await _request(reader):
                self.received.append(received)
                behave = self.next.popleft() if self.next else self.answer
                await behave(Visit(received, writer, self))
        with suppress(OSError):
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, path, headers, body)


@contextmanager
def running(answer: Behaviour | None = None) -> Iterator[Provider]:
    provider = Provider(answer=answer or saying())
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(provider.serve(started.set)), daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield provider
    finally:
        provider.close()
        thread.join(10)
