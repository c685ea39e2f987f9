"""Kubenet: its bridge, MTU and the cloud's route tables."""

from __future__ import annotations

import pytest

from netsim.cluster.cni.kubenet import bridge_mtu, kubenet_conflist, kubenet_network, route_limit
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


@pytest.mark.parametrize(("provider", "routes"), [("aws", 50), ("azure", 400), ("gce", 300), ("huawei", 200)])
def test_route_tables(provider: str, routes: int) -> None:
    known = route_limit(provider)
    assert known is not None
    assert known.limit == routes
    assert known.source
    assert route_limit("bare metal") is None
