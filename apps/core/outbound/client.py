"""The one way out to addresses that users give: their host can never be one of ours.

A name is resolved once, every address it has must be public, and the connection goes to exactly those addresses,
so that a second answer of the DNS changes nothing. Redirects are refused rather than followed; connecting, each read
and the whole exchange have deadlines; the body has a cap. TLS is verified against the name. Operators open their own
networks with OUTBOUND_ALLOWED_NETWORKS.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult
from django.conf import settings
from yarl import URL

from apps.core.errors import DomainError
from apps.core.outbound import addresses
from apps.core.outbound.addresses import AddressRefused, InvalidUrl, PinnedResolver, Unreachable

__all__ = ["AddressRefused", "InvalidUrl", "Unreachable", "download", "is_allowed", "parsed", "request"]

CHUNK_BYTES = 65_536


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


def parsed(url: str, *, field: str = "url") -> URL:
    """The URL given in `field` as it will be called. Raises `InvalidUrl` and `AddressRefused`."""
    return addresses.parsed(url, _allowed(), field=field)


def is_allowed(address: str) -> bool:
    """Whether this address may be called: it is public, or an operator opened its network."""
    return addresses.is_allowed(address, _allowed())


def _allowed() -> addresses.Networks:
    return addresses.networks(settings.OUTBOUND_ALLOWED_NETWORKS)


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


async def _exchange(request: Request, limits: Limits, write: Callable[[bytes], Any]) -> Answer:
    host = str(request.url.host)
    try:
        async with asyncio.timeout(limits.total_s):
            found = await addresses.resolve(host, request.url.port or 0, _allowed())
            async with _session(found, limits) as session, _sent(session, request) as response:
                return await _received(response, host, limits, write)
    except TimeoutError:
        raise TooSlow(host=host) from None
    except aiohttp.ClientError as problem:
        raise Unreachable(host=host, reason=_reason(problem)) from None


def _sent(session: aiohttp.ClientSession, request: Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return session.request(
        request.method, request.url, data=request.body or None, headers=request.headers, allow_redirects=False
    )


def _session(found: list[ResolveResult], limits: Limits) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(resolver=PinnedResolver(found), use_dns_cache=False, force_close=True)
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
