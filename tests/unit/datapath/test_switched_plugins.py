"""Weave Net's bridge, datapath and chains; Calico's programs in front of a tunnel; Antrea's Services in its flows."""

from __future__ import annotations

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.datapath import Datapath, ExternalParty
from netsim.datapath.passes import work_ns
from netsim.datapath.plugin import load_plugin
from netsim.datapath.policy import ENGINES, PolicyFacts
from netsim.datapath.types import Packet

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


def test_antreas_flows_serve_pods_and_its_gateway_what_leaves_the_cluster() -> None:
    made = Datapath(small_cluster(), "antrea-proxy")
    service = ("shop/inner", 80)
    forward, reply = made.paths(made.connection(0, 4, port=8080, service=service))
    for path in (forward, reply):
        laid = [crossing.hop.name for crossing in path.crossings]
        assert laid.count("service_nat") == 1
        assert "route" not in laid
    arrived = forward.arriving(Packet(True, False))
    assert arrived.dst == made.cluster.pods[4].addresses[0]
    assert reply.arriving(Packet(True, True)).src == forward.start.dst
    kube_proxy = Datapath(small_cluster(), "antrea-geneve")
    costs = [work_ns(each.routes(0, 4, port=8080, service=service).forward, 100) for each in (made, kube_proxy)]
    assert costs[0] < costs[1]
    outside, _ = made.paths(made.connection(0, ExternalParty()))
    assert "masquerade" in [crossing.hop.name for crossing in outside.crossings]
