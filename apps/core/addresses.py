"""Whose call it is: the address of a client behind proxies. Imports no Django: the data plane asks too.

Anybody can send `X-Forwarded-For`, so it counts only as far as it was written by proxies of ours: read from the right,
the first hop that is not one of them is the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of a setting such as `10.0.0.0/8, ::1`. Raises ValueError for what is none."""
    return tuple(ip_network(text.strip()) for text in texts if text.strip())


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The client of a connection from `peer` whose `X-Forwarded-For` headers, joined by commas, are `forwarded_for`.

    A peer that is not trusted is the client itself, whatever it claims. Where the chain breaks off or holds nonsense,
    the last hop that is known is the client.
    """
    client = _parsed(peer)
    if client is None or not _is_trusted(client, trusted):
        return peer
    for hop in reversed(forwarded_for.split(",")):
        address = _parsed(hop)
        if address is None:
            break
        client = address
        if not _is_trusted(client, trusted):
            break
    return str(client)


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether a connection from `peer` comes from a proxy of ours."""
    address = _parsed(peer)
    return address is not None and _is_trusted(address, trusted)


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _parsed(text: str) -> Address | None:
    """An address, also as `1.2.3.4:80`, `[::1]:80` or IPv4 in IPv6."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
