"""The data plane's way out, against real sockets that behave in every way."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from apps.core.outbound import addresses
from apps.core.outbound.wire import Request, Trouble, Wire, WireError

LOOPBACK = addresses.networks(["127.0.0.0/8"])
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-kind: plain\r\n\r\nhello"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server that does with each connection what a test says."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None = None) -> None:
        self._serve, self._context = serve, context
        self.connections = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> URL:
        return URL(f"{scheme}://{host}:{self.port}/v1/chat?a=b")

    async def close(self) -> None:
        self._server.close()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire(LOOPBACK)
    yield wire
    wire.close()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    servers: list[Server] = []

    async def started(serve: Serve, context: ssl.SSLContext | None = None) -> Server:
        server = Server(serve, context)
        await server.start()
        servers.append(server)
        return server

    yield started
    for server in servers:
        await server.close()


def post(url: URL, **given: Any) -> Request:
    return Request("POST", url, [(b"content-type", b"application/json")], b'{"a": 1}', **given)


async def request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return head + await reader.readexactly(length)


def sending(*pieces: bytes, times: int = 1_000_000) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            await request(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()

    return serve


async def trouble(wire: Wire, wanted: Request) -> WireError:
    with pytest.raises(WireError) as caught:
        await (await wire.send(wanted)).read()
    return caught.value


async def test_an_answer_comes_with_its_status_headers_and_body(wire: Wire, start: Any) -> None:
    server = await start(sending(OK))
    response = await wire.send(post(server.url()))
    assert response.status == 200
    assert (b"x-kind", b"plain") in response.headers
    assert await response.read() == b"hello"


async def test_what_is_sent_is_what_was_given(wire: Wire, start: Any) -> None:
    seen = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await request(reader))
        writer.write(OK)

    server = await start(serve)
    await (await wire.send(post(server.url()))).read()
    head, _, body = bytes(seen).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % server.port)
    assert b"accept-encoding: identity" in head
    assert body == b'{"a": 1}'


async def test_a_connection_serves_one_request_after_the_other(wire: Wire, start: Any) -> None:
    server = await start(sending(OK))
    for _ in range(5):
        assert await (await wire.send(post(server.url()))).read() == b"hello"
    assert server.connections == 1


async def test_requests_at_once_have_connections_of_their_own(wire: Wire, start: Any) -> None:
    server = await start(sending(OK))

    async def call() -> bytes:
        return await (await wire.send(post(server.url()))).read()

    assert await asyncio.gather(*(call() for _ in range(20))) == [b"hello"] * 20
    assert 1 < server.connections <= 20


async def test_a_kept_connection_that_ended_is_replaced_unseen(wire: Wire, start: Any) -> None:
    server = await start(sending(OK, times=1))
    for _ in range(3):
        assert await (await wire.send(post(server.url()))).read() == b"hello"
    assert server.connections == 3


async def test_a_new_connection_that_ends_without_an_answer_is_not_tried_again(wire: Wire, start: Any) -> None:
    server = await start(sending(times=1))
    error = await trouble(wire, post(server.url()))
    assert (error.trouble, error.was_sent, server.connections) == (Trouble.BROKEN, True, 1)


async def test_a_body_comes_as_it_is_sent(wire: Wire, start: Any) -> None:
    go_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
        await writer.drain()

    response = await wire.send(post((await start(serve)).url()))
    pieces = response.pieces()
    assert await anext(pieces) == b"first"
    go_on.set()
    assert [piece async for piece in pieces] == [b"second"]


async def test_a_body_without_a_length_ends_with_the_connection(wire: Wire, start: Any) -> None:
    server = await start(sending(b"HTTP/1.0 200 OK\r\n\r\nall", b" of it", times=1))
    assert await (await wire.send(post(server.url()))).read() == b"all of it"


async def test_what_comes_before_the_answer_is_passed_over(wire: Wire, start: Any) -> None:
    server = await start(sending(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", OK))
    for _ in range(2):
        response = await wire.send(post(server.url()))
        assert (response.status, await response.read()) == (200, b"hello")
        assert b"link" not in dict(response.headers)


async def test_an_answer_that_is_compressed_unasked_is_read(wire: Wire, start: Any) -> None:
    body = gzip.compress(b"hello" * 100)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    server = await start(sending(head + body))
    assert await (await wire.send(post(server.url()))).read() == b"hello" * 100


async def test_a_small_answer_that_unpacks_to_a_large_one_is_ended(wire: Wire, start: Any) -> None:
    body = gzip.compress(b"0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    server = await start(sending(head + body))
    assert (await trouble(wire, post(server.url(), max_bytes=100_000))).trouble == Trouble.TOO_LARGE


@pytest.mark.parametrize(
    "answer",
    [
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
        b"",
    ],
)
async def test_a_broken_answer_is_told_as_one(wire: Wire, start: Any, answer: bytes) -> None:
    server = await start(sending(answer, times=1))
    assert (await trouble(wire, post(server.url()))).trouble == Trouble.BROKEN


async def test_a_head_without_end_is_ended(wire: Wire, start: Any) -> None:
    server = await start(sending(b"HTTP/1.1 200 OK\r\n", *[b"x-filler: " + b"y" * 1000 + b"\r\n"] * 500))
    assert (await trouble(wire, post(server.url()))).trouble == Trouble.BROKEN


async def test_more_bytes_than_allowed_are_not_taken(wire: Wire, start: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n"
    server = await start(sending(head, *[b"0" * 1_000_000] * 50))
    assert (await trouble(wire, post(server.url(), max_bytes=1_000_000))).trouble == Trouble.TOO_LARGE


async def test_a_server_that_says_nothing_is_given_up(wire: Wire, start: Any) -> None:
    server = await start(sending())
    error = await trouble(wire, post(server.url(), first_byte_s=0.2))
    assert (error.trouble, error.was_sent) == (Trouble.TIMEOUT, True)


async def test_a_server_that_stops_in_the_middle_is_given_up(wire: Wire, start: Any) -> None:
    server = await start(sending(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhel"))
    assert (await trouble(wire, post(server.url(), idle_s=0.2))).trouble == Trouble.TIMEOUT


async def test_a_server_that_sends_a_byte_now_and_then_meets_the_deadline(wire: Wire, start: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    server = await start(serve)
    deadline = asyncio.get_running_loop().time() + 0.4
    assert (await trouble(wire, post(server.url(), deadline=deadline))).trouble == Trouble.TIMEOUT


async def test_nobody_who_reads_slowly_makes_memory_grow(wire: Wire, start: Any) -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n")
        for _ in range(400):
            writer.write(b"0" * 100_000)
            await writer.drain()
            sent += 100_000

    server = await start(serve)
    response = await wire.send(post(server.url()))
    before = -1
    while before != sent:  # until the server has to wait
        before = sent
        await asyncio.sleep(0.2)
    assert sent < 30_000_000
    assert response._connection._waiting_bytes < 1_000_000
    assert len(await response.read()) == 40_000_000


async def test_an_answer_that_nobody_wants_any_more_ends_its_connection(wire: Wire, start: Any) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nbegun")
        await reader.read()
        ended.set()

    server = await start(serve)
    response = await wire.send(post(server.url()))
    response.close()
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_cancelled_call_ends_its_connection(wire: Wire, start: Any) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        asked.set()
        await reader.read()
        ended.set()

    server = await start(serve)
    task = asyncio.create_task(wire.send(post(server.url())))
    await asyncio.wait_for(asked.wait(), 10)
    task.cancel()
    await asyncio.wait_for(ended.wait(), 10)


async def test_nobody_listening_is_told_before_anything_was_sent(wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = await trouble(wire, post(URL(f"http://127.0.0.1:{port}/")))
    assert (error.trouble, error.was_sent) == (Trouble.UNREACHABLE, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_a_private_address_is_not_connected_to(start: Any, host: str) -> None:
    server = await start(sending(OK))
    wire = Wire()
    error = await trouble(wire, post(URL(f"http://{host}:{server.port}/")))
    assert (error.trouble, error.was_sent, server.connections) == (Trouble.REFUSED, False, 0)
    wire.close()


async def test_an_address_of_the_operators_own_is_trusted(start: Any) -> None:
    server = await start(sending(OK))
    wire = Wire()
    assert await (await wire.send(post(server.url(), is_trusted=True))).read() == b"hello"
    assert (await trouble(wire, post(server.url()))).trouble == Trouble.REFUSED
    wire.close()


async def test_a_name_that_leads_elsewhere_later_is_checked_again(
    wire: Wire, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start(sending(OK, times=1))
    leads_to = iter(["127.0.0.1", "10.0.0.1"])

    async def looked_up(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(leads_to), server.port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked_up)
    monkeypatch.setattr("apps.core.outbound.wire.NAMES_KEPT_S", -1)
    url = server.url("rebinding.test")
    assert await (await wire.send(post(url))).read() == b"hello"
    assert (await trouble(wire, post(url))).trouble == Trouble.REFUSED


async def test_a_header_of_several_lines_is_not_sent(wire: Wire, start: Any) -> None:
    server = await start(sending(OK))
    wanted = Request("POST", server.url(), [(b"x-name", b"a\r\nx-forged: b")])
    with pytest.raises(ValueError, match="end of a line"):
        await wire.send(wanted)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own for `name`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return paths


async def test_tls_is_verified_against_the_name(start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = await start(sending(OK), context)
    distrusting = Wire(LOOPBACK + addresses.networks(["::1/128"]))
    error = await trouble(distrusting, post(server.url("localhost", "https")))
    assert (error.trouble, str(error)) == (Trouble.UNREACHABLE, "its TLS certificate is not valid for this name")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    trusting = Wire(LOOPBACK + addresses.networks(["::1/128"]))
    assert await (await trusting.send(post(server.url("localhost", "https")))).read() == b"hello"
    assert (await trouble(trusting, post(server.url("127.0.0.1", "https")))).trouble == Trouble.UNREACHABLE
    for wire in (distrusting, trusting):
        wire.close()
