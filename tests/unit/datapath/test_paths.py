"""Paths: which hops, whose station, which addresses, for every way packets can take."""

from __future__ import annotations

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.datapath import Datapath, ExternalParty, HostParty, Party
from netsim.datapath.path import Path
from netsim.datapath.types import Headers, Packet, Role

SYN, SYN_ACK = Packet(True, False), Packet(True, True)
FRONT, INNER = ("shop/front", 80), ("shop/inner", 80)
OUTSIDE = ExternalParty()
AGENT = 8
"""Index of the first node's host-network pod."""


def both(datapath: Datapath, source: Party, target: Party, **how: object) -> tuple[Path, Path]:
    return datapath.paths(datapath.connection(source, target, port=8080, **how))  # type: ignore[arg-type]


def names(path: Path) -> list[str]:
    return [crossing.hop.name for crossing in path.crossings]


def roles(path: Path) -> list[Role]:
    return list(dict.fromkeys(crossing.role for crossing in path.crossings))


def behind(path: Path, hop: str, packet: Packet) -> Headers:
    return next(after for crossing, _, after in path.trace(packet) if crossing.hop.name == hop)


def test_containers_of_one_pod_talk_over_loopback() -> None:
    forward, _ = both(Datapath(small_cluster(), "kubenet"), 0, 0)
    assert names(forward) == ["socket.send", "loopback", "stack.receive", "socket.receive"]
    assert roles(forward) == [Role.SENDER_CORE, Role.RECEIVER_CORE]


def test_pods_of_one_node_are_bridged_or_routed() -> None:
    bridged, _ = both(Datapath(small_cluster(), "kubenet"), 0, 1)
    assert "bridge.forward" in names(bridged)
    assert "route" not in names(bridged)
    routed, _ = both(Datapath(small_cluster(), "calico-bgp"), 0, 1)
    assert "route" in names(routed)
    assert roles(routed) == [Role.SENDER_CORE, Role.RECEIVER_CORE]


@pytest.mark.parametrize(
    ("target", "zones", "links"),
    [
        (2, 1, ["link.up", "link.down"]),
        (4, 1, ["link.up", "link.leaf_up", "link.leaf_down", "link.down"]),
        (2, 2, ["link.up", "link.leaf_up", "link.leaf_down", "link.down"]),
    ],
    ids=["same rack", "other rack", "other zone"],
)
def test_links_between_nodes(target: int, zones: int, links: list[str]) -> None:
    forward, reply = both(Datapath(small_cluster(zones=zones), "kubenet"), 0, target)
    for path in (forward, reply):
        assert [name for name in names(path) if name.startswith("link")] == links


def test_every_station_appears_once_and_in_order() -> None:
    forward, _ = both(Datapath(small_cluster(), "flannel-vxlan"), 0, 4, service=INNER)
    assert [crossing.role for crossing in forward.crossings] == sorted(crossing.role for crossing in forward.crossings)
    assert roles(forward) == [
        Role.SENDER_CORE, Role.SENDER_LINK, Role.LEAF_UP, Role.LEAF_DOWN, Role.RECEIVER_LINK, Role.SOFTIRQ_CORE,
        Role.RECEIVER_CORE,
    ]  # fmt: skip


def test_service_is_translated_on_the_clients_node_and_back() -> None:
    forward, reply = both(Datapath(small_cluster(), "flannel-vxlan"), 0, 4, service=INNER)
    assert forward.start[:4] == ("10.244.0.2", "10.96.0.11", 40000, 80)
    assert behind(forward, "service_nat", SYN)[:4] == ("10.244.0.2", "10.244.2.2", 40000, 8080)
    assert reply.start[:4] == ("10.244.2.2", "10.244.0.2", 8080, 40000)
    assert reply.arriving(SYN_ACK)[:4] == ("10.96.0.11", "10.244.0.2", 80, 40000)
    crossings = (*forward.crossings, *reply.crossings)
    assert {crossing.node for crossing in crossings if hasattr(crossing.hop, "nat")} == {"n0"}


def test_socket_balancing_leaves_nothing_on_the_wire() -> None:
    forward, reply = both(Datapath(small_cluster(), "cilium-native"), 0, 4, service=INNER)
    assert names(forward)[:2] == ["service_socket", "socket.send"]
    assert forward.start.dst == "10.96.0.11"
    assert behind(forward, "service_socket", SYN).dst == "10.244.2.2"
    assert {after.dst for _, _, after in forward.trace(SYN)} == {"10.244.2.2"}
    assert {after.src for _, _, after in reply.trace(SYN_ACK)} == {"10.244.2.2"}
    assert "service_nat" not in names(forward)


def test_datagram_sockets_get_the_services_address_back() -> None:
    datapath = Datapath(small_cluster(), "cilium-native")
    asked = datapath.connection(0, 4, port=8080, service=INNER)
    _, reply = datapath.paths(asked.__class__(**{**_fields(asked), "protocol": "UDP"}))
    assert reply.arriving(SYN_ACK).src == "10.96.0.11"


def _fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]


def test_hairpin_hides_the_pod_from_itself() -> None:
    forward, reply = both(Datapath(small_cluster(), "kubenet"), 0, 0, service=INNER)
    assert "loopback" not in names(forward)
    assert forward.arriving(SYN)[:2] == ("192.168.0.1", "10.244.0.2")
    assert reply.arriving(SYN_ACK)[:2] == ("10.96.0.11", "10.244.0.2")


def test_node_port_cluster_takes_a_second_hop_and_hides_the_client() -> None:
    forward, reply = both(Datapath(small_cluster(), "calico-vxlan"), OUTSIDE, 0, service=FRONT, entry_node=3)
    assert roles(forward) == [
        Role.BORDER, Role.VIA_LINK_IN, Role.VIA_CORE, Role.VIA_LINK_OUT, Role.VIA_LEAF_UP, Role.VIA_LEAF_DOWN,
        Role.RECEIVER_LINK, Role.SOFTIRQ_CORE, Role.RECEIVER_CORE,
    ]  # fmt: skip
    assert roles(reply) == [
        Role.SENDER_CORE, Role.SENDER_LINK, Role.LEAF_UP, Role.LEAF_DOWN, Role.VIA_LINK_IN, Role.VIA_CORE,
        Role.VIA_LINK_OUT, Role.BORDER,
    ]  # fmt: skip
    assert forward.start[:4] == ("203.0.113.10", "192.168.0.4", 40000, 30080)
    assert forward.arriving(SYN)[:2] == ("192.168.0.4", "10.244.0.2")
    assert names(forward).count("encap") == names(forward).count("decap") == 1
    assert reply.arriving(SYN_ACK)[:4] == ("192.168.0.4", "203.0.113.10", 30080, 40000)


def test_node_port_local_keeps_the_client() -> None:
    datapath = Datapath(small_cluster(external="Local"), "kubenet")
    forward, _ = both(datapath, OUTSIDE, 6, service=FRONT, entry_node=3)
    assert Role.VIA_CORE not in roles(forward)
    assert forward.arriving(SYN).src == "203.0.113.10"
    refused = datapath.routes(OUTSIDE, 0, port=8080, service=FRONT, entry_node=3)
    assert refused.verdict == "DROP"
    assert "externalTrafficPolicy" in refused.reason


def test_traffic_to_the_outside_is_masqueraded() -> None:
    forward, reply = both(Datapath(small_cluster(), "kubenet"), 0, OUTSIDE)
    assert forward.arriving(SYN)[:2] == ("192.168.0.1", "203.0.113.10")
    assert reply.start.dst == "192.168.0.1"
    assert reply.arriving(SYN_ACK).dst == "10.244.0.2"
    assert Datapath(small_cluster(), "kubenet").routes(0, OUTSIDE).snat


@pytest.mark.parametrize(("plugin", "hidden"), [("flannel-vxlan", True), ("kubenet", False), ("cilium-native", False)])
def test_other_nodes_see_the_pod_or_its_node(plugin: str, hidden: bool) -> None:
    forward, reply = both(Datapath(small_cluster(), plugin), 0, HostParty(2))
    assert (forward.arriving(SYN).src == "192.168.0.1") is hidden
    assert reply.arriving(SYN_ACK)[:2] == ("192.168.0.3", "10.244.0.2")


def test_node_agent_reaches_its_own_pods_without_links() -> None:
    for plugin in ("kubenet", "calico-ipip", "cilium-vxlan", "antrea-geneve"):
        forward, reply = both(Datapath(small_cluster(), plugin), HostParty(0), 0)
        for path in (forward, reply):
            assert roles(path) == [Role.SENDER_CORE, Role.RECEIVER_CORE]
        assert forward.arriving(SYN)[:2] == ("192.168.0.1", "10.244.0.2")


def test_host_network_pods_live_on_their_node() -> None:
    datapath = Datapath(small_cluster(), "flannel-vxlan")
    forward, _ = both(datapath, AGENT, 4)
    assert "veth" not in [crossing.hop.name for crossing in forward.crossings if crossing.node == "n0"]
    assert "encap" in names(forward)
    to_host, _ = both(datapath, 0, AGENT + 2)
    assert "encap" not in names(to_host)


def test_new_inner_flows_make_new_outer_flows_only_where_tracked() -> None:
    tracked = Datapath(small_cluster(extra_services=100), "flannel-vxlan").routes(0, 4)
    untracked = Datapath(small_cluster(extra_services=100), "calico-vxlan").routes(0, 4)
    pair = Datapath(small_cluster(extra_services=100), "calico-ipip").routes(0, 4)
    assert (tracked.outer_conntrack, untracked.outer_conntrack, pair.outer_conntrack) == (2, 0, 0)
    # The answer to a first packet finds conntrack's entry, but its own outer packet does not.
    assert _rules(tracked.first_reply.hops) > 200 > _rules(pair.first_reply.hops)


def _rules(hops: tuple[tuple[str, int, object], ...]) -> float:
    return sum(bill.rules for _, _, bill in hops)  # type: ignore[attr-defined]


def test_a_missing_offload_moves_the_split() -> None:
    plain = Datapath(small_cluster(Machine(tunnel=False)), "flannel-vxlan")
    forward, _ = both(plain, 0, 4)
    assert names(forward).index("nic.gso") > names(forward).index("encap")
    assert names(forward).index("nic.gro_inner") == names(forward).index("decap") + 1
    routed, _ = both(Datapath(small_cluster(Machine(tunnel=False)), "kubenet"), 0, 4)
    assert "nic.gso" not in names(routed)
