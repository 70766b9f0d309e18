"""The data plane's way out in HTTP/2, against a server made of the protocol's own library behind real TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from yarl import URL

from apps.core.outbound import addresses
from apps.core.outbound.wire import Request, Trouble, Wire, WireError
from tests.core.test_wire import certificate

LOOPBACK = addresses.networks(["127.0.0.0/8", "::1/128"])


class Peer(asyncio.Protocol):
    """One connection of the server: hands each whole request to what the test gave."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._bodies: dict[int, bytes] = {}
        self._heads: dict[int, dict[str, str]] = {}
        self._unsent: dict[int, bytes] = {}
        self.resets: list[tuple[int, int]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._server.peers.append(self)
        if self._server.babbles:
            transport.write(bytes([0, 0, 0, 0, 0, 0, 0, 0, 99]))  # data that nobody asked for
            return
        self.h2.initiate_connection()
        if self._server.most_streams:
            self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self._server.most_streams})
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._server.babbles:
            return
        for event in self.h2.receive_data(data):
            if isinstance(event, events.RequestReceived):
                self._heads[event.stream_id] = dict(event.headers)  # type: ignore[arg-type]
                self._bodies[event.stream_id] = b""
                self._server.begun.set()
            elif isinstance(event, events.DataReceived):
                self._bodies[event.stream_id] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, events.StreamReset):
                self._unsent.pop(event.stream_id, None)  # type: ignore[arg-type]
                self.resets.append((event.stream_id, int(event.error_code)))
                self._server.was_reset.set()
            if isinstance(event, events.StreamEnded):
                head, body = self._heads[event.stream_id], self._bodies[event.stream_id]
                self._server.serve(self, event.stream_id, head, body)
        self._send_on()
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def answer(self, stream_id: int, body: bytes = b"hello", status: str = "200", *, ends: bool = True) -> None:
        self.h2.send_headers(stream_id, [(":status", status), ("x-kind", "second")])
        if ends:
            self._unsent[stream_id] = body
            self._send_on()
        else:
            self.h2.send_data(stream_id, body)
        self.flush()

    def end(self, stream_id: int, body: bytes) -> None:
        self.h2.send_data(stream_id, body, end_stream=True)
        self.flush()

    def _send_on(self) -> None:
        for stream_id in list(self._unsent):
            while size := min(self.h2.local_flow_control_window(stream_id), 16_384, len(self._unsent[stream_id])):
                body = self._unsent[stream_id]
                self.h2.send_data(stream_id, body[:size], end_stream=size == len(body))
                self._unsent[stream_id] = body[size:]
            if not self._unsent[stream_id]:
                del self._unsent[stream_id]


Serve = Callable[[Peer, int, dict[str, str], bytes], Any]


class Server:
    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self.peers: list[Peer] = []
        self.begun, self.was_reset = asyncio.Event(), asyncio.Event()
        self.most_streams = 0
        self.babbles = False

    async def start(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", 0, ssl=context)
        self.url = URL(f"https://localhost:{self._server.sockets[0].getsockname()[1]}/v1/chat?a=b")

    def close(self) -> None:
        self._server.close()
        for peer in self.peers:
            peer.transport.abort()


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    cert, key = certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture
async def wire(context: ssl.SSLContext) -> AsyncIterator[Wire]:
    wire = Wire(LOOPBACK)
    yield wire
    wire.close()


@pytest.fixture
async def start(context: ssl.SSLContext) -> AsyncIterator[Callable[..., Any]]:
    servers: list[Server] = []

    async def started(serve: Serve, **settings: Any) -> Server:
        server = Server(serve)
        for name, value in settings.items():
            setattr(server, name, value)
        await server.start(context)
        servers.append(server)
        return server

    yield started
    for server in servers:
        server.close()


def post(url: URL, body: bytes = b'{"a": 1}', **given: Any) -> Request:
    return Request("POST", url, [(b"Content-Type", b"application/json"), (b"connection", b"close")], body, **given)


async def answered(wire: Wire, request: Request) -> bytes:
    return await (await wire.send(request)).read()


async def trouble(wire: Wire, request: Request) -> WireError:
    with pytest.raises(WireError) as raised:
        await answered(wire, request)
    return raised.value


def greet(peer: Peer, stream_id: int, head: dict[str, str], body: bytes) -> None:
    peer.answer(stream_id)


async def test_what_is_sent_is_what_was_meant(wire: Wire, start: Any) -> None:
    heads: list[dict[str, str]] = []

    def serve(peer: Peer, stream_id: int, head: dict[str, str], body: bytes) -> None:
        heads.append(head)
        peer.answer(stream_id, body)

    server = await start(serve)
    response = await wire.send(post(server.url))
    assert (response.status, response.headers, await response.read()) == (200, [(b"x-kind", b"second")], b'{"a": 1}')
    [head] = heads
    assert head == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": f"localhost:{server.url.port}",
        ":path": "/v1/chat?a=b",
        "content-type": "application/json",
        "accept-encoding": "identity",
        "content-length": "8",
    }


async def test_calls_beside_each_other_share_a_connection(wire: Wire, start: Any) -> None:
    server = await start(lambda peer, stream_id, head, body: peer.answer(stream_id, body))
    bodies = [b"%d" % number for number in range(60)]
    assert await asyncio.gather(*(answered(wire, post(server.url, body)) for body in bodies)) == bodies
    assert len(server.peers) == 1


async def test_more_calls_than_a_connection_takes_make_another(wire: Wire, start: Any) -> None:
    waiting: list[tuple[Peer, int]] = []
    server = await start(lambda peer, stream_id, head, body: waiting.append((peer, stream_id)), most_streams=2)
    first = asyncio.create_task(answered(wire, post(server.url)))
    await server.begun.wait()
    others = [asyncio.create_task(answered(wire, post(server.url))) for _ in range(3)]
    while len(waiting) < 4:
        await asyncio.sleep(0.01)
    for peer, stream_id in waiting:
        peer.answer(stream_id)
    assert await asyncio.gather(first, *others) == [b"hello"] * 4
    assert len(server.peers) == 2


async def test_large_bodies_go_and_come_through_their_windows(wire: Wire, start: Any) -> None:
    server = await start(lambda peer, stream_id, head, body: peer.answer(stream_id, body * 3))
    body = bytes(range(256)) * 4096
    assert await answered(wire, post(server.url, body)) == body * 3
    # The windows are given back: as much again goes through the same connection.
    assert await answered(wire, post(server.url, body)) == body * 3
    assert len(server.peers) == 1


async def test_whoever_does_not_read_lets_the_other_side_wait(wire: Wire, start: Any) -> None:
    server = await start(lambda peer, stream_id, head, body: peer.answer(stream_id, b"x" * 2_000_000))
    response = await wire.send(post(server.url))
    await asyncio.sleep(0.2)
    [peer] = server.peers
    assert sum(map(len, peer._unsent.values())) >= 1_700_000
    assert len(await response.read()) == 2_000_000


async def test_what_was_taken_on_is_answered_after_a_goodbye(wire: Wire, start: Any) -> None:
    """Servers leave after some number of requests, and end what they have begun."""

    def serve(peer: Peer, stream_id: int, head: dict[str, str], body: bytes) -> None:
        if len(server.peers) > 1:
            peer.answer(stream_id, b"new")
            return
        peer.answer(stream_id, b"first ", ends=False)
        peer.h2.close_connection(last_stream_id=stream_id)
        rest = [H2Frames.data(stream_id, b"rest", ends=True)]
        peer.transport.write(peer.h2.data_to_send() + b"".join(rest))

    server = await start(serve)
    assert await answered(wire, post(server.url)) == b"first rest"
    assert await answered(wire, post(server.url)) == b"new"
    assert len(server.peers) == 2


class H2Frames:
    """What the library does not send any more after its own goodbye."""

    @staticmethod
    def data(stream_id: int, body: bytes, *, ends: bool) -> bytes:
        return len(body).to_bytes(3, "big") + b"\x00" + bytes([ends]) + stream_id.to_bytes(4, "big") + body


async def test_what_was_not_taken_on_is_sent_again(wire: Wire, start: Any) -> None:
    refused: list[int] = []

    def serve(peer: Peer, stream_id: int, head: dict[str, str], body: bytes) -> None:
        if body == b"again" and not refused:
            refused.append(stream_id)
            peer.h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
        else:
            peer.answer(stream_id, body)

    server = await start(serve)
    await answered(wire, post(server.url))
    assert await answered(wire, post(server.url, b"again")) == b"again"
    assert refused


async def test_a_stream_that_breaks_off_says_so_and_the_others_go_on(wire: Wire, start: Any) -> None:
    held: list[tuple[Peer, int]] = []

    def serve(peer: Peer, stream_id: int, head: dict[str, str], body: bytes) -> None:
        if body == b"held":
            held.append((peer, stream_id))
        else:
            peer.answer(stream_id, b"12345", ends=False)
            peer.h2.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)

    server = await start(serve)
    other = asyncio.create_task(answered(wire, post(server.url, b"held")))
    await server.begun.wait()
    error = await trouble(wire, post(server.url))
    assert (error.trouble, str(error)) == (Trouble.BROKEN, "it broke off its answer after 5 bytes")
    for peer, stream_id in held:
        peer.answer(stream_id)
    assert await other == b"hello"


async def test_a_lost_connection_ends_all_that_wait_for_it(wire: Wire, start: Any) -> None:
    server = await start(lambda peer, stream_id, head, body: peer.answer(stream_id, b"123", ends=False))
    response = await wire.send(post(server.url))
    server.peers[0].transport.abort()
    with pytest.raises(WireError, match="after 3 bytes"):
        await response.read()
    server.serve = greet
    assert await answered(wire, post(server.url)) == b"hello"


async def test_who_waits_in_vain_cancels_and_does_not_trust_the_connection(wire: Wire, start: Any) -> None:
    server = await start(lambda *_: None)
    error = await trouble(wire, post(server.url, first_byte_s=0.3))
    assert error.trouble == Trouble.TIMEOUT
    await asyncio.wait_for(server.was_reset.wait(), 5)
    assert server.peers[0].resets == [(1, ErrorCodes.CANCEL)]
    server.serve = greet
    assert await answered(wire, post(server.url)) == b"hello"


async def test_an_answer_that_is_given_up_is_cancelled_alone(wire: Wire, start: Any) -> None:
    server = await start(lambda peer, stream_id, head, body: peer.answer(stream_id, b"1", ends=False))
    first, second = await wire.send(post(server.url)), await wire.send(post(server.url))
    first.close()
    await asyncio.wait_for(server.was_reset.wait(), 5)
    server.peers[0].end(3, b"2")
    assert await second.read() == b"12"
    assert len(server.peers) == 1


async def test_an_answer_that_is_too_large_ends(wire: Wire, start: Any) -> None:
    server = await start(lambda peer, stream_id, head, body: peer.answer(stream_id, b"x" * 500_000))
    assert (await trouble(wire, post(server.url, max_bytes=100_000))).trouble == Trouble.TOO_LARGE
    server.serve = greet
    assert await answered(wire, post(server.url)) == b"hello"
    assert len(server.peers) == 1


async def test_what_is_no_http2_is_told(wire: Wire, start: Any) -> None:
    server = await start(greet, babbles=True)
    error = await trouble(wire, post(server.url))
    assert error.trouble == Trouble.BROKEN
    assert "it does not answer in HTTP/2" in str(error)


async def test_a_header_of_several_lines_is_not_sent(wire: Wire, start: Any) -> None:
    server = await start(greet)
    with pytest.raises(ValueError, match="end of a line"):
        await wire.send(Request("POST", server.url, [(b"x-name", b"a\r\nx-forged: b")]))
