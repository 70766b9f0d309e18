"""From which networks a token may be used, alone."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.organizations import errors, networks

ADDRESSES = st.ip_addresses()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        (" 203.0.113.7/24 ", "203.0.113.0/24"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("2001:DB8:0:0::1", "2001:db8::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
    ],
)
def test_a_network_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert networks.normalised([typed, typed]) == [kept]


@pytest.mark.parametrize(
    "typed", ["", "office", "10.0.0.0/33", "10.0.0", "300.1.1.1", "2001:db8::/129", "fe80::1%eth0"]
)
def test_what_is_no_network_is_refused(typed: str) -> None:
    with pytest.raises(errors.NetworkInvalid) as refused:
        networks.normalised([typed])
    assert refused.value.field == "allowed_networks"


def test_more_than_twenty_networks_are_refused() -> None:
    typed = [f"10.{number}.0.0/16" for number in range(21)]
    assert len(networks.normalised(typed[:20])) == 20
    with pytest.raises(errors.TooManyNetworks):
        networks.normalised(typed)


@given(ADDRESSES, st.integers(0, 128))
def test_a_network_contains_its_own_addresses_and_no_others(address: object, length: int) -> None:
    inside = ip_address(str(address))
    # An IPv4 address in IPv6 form is that address, which only a network of such addresses holds.
    assume(length >= 96 or not getattr(inside, "ipv4_mapped", None))
    kept = networks.normalised([f"{inside}/{min(length, inside.max_prefixlen)}"])
    assert networks.contain(tuple(kept), str(inside))
    network = ip_network(kept[0])
    if int(network.broadcast_address) < 2**network.max_prefixlen - 1:
        assert not networks.contain(tuple(kept), str(network.broadcast_address + 1))


def test_an_ipv4_address_in_its_ipv6_form_is_the_same_address() -> None:
    assert networks.contain(("10.0.0.0/8",), "::ffff:10.1.2.3")
    assert not networks.contain(("10.0.0.0/8",), "::ffff:11.1.2.3")


@pytest.mark.parametrize("address", ["", "unix", "10.0.0.1:80", "10.0.0.1, 8.8.8.8"])
def test_what_is_no_address_is_in_no_network(address: str) -> None:
    assert not networks.contain(("0.0.0.0/0", "::/0"), address)
