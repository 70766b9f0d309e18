"""The one way out to addresses that users give: their host can never be one of ours.

A name is resolved once, every address it has must be public, and the connection goes to exactly those addresses,
so that a second answer of the DNS changes nothing. Redirects are refused rather than followed; connecting, each read
and the whole exchange have deadlines; the body has a cap. TLS is verified against the name. Operators open their own
networks with OUTBOUND_ALLOWED_NETWORKS.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings
from yarl import URL

from apps.core.errors import DomainError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SCHEMES = ("http", "https")
CHUNK_BYTES = 65_536
# Letters beyond ASCII become several characters each.
MOST_CHARS = 2000
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class InvalidUrl(DomainError):
    code = "url_invalid"
    status = 422
    detail = "{reason} Give an address that begins with https:// or http://."


class AddressRefused(DomainError):
    code = "url_address_refused"
    status = 422
    detail = "`{host}` is not a public address, so it is not called. An operator can allow the network it is in."


class Unreachable(DomainError):
    code = "url_unreachable"
    status = 502
    detail = "`{host}` could not be reached: {reason}."


class Redirected(DomainError):
    code = "url_redirects"
    status = 502
    detail = "`{host}` answers with a redirect, and redirects are not followed. Give the final address."


class AnswerTooLarge(DomainError):
    code = "url_answer_too_large"
    status = 413
    detail = "`{host}` sends more than {limit_bytes} bytes."


class TooSlow(DomainError):
    code = "url_too_slow"
    status = 504
    detail = "`{host}` took too long. Nothing of its answer was kept."


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for connecting (TLS included), between two reads, and for everything; bytes for the answer's body."""

    connect_s: float = 5.0
    read_s: float = 10.0
    total_s: float = 30.0
    max_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is empty when it was written elsewhere."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    limits: Limits = Limits(),
) -> Answer:
    """Call `url` and hold the answer in memory. Raises one of this module's errors; any status is an answer."""
    received = bytearray()
    answer = asyncio.run(_exchange(Request(method, parsed(url), headers or {}, body), limits, received.extend))
    return Answer(answer.status, answer.headers, bytes(received))


def download(
    url: str,
    write: Callable[[bytes], Any],
    *,
    headers: Mapping[str, str] | None = None,
    limits: Limits = Limits(),
) -> Answer:
    """GET `url` and hand its body to `write` piece by piece; what `write` raises ends the transfer."""
    return asyncio.run(_exchange(Request("GET", parsed(url), headers or {}), limits, write))


def parsed(url: str, *, field: str = "url") -> URL:
    """The URL given in `field` as the client will understand it, so that what is checked is what is called.

    Raises `InvalidUrl`, and `AddressRefused` for an address that needs no look-up to be known as not public.
    """
    try:
        parts = URL(url)
        port = parts.port
    except ValueError:
        raise InvalidUrl(field=field, reason="This is not a URL.") from None
    if len(str(parts)) > MOST_CHARS:
        raise InvalidUrl(field=field, reason=f"Written out as it is called, it has more than {MOST_CHARS} characters.")
    if parts.scheme not in SCHEMES or not parts.host:
        raise InvalidUrl(field=field, reason="This is not a web address.")
    if parts.user is not None or parts.password is not None:
        raise InvalidUrl(field=field, reason="A URL with a user name or password in it is not called.")
    if not port:
        raise InvalidUrl(field=field, reason="The port is not valid.")
    with suppress(ValueError):
        _require_allowed(parts.host, [str(ipaddress.ip_address(parts.host))], field)
    return parts


def _require_allowed(host: str, addresses: list[str], field: str = "url") -> None:
    if not addresses or not all(is_allowed(address) for address in addresses):
        raise AddressRefused(field=field, host=host)


async def _exchange(request: Request, limits: Limits, write: Callable[[bytes], Any]) -> Answer:
    host = str(request.url.host)
    try:
        async with asyncio.timeout(limits.total_s):
            addresses = await resolve(host, request.url.port or 0)
            async with _session(addresses, limits) as session, _sent(session, request) as response:
                return await _received(response, host, limits, write)
    except TimeoutError:
        raise TooSlow(host=host) from None
    except aiohttp.ClientError as problem:
        raise Unreachable(host=host, reason=_reason(problem)) from None


def _sent(session: aiohttp.ClientSession, request: Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return session.request(
        request.method, request.url, data=request.body or None, headers=request.headers, allow_redirects=False
    )


def _session(addresses: list[ResolveResult], limits: Limits) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(resolver=PinnedResolver(addresses), use_dns_cache=False, force_close=True)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=limits.total_s, connect=limits.connect_s, sock_read=limits.read_s),
        # Uncompressed, so that the cap counts what was really sent.
        headers={"Accept-Encoding": "identity", "User-Agent": "Modelyard"},
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


async def _received(
    response: aiohttp.ClientResponse, host: str, limits: Limits, write: Callable[[bytes], Any]
) -> Answer:
    if 300 <= response.status < 400 and response.status != 304:
        raise Redirected(host=host)
    size = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > limits.max_bytes:
            raise AnswerTooLarge(host=host, limit_bytes=limits.max_bytes)
        write(chunk)
    return Answer(response.status, dict(response.headers), b"")


def _reason(problem: aiohttp.ClientError) -> str:
    match problem:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | aiohttp.ClientSSLError():
            return "its TLS certificate is not valid for this name"
        case aiohttp.ClientConnectorError():
            return os.strerror(problem.os_error.errno or errno.ECONNREFUSED).lower()
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "it broke off its answer"
    return "it does not answer in HTTP"


async def resolve(host: str, port: int) -> list[ResolveResult]:
    """Every address of `host`, looked up once. Raises `AddressRefused` if one of them may not be called.

    The look-up also reads numbers the way connecting would: `2130706433`, `0x7f.1` and `0177.0.0.1` are 127.0.0.1.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(host=host, reason="the name has no address") from None
    _require_allowed(host, [str(address[0]) for *_, address in found])
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=family,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for family, _, protocol, _, address in found
    ]


class PinnedResolver(AbstractResolver):
    """Answers with the addresses that were checked, whatever the DNS says by now."""

    def __init__(self, addresses: list[ResolveResult]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return self._addresses

    async def close(self) -> None:
        return None


def is_allowed(text: str) -> bool:
    """Whether this address may be called: it is public, or an operator opened its network."""
    address = _innermost(ipaddress.ip_address(text))
    return _is_public(address) or any(address in network for network in _allowed_networks())


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one is a form of: mapped, 6to4 or NAT64; otherwise the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _allowed_networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(network) for network in settings.OUTBOUND_ALLOWED_NETWORKS]
