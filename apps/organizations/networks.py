"""Networks that a token may be used from, in CIDR form. Imports no Django: both planes ask.

An IPv4 address that arrives in its IPv6 form is the IPv4 address.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from apps.organizations.errors import NetworkInvalid, TooManyNetworks

MAX_NETWORKS = 20
REMEMBERED = 10_000

Network = IPv4Network | IPv6Network


def normalised(texts: Iterable[str]) -> list[str]:
    """Each network once, as it is written canonically: a bare address is a network of one, host bits are cleared.

    Raises `NetworkInvalid`, `TooManyNetworks`.
    """
    networks = list(dict.fromkeys(str(_network(text)) for text in texts))
    if len(networks) > MAX_NETWORKS:
        raise TooManyNetworks(field="allowed_networks", limit=MAX_NETWORKS)
    return networks


@lru_cache(REMEMBERED)
def contain(networks: tuple[str, ...], address: str) -> bool:
    """Whether `address` is in one of `networks`; text that is no address is in none."""
    try:
        found = _plain(ip_address(address))
    except ValueError:
        return False
    return any(found in network for network in _parsed(networks))


def cover(outer: Iterable[str], inner: Iterable[str]) -> bool:
    """Whether each network of `inner` lies in one of `outer`."""
    around = _parsed(tuple(outer))
    return all(any(_lies_in(network, other) for other in around) for network in _parsed(tuple(inner)))


def _lies_in(network: Network, other: Network) -> bool:
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]


def _network(text: str) -> Network:
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise NetworkInvalid(field="allowed_networks", network=text) from None
    first = network.network_address
    if isinstance(first, IPv6Address) and first.scope_id:  # an interface of this machine
        raise NetworkInvalid(field="allowed_networks", network=text)
    if isinstance(first, IPv6Address) and first.ipv4_mapped and network.prefixlen >= 96:
        return IPv4Network((first.ipv4_mapped, network.prefixlen - 96))
    return network


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(REMEMBERED)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(network) for network in networks)
