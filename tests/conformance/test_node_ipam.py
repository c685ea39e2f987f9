"""Node ranges as kube-controller-manager cuts them (cidrset), against the shared cases and its documented rules."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.ipam import NodeRanges, PodAddresses, ServiceAddresses, assign_node_ranges
from netsim.cluster.objects import Node
from netsim.errors import InputError

CASES = Path(__file__).parents[2].parent / "shared" / "conformance" / "ipam_cases.json"


def _examples() -> Iterator[Any]:
    if not CASES.exists():
        yield pytest.param({}, marks=pytest.mark.skip(reason="the shared cases are not here"))
        return
    for case in json.loads(CASES.read_text())["node_cidr"]["examples"]:
        yield pytest.param(case, id=f"{case['cluster']}-{case['mask']}")


@pytest.mark.parametrize("case", list(_examples()))
def test_node_cidr(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(InputError, match=case["error"]):
            NodeRanges(case["cluster"], case["mask"])
        return
    ranges = NodeRanges(case["cluster"], case["mask"])
    assert ranges.max_nodes == case["max_nodes"]
    blocks = case.get("node_blocks", [])
    assert [ranges.allocate() for _ in blocks] == blocks
    if "pods_per_node_host_local" in case:
        assert PodAddresses(ranges.allocate()).capacity == case["pods_per_node_host_local"]


@pytest.mark.parametrize(
    ("cluster", "mask", "last"),
    [("127.123.234.0/28", 30, "127.123.234.12/30"), ("beef:1234::/120", 124, "beef:1234::f0/124")],
)
def test_every_block_once_then_full(cluster: str, mask: int, last: str) -> None:
    ranges = NodeRanges(cluster, mask)
    given = [ranges.allocate() for _ in range(ranges.max_nodes)]
    whole = ipaddress.ip_network(cluster)
    assert given == [str(block) for block in whole.subnets(new_prefix=mask)]
    assert given[-1] == last
    with pytest.raises(InputError, match=f"holds {ranges.max_nodes} blocks"):
        ranges.allocate()


def test_occupied_blocks_are_left_out_and_the_search_wraps() -> None:
    ranges = NodeRanges("10.0.0.0/22", 24)
    ranges.occupy("10.0.1.0/24")
    ranges.occupy("192.0.2.0/24")  # outside the cluster range: nothing to mark
    assert [ranges.allocate() for _ in range(3)] == ["10.0.0.0/24", "10.0.2.0/24", "10.0.3.0/24"]
    wide = NodeRanges("10.0.0.0/22", 24)
    wide.occupy("10.0.2.0/23")  # a shorter mask takes every block below it
    assert [wide.allocate(), wide.allocate()] == ["10.0.0.0/24", "10.0.1.0/24"]


@pytest.mark.parametrize(("cluster", "mask"), [("10.0.0.0/24", 16), ("10.0.0.0/24", 33), ("fd00::/64", 48)])
def test_masks_outside_the_range_are_refused(cluster: str, mask: int) -> None:
    with pytest.raises(InputError, match="node mask does not fit"):
        NodeRanges(cluster, mask)


@pytest.mark.parametrize(
    ("cluster", "mask", "fits"), [("fd00::/48", 64, True), ("fd00::/47", 64, False), ("10.0.0.0/8", 28, True)]
)
def test_mask_difference_is_limited_for_ipv6_only(cluster: str, mask: int, fits: bool) -> None:
    if fits:
        assert NodeRanges(cluster, mask).max_nodes == 1 << (mask - int(cluster.partition("/")[2]))
    else:
        with pytest.raises(InputError, match="too big"):
            NodeRanges(cluster, mask)


def test_stated_node_ranges_are_kept_in_both_families() -> None:
    nodes = [Node("a"), Node("b", pod_cidrs=("10.244.0.0/24",)), Node("c", pod_cidrs=("fd00::/64", "10.244.1.0/24"))]
    given = assign_node_ranges(nodes, ("10.244.0.0/16", "fd00::/56"), {})
    assert [node.pod_cidrs for node in given] == [
        ("10.244.2.0/24", "fd00:0:0:1::/64"),
        ("10.244.0.0/24", "fd00:0:0:2::/64"),
        ("fd00::/64", "10.244.1.0/24"),
    ]
    assert len({address for node in given for address in node.addresses}) == 6


@pytest.mark.parametrize(
    ("cidr", "capacity"), [("10.244.0.0/24", 253), ("10.0.0.0/29", 5), ("10.0.0.0/30", 1), ("10.0.0.0/31", 0)]
)
def test_pod_addresses_of_a_node(cidr: str, capacity: int) -> None:
    pool = PodAddresses(cidr)
    given = list(iter(pool.allocate, None))
    assert len(given) == pool.capacity == capacity
    network = ipaddress.ip_network(cidr)
    assert not {str(network[0]), str(network[1]), str(network[-1])} & set(given)


@pytest.mark.parametrize(
    ("cidr", "dns", "count"),
    [
        ("10.96.0.0/12", "10.96.0.10", None),
        ("fd00:10:96::/112", "fd00:10:96::a", None),
        ("10.0.0.0/28", "10.0.0.10", 12),
    ],
)
def test_service_addresses(cidr: str, dns: str, count: int | None) -> None:
    pool = ServiceAddresses(cidr)
    assert pool.dns == dns
    first = pool.allocate()
    assert first == str(ipaddress.ip_network(cidr)[2])
    if count is not None:
        given = [first, *(pool.allocate() for _ in range(count - 1))]
        assert len(set(given)) == count
        assert dns not in given
        with pytest.raises(InputError, match="more services than addresses"):
            pool.allocate()
