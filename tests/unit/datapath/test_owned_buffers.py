"""Whose a buffer is on its way to the card, and how many datagrams a socket's send buffer holds."""

from __future__ import annotations

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.datapath import Datapath
from netsim.datapath.mtu import LOOPBACK_MTU
from netsim.datapath.parties import HostParty
from netsim.datapath.plugin import load_plugin
from netsim.datapath.socket import SEND_BUFFER_BYTES, held_datagrams, sent_bytes

KEPT = {"cilium-vxlan": True, "antrea-geneve": True, "flannel-vxlan": False}


@pytest.mark.parametrize(("plugin", "kept"), KEPT.items())
def test_programs_and_flow_tables_leave_a_buffer_its_socket(plugin: str, kept: bool) -> None:
    route = Datapath(small_cluster(Machine()), load_plugin(plugin), "iptables").routes(0, 4).forward
    assert route.accounted is kept


def test_tunnelled_packets_of_cilium_pass_no_hook_beside_kube_proxy() -> None:
    route = Datapath(small_cluster(Machine()), load_plugin("cilium-vxlan"), "iptables").routes(0, 4).forward
    met = [name for name, _, _ in route.hops]
    assert not {"netfilter.prerouting", "netfilter.forward", "conntrack", "route"} & set(met)
    assert met.count("ebpf") == 2 and {"encap", "decap"} <= set(met)


@pytest.mark.parametrize(("payload", "held"), [(8972, 13), (1472, 93), (100, 278)])
def test_a_send_buffer_holds_fewer_datagrams_the_larger_their_memory(payload: int, held: int) -> None:
    assert held_datagrams(payload) == held
    assert (held - 1) * payload < SEND_BUFFER_BYTES


@pytest.mark.parametrize(
    ("written", "stays", "sent"),
    [
        (16384, True, 16384), (16384, False, 65484), (64, True, 1448), (131072, True, 65484), (2000, True, 2000),
    ],
)  # fmt: skip
def test_calls_gather_in_a_buffer_while_a_card_has_the_last_one(written: int, stays: bool, sent: int) -> None:
    assert sent_bytes(written, 1448, 65484, stays=stays) == sent


def test_programs_of_one_namespace_reach_each_other_with_large_segments() -> None:
    datapath = Datapath(small_cluster(), load_plugin("kubenet"), "iptables")
    local = datapath.connection(HostParty(0), HostParty(0))
    assert datapath.mtus(local) == (LOOPBACK_MTU, LOOPBACK_MTU)
    assert datapath.mtus(datapath.connection(HostParty(0), HostParty(1))).used == 1500
    assert sent_bytes(16384, LOOPBACK_MTU - 52, 65484, stays=True) == 65484


@pytest.mark.parametrize("plugin", ["cilium-vxlan", "antrea-geneve"])
def test_what_a_pod_sends_to_another_node_itself_is_routed_beside_the_tunnel(plugin: str) -> None:
    datapath = Datapath(small_cluster(Machine()), load_plugin(plugin), "iptables")
    to_node = datapath.routes(0, HostParty(1)).forward
    met = [name for name, _, _ in to_node.hops]
    assert {"netfilter.prerouting", "conntrack", "route", "netfilter.forward"} <= set(met)
    assert "encap" not in met
    assert not to_node.accounted
    assert "encap" in [name for name, _, _ in datapath.routes(0, 4).forward.hops]
