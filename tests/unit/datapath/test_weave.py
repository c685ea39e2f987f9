"""Weave Net: its way through bridge and datapath, its chains, and Calico's programs in front of a tunnel."""

from __future__ import annotations

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.datapath import Datapath
from netsim.datapath.passes import work_ns
from netsim.datapath.plugin import load_plugin
from netsim.datapath.policy import ENGINES, PolicyFacts

WEAVE = ENGINES["weave"]


def names(plugin: str, source: int = 0, target: int = 4, *, kernel: tuple[int, int] | None = None) -> list[str]:
    made = Datapath(small_cluster(Machine(kernel=kernel)), plugin)
    forward, _ = made.paths(made.connection(source, target))
    return [crossing.hop.name for crossing in forward.crossings]


def test_frames_are_bridged_on_both_nodes_and_cross_two_veth_pairs_on_each() -> None:
    laid = names("weave")
    assert laid.count("veth") == 4
    assert laid.count("bridge.forward") == 2
    assert "route" not in laid
    out = [laid.index(name) for name in ("bridge.forward", "conntrack", "ovs", "encap", "nic.transmit")]
    assert out == sorted(out)
    assert names("weave", target=1).count("veth") == 2


def test_it_costs_more_than_a_bridge_with_a_tunnel_device_and_than_pods_on_the_switch() -> None:
    def work(plugin: str) -> float:
        return work_ns(Datapath(small_cluster(), plugin).routes(0, 4).forward, 100)

    assert work("weave") > work("flannel-vxlan")
    assert work("weave") > work("antrea-geneve")


def test_pods_have_the_fast_datapaths_mtu() -> None:
    assert load_plugin("weave").pod_mtu_bytes(1500) == 1376


def test_established_packets_leave_the_chain_at_once_whatever_policies_there_are() -> None:
    facts = PolicyFacts(small_cluster())
    pod = facts.cluster.pods[0]
    assert WEAVE.walk(facts, pod, "ingress", "established") == WEAVE.walk(facts, pod, "egress", "reply")
    assert WEAVE.walk(facts, pod, "ingress", "established").ipset_lookups == 0
    assert WEAVE.walk(facts, pod, "ingress").ipset_lookups >= 1


def test_every_node_holds_every_chain() -> None:
    facts = PolicyFacts(small_cluster())
    sizes = {WEAVE.node_size(facts, node.name) for node in facts.cluster.nodes}
    assert len(sizes) == 1
    assert next(iter(sizes)).rules >= 2 * len(facts.cluster.namespaces_by_name)


@pytest.mark.parametrize("plugin", ["calico-ebpf-vxlan"])
def test_programs_in_front_of_a_tunnel_leave_routing_and_hooks_of_pods_out(plugin: str) -> None:
    laid = names(plugin)
    assert laid.count("ebpf") == 5
    assert laid.index("encap") < laid.index("nic.transmit") < laid.index("decap")
    assert not {"netfilter.prerouting", "route", "conntrack"} & set(laid)
    assert "encap" not in names("calico-ebpf")
