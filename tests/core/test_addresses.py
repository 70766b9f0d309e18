"""Whose call it is: forwarded addresses count only as far as our own proxies wrote them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.addresses import client_address, networks

PROXIES = networks(["10.0.0.0/8", "fd00::/8"])
OUTSIDE = st.ip_addresses().map(str).filter(lambda text: not is_proxy(text))
INSIDE = st.ip_addresses(network="10.0.0.0/8").map(str)


def is_proxy(text: str) -> bool:
    address = ip_address(text)
    return any((getattr(address, "ipv4_mapped", None) or address) in network for network in PROXIES)


def same(left: str, right: str) -> bool:
    one, other = ip_address(left), ip_address(right)
    return (getattr(one, "ipv4_mapped", None) or one) == (getattr(other, "ipv4_mapped", None) or other)


@given(peer=OUTSIDE, claims=st.text())
def test_s8_nobody_chooses_an_address_by_a_header(peer: str, claims: str) -> None:
    assert client_address(peer, claims, PROXIES) == peer
    assert client_address(peer, claims, ()) == peer


@given(client=OUTSIDE, forged=st.lists(st.one_of(OUTSIDE, INSIDE, st.text())), proxies=st.lists(INSIDE), peer=INSIDE)
def test_s8_what_stands_left_of_the_first_stranger_is_ignored(
    client: str, forged: list[str], proxies: list[str], peer: str
) -> None:
    assert same(client_address(peer, ", ".join([*forged, client, *proxies]), PROXIES), client)


@given(peer=INSIDE, header=st.text())
def test_a_trusted_peer_never_leaves_us_without_an_address(peer: str, header: str) -> None:
    assert ip_address(client_address(peer, header, PROXIES))


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.4", "198.51.100.4"),
        ("10.0.0.1", "198.51.100.4, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.4, nonsense, 10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("", "198.51.100.4", ""),
    ],
)
def test_each_form_of_a_hop_is_read(peer: str, header: str, client: str) -> None:
    assert client_address(peer, header, PROXIES) == client


def test_a_setting_that_names_no_network_stops_the_process() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        networks(["10.0.0.0/8", "proxy.internal"])
