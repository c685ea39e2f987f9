"""Flows that a tunnel's outer packets hide: one queue of the card, and one core, has those of a pair of nodes."""

from __future__ import annotations

from typing import Literal

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Machine, Node, Pod, PodTemplate
from netsim.datapath.datapath import Datapath
from netsim.datapath.encapsulation import Encapsulation
from netsim.datapath.plugin import load_plugin
from netsim.datapath.types import Role
from netsim.engine.network import Network
from netsim.engine.randomness.streams import Streams
from netsim.engine.transport.tcp import TcpSettings

Tunnel = Literal["vxlan", "wireguard", "ipsec"]


def card_cores(kind: Tunnel) -> list[set[object]]:
    """Return the cores that the card wakes for the flows of a pair of nodes, there and back."""
    plugin = load_plugin("flannel-vxlan").changed(encapsulation=Encapsulation(kind=kind), name=f"flannel+{kind}")
    nodes = tuple(Node(f"n{i}", (f"192.0.2.{i + 1}",), (f"10.0.{i}.0/24",), Machine(cores=16)) for i in range(2))
    pods = tuple(Pod(f"p{i}", PodTemplate(), f"n{i}", (f"10.0.{i}.2",)) for i in range(2))
    cluster = Cluster(nodes, pods, (), cluster_cidrs=("10.0.0.0/16",))
    network = Network(cluster, Datapath(cluster, plugin), Streams(1, 0), tcp=TcpSettings())
    connection = network.kind(0, 1, "TCP", 80)
    ways = [network.ways(connection, 0, 1, flow << 16 | flow << 20, port=80) for flow in range(64)]
    return [{way[direction].by_role[Role.SOFTIRQ_CORE] for way in ways} for direction in (0, 1)]


@pytest.mark.parametrize(("kind", "hidden"), [("vxlan", False), ("wireguard", True), ("ipsec", True)])
def test_one_core_has_all_flows_of_a_pair_of_nodes(kind: Tunnel, hidden: bool) -> None:
    for cores in card_cores(kind):
        assert (len(cores) == 1) is hidden
