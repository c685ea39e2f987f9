"""The allocator's behaviour over time, which single cases do not show."""

from __future__ import annotations

import pytest

from netsim.cluster.cni.gojson import Members
from netsim.cluster.cni.hostlocal import HostLocal, Range, parse_address, parse_cidr, range_sets, read_range_sets
from netsim.errors import InputError


def test_a_freed_address_comes_last() -> None:
    node = HostLocal(range_sets([["10.0.0.0/29"]]))
    first = node.allocate()
    node.release(first)
    assert [node.allocate()[0] for _ in range(5)] == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]


def test_two_sets_are_dual_stack_and_give_nothing_when_one_is_full() -> None:
    node = HostLocal(range_sets([["10.0.0.0/24"], ["fd00:1::/126"]]))
    assert node.allocate() == ("10.0.0.2", "fd00:1::2")
    assert node.allocate() == ("10.0.0.3", "fd00:1::3")
    with pytest.raises(InputError, match="failed to allocate for range 1: no IP addresses available in range set"):
        node.allocate()
    assert node.reserved == 4


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("10.0.0.1", "requested ip 10.0.0.1 is subnet's gateway"),
        ("10.0.0.2", "requested IP address 10.0.0.2 is not available in range set 10.0.0.1-10.0.0.254"),
        ("10.9.0.2", "failed to allocate all requested IPs: 10.9.0.2"),
    ],
)
def test_requests_that_cannot_be_met(asked: str, message: str) -> None:
    node = HostLocal(range_sets([["10.0.0.0/24"]]), reserved=["10.0.0.2"])
    with pytest.raises(InputError) as caught:
        node.allocate([asked])
    assert message in str(caught.value)


def test_a_request_moves_the_search() -> None:
    node = HostLocal(range_sets([["10.0.0.0/24"]]))
    assert node.allocate(["10.0.0.9"]) == ("10.0.0.9",)
    assert node.allocate() == ("10.0.0.10",)


@pytest.mark.parametrize(
    ("ipam", "message"),
    [
        ({"ranges": [[]]}, "invalid range set 0: empty range set"),
        ({"ranges": [[{"subnet": "10.0.0.0/24"}, {"subnet": "fd00::/64"}]]}, "mixed address families"),
        ({"ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "10.0.0.0/25"}]]}, "range set 0 overlaps with 1"),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.1.1"}, "gateway 10.0.1.1 not in network 10.0.0.0/24"),
        ({"subnet": "10.0.0.0/24", "rangeStart": "fd00::1"}, "is not the same protocol as subnet"),
        ({"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.5"}, "but before start 10.0.0.9"),
        ({"subnet": "10.0.0.0"}, "invalid CIDR address: 10.0.0.0"),
        ({"subnet": "10.0.0.0/255.255.255.0"}, "invalid CIDR address"),
        ({"ranges": [{"subnet": "10.0.0.0/24"}]}, "cannot unmarshal object"),
        ({"ranges": [[{"subnet": 5}]]}, "cannot unmarshal number"),
    ],
)
def test_refused_sections(ipam: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_range_sets(Members(ipam, "IPAMConfig", "ipam"))
    assert message in str(caught.value)


def test_one_address_a_family_before_version_030() -> None:
    ipam = Members({"ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "10.0.1.0/24"}]]}, "IPAMConfig")
    assert len(read_range_sets(ipam, (0, 3, 0))) == 2
    with pytest.raises(InputError, match="does not support more than 1 address per family"):
        read_range_sets(ipam, (0, 2, 0))


def test_addresses_are_read_as_go_reads_them() -> None:
    assert str(parse_address("::ffff:10.0.0.1")) == "10.0.0.1"
    assert parse_cidr("10.0.0.1/24")[1] == 24
    for bad in ("10.0.0.01", "fe80::1%eth0", ""):
        with pytest.raises(InputError, match="invalid IP address"):
            parse_address(bad)


def test_a_gateway_outside_the_range_costs_no_address() -> None:
    assert Range.of("10.0.0.0/24", range_start="10.0.0.10", range_end="10.0.0.19").capacity == 10
