"""Which addresses may be called, and how a URL is read so that what is checked is what is called. Imports no Django."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from apps.core.errors import DomainError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

SCHEMES = ("http", "https")
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


def parsed(url: str, allowed: Networks, *, field: str = "url") -> URL:
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
        _require_allowed(parts.host, [str(ipaddress.ip_address(parts.host))], allowed, field)
    return parts


def _require_allowed(host: str, addresses: list[str], allowed: Networks, field: str = "url") -> None:
    if not addresses or not all(is_allowed(address, allowed) for address in addresses):
        raise AddressRefused(field=field, host=host)


async def resolve(host: str, port: int, allowed: Networks) -> list[ResolveResult]:
    """Every address of `host`, looked up once. Raises `AddressRefused` if one of them may not be called.

    The look-up also reads numbers the way connecting would: `2130706433`, `0x7f.1` and `0177.0.0.1` are 127.0.0.1.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(host=host, reason="the name has no address") from None
    _require_allowed(host, [str(address[0]) for *_, address in found], allowed)
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


def networks(texts: Iterable[str]) -> Networks:
    """Networks as an operator writes them."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts if text.strip())


def is_allowed(text: str, allowed: Networks) -> bool:
    """Whether this address may be called: it is public, or an operator opened its network."""
    address = _innermost(ipaddress.ip_address(text))
    return _is_public(address) or any(address in network for network in allowed)


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
