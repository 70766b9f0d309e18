"""Addresses that users give: what is refused, what is pinned, what is cut off."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from apps.core.outbound import client as outbound

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Kind: plain\r\n\r\nhello"
QUICK = outbound.Limits(connect_s=2, read_s=0.3, total_s=0.8, max_bytes=1000)


class Server:
    """Accepts connections on loopback and hands each to `serve`; counts them."""

    def __init__(self, serve: Callable[[socket.socket], None], host: str = "127.0.0.1", port: int = 0) -> None:
        self.connections = 0
        self._serve = serve
        self._listening = socket.create_server((host, port))
        self.host, self.port = self._listening.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._serve(connection)
            except OSError:
                return

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/table.csv"

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def sending(content: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(content)

    return serve


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def started(serve: Callable[[socket.socket], None], **options: Any) -> Server:
        servers.append(Server(serve, **options))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


@pytest.fixture
def loopback_allowed(settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = ["127.0.0.1/32"]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names and the answers the DNS gives for them, one list of addresses for each look-up; the last one stays."""
    known: dict[str, list[list[str]]] = {}
    ask = socket.getaddrinfo

    def answered(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return ask(host, port, *args, **kwargs)
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for address in addresses for found in ask(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", answered)
    return known


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:a00:1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::a00:1]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[2001:0:7f00:1::]",
    ],
)
def test_an_address_that_is_not_public_is_refused_in_every_form(host: str, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    with pytest.raises(outbound.AddressRefused):
        outbound.request("GET", f"http://{host}:9/")


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1"],
)
def test_a_public_address_is_allowed(address: str, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    assert outbound.is_allowed(address)


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_global))
def test_no_form_of_a_private_ipv4_address_is_allowed(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = [number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80]
    assert not outbound.is_allowed(str(address))
    assert not any(outbound.is_allowed(str(ipaddress.IPv6Address(form))) for form in forms)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a.csv",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//example.com/a.csv",
        "example.com/a.csv",
        "https://",
        "https://user:secret@example.com/a.csv",
        "https://example.com:0/",
        "https://example.com:99999/",
        "http://[::1/",
        "https://example.com/" + "ü" * 400,  # each becomes six characters
        "",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(outbound.InvalidUrl):
        outbound.request("GET", url)


def test_a_refused_address_is_never_connected_to(start: Any, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    server = start(sending(OK))
    with pytest.raises(outbound.AddressRefused):
        outbound.request("GET", server.url())
    assert server.connections == 0


@pytest.mark.usefixtures("loopback_allowed")
def test_an_allowed_network_is_called(start: Any) -> None:
    answer = outbound.request("GET", start(sending(OK)).url())
    assert (answer.status, answer.body, answer.headers["X-Kind"]) == (200, b"hello", "plain")


@pytest.mark.usefixtures("loopback_allowed")
def test_a_body_and_headers_are_sent(start: Any) -> None:
    seen = bytearray()

    def serve(connection: socket.socket) -> None:
        while not seen.endswith(b'{"a": 1}'):
            seen.extend(connection.recv(65_536))
        connection.sendall(OK)

    outbound.request("POST", start(serve).url(), headers={"X-Signature": "v1"}, body=b'{"a": 1}')
    assert seen.startswith(b"POST /table.csv HTTP/1.1\r\n")
    assert b"x-signature: v1" in seen.lower()


@pytest.mark.usefixtures("loopback_allowed")
def test_a_name_is_looked_up_once_and_the_connection_goes_to_that_address(start: Any, names: Any) -> None:
    checked = start(sending(OK))
    swapped = start(sending(OK.replace(b"hello", b"inner")), host="127.0.0.2", port=checked.port)
    names["rebinding.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    answer = outbound.request("GET", checked.url("rebinding.test"))
    assert answer.body == b"hello"
    assert (checked.connections, swapped.connections) == (1, 0)


@pytest.mark.usefixtures("loopback_allowed")
def test_one_private_address_among_several_refuses_the_name(start: Any, names: Any) -> None:
    server = start(sending(OK))
    names["mixed.test"] = [["127.0.0.1", "10.0.0.1"]]
    with pytest.raises(outbound.AddressRefused):
        outbound.request("GET", server.url("mixed.test"))
    assert server.connections == 0


@pytest.mark.usefixtures("loopback_allowed")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_not_followed(start: Any, status: int) -> None:
    inner = start(sending(OK))
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: {inner.url()}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(outbound.Redirected):
        outbound.request("GET", start(sending(moved)).url())
    assert inner.connections == 0


def dripping(before: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """Never silent for as long as a read may take, and never done."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(before)
        pause = threading.Event()
        while True:
            connection.sendall(drop)
            pause.wait(0.05)

    return serve


@pytest.mark.usefixtures("loopback_allowed")
@pytest.mark.parametrize(
    "serve",
    [
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        dripping(b"HTTP/1.1 ", b"2"),
        lambda _: threading.Event().wait(5),
    ],
    ids=["body", "headers", "status line", "silence"],
)
def test_a_slow_answer_is_cut_off(start: Any, serve: Any) -> None:
    with pytest.raises((outbound.TooSlow, outbound.Unreachable)) as refused:
        outbound.request("GET", start(serve).url(), limits=QUICK)
    assert refused.value.status in (502, 504)


@pytest.mark.usefixtures("loopback_allowed")
def test_an_answer_above_the_cap_is_cut_off_whether_declared_or_not(start: Any) -> None:
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 5000
    received = bytearray()
    with pytest.raises(outbound.AnswerTooLarge):
        outbound.download(start(sending(endless)).url(), received.extend, limits=QUICK)
    assert len(received) <= QUICK.max_bytes


@pytest.mark.usefixtures("loopback_allowed")
def test_an_answer_that_breaks_off_is_an_error_not_a_short_file(start: Any) -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 100
    with pytest.raises(outbound.Unreachable, match="broke off"):
        outbound.download(start(sending(short)).url(), bytearray().extend)


@pytest.mark.usefixtures("loopback_allowed")
def test_a_compressed_answer_is_handed_over_as_it_came(start: Any) -> None:
    zipped = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    assert outbound.request("GET", start(sending(zipped)).url()).body == b"\x1f\x8b\x08\x00"


@pytest.mark.usefixtures("loopback_allowed")
def test_nobody_at_home_and_not_http_are_told_apart(start: Any) -> None:
    closed = start(sending(OK))
    closed.close()
    with pytest.raises(outbound.Unreachable, match="refused"):
        outbound.request("GET", closed.url())
    with pytest.raises(outbound.Unreachable, match="not answer in HTTP"):
        outbound.request("GET", start(sending(b"SSH-2.0-OpenSSH\r\n\r\n")).url())
    with pytest.raises(outbound.Unreachable, match="no address"):
        outbound.request("GET", "http://nowhere.invalid/")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for `name`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.mark.usefixtures("loopback_allowed")
def test_tls_is_verified_against_the_name_and_not_the_pinned_address(
    start: Any, names: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key = certificate(tmp_path, "data.test")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path, key)

    def serve(connection: socket.socket) -> None:
        with serving.wrap_socket(connection, server_side=True) as secured:
            sending(OK)(secured)

    server = start(serve)
    names["data.test"] = names["other.test"] = [["127.0.0.1"]]
    with pytest.raises(outbound.Unreachable, match="certificate"):
        outbound.request("GET", server.url("data.test", "https"))
    trusting = ssl.create_default_context(cafile=path)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    assert outbound.request("GET", server.url("data.test", "https")).body == b"hello"
    with pytest.raises(outbound.Unreachable, match="certificate"):
        outbound.request("GET", server.url("other.test", "https"))
