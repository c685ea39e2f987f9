"""Kubenet: its bridge, MTU, annotations and the cloud's route tables."""

from __future__ import annotations

import pytest

from netsim.cluster.cni.kubenet import (
    ANNOTATION_BURST_BITS,
    bridge_mtu,
    kubenet_conflist,
    kubenet_network,
    pod_bandwidth,
    quantity,
    route_limit,
)
from netsim.cluster.cni.network import TokenBucket
from netsim.errors import InputError


def test_mtu_rule() -> None:
    assert bridge_mtu([9001, 1500]) == 1500
    assert bridge_mtu([]) == 1460
    assert bridge_mtu([1500], stated=1400) == 1400


def test_network() -> None:
    network = kubenet_network(["10.244.3.0/24"], mtu_bytes=1500)
    assert (network.bridge, network.pods_per_node, network.mtu_bytes) == ("cbr0", 253, 1500)
    assert (network.promiscuous, network.hairpin, network.encapsulation) == (True, False, "none")
    veth = kubenet_network(["10.244.3.0/24"], hairpin="hairpin-veth")
    assert (veth.promiscuous, veth.hairpin) == (False, True)
    assert kubenet_conflist(["10.244.3.0/24"]).chain == ("loopback", "bridge")
    with pytest.raises(InputError, match="lack of PodCIDR"):
        kubenet_conflist([])


def test_bandwidth_annotations() -> None:
    asked = {"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "1Gi"}
    assert pod_bandwidth(asked) == (
        TokenBucket(10_000_000, ANNOTATION_BURST_BITS),
        TokenBucket(2**30, ANNOTATION_BURST_BITS),
    )
    assert pod_bandwidth({}) == (None, None)
    for text, message in (("500", "unreasonably small"), ("2P", "unreasonably large"), ("fast", "quantities must")):
        with pytest.raises(InputError, match=message):
            pod_bandwidth({"kubernetes.io/ingress-bandwidth": text})


@pytest.mark.parametrize(
    ("text", "value"), [("1k", 1000), ("1Ki", 1024), ("1.5M", 1_500_000), ("100m", 1), ("2e3", 2000), ("1E", 10**18)]
)
def test_quantities(text: str, value: int) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(("provider", "routes"), [("aws", 50), ("azure", 400), ("gce", 300), ("huawei", 200)])
def test_route_tables(provider: str, routes: int) -> None:
    known = route_limit(provider)
    assert known is not None
    assert known.limit == routes
    assert known.source
    assert route_limit("bare metal") is None
