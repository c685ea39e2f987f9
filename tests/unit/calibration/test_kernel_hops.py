"""What paths between namespaces are billed, by counting prices."""

import pytest

from netsim.calibration.kernel.hops import BASE, Count, counts
from netsim.calibration.kernel.topologies import NODE, NODE_RIGHT, ROUTER, SWITCH, Box, Kind, Policy, Services, Topology

EXCHANGE, ONE_WAY, CONNECTION = (1, 1), (1, 0), (6, 4)


def node(**tables):
    return Box(Kind.NODE, **tables)


def test_a_plain_pair_pays_its_sockets_and_one_veth_crossing_each_way():
    assert counts(Topology(), "udp_rr", EXCHANGE) == {BASE: Count(1.0), "veth.packet": Count(2.0)}


def test_a_mechanism_met_again_is_counted_apart():
    paid = counts(Topology((ROUTER, ROUTER, ROUTER)), "udp_one_way", ONE_WAY)
    assert paid["route.packet"] == Count(once=1.0, again=2.0)
    assert paid["veth.packet"] == Count(once=1.0, again=3.0)
    assert paid["route.packet"].times(0.5) == 2.0


def test_a_tunnel_is_entered_and_left_by_every_packet():
    paid = counts(Topology((NODE, NODE_RIGHT), frozenset({1})), "tcp_crr", CONNECTION)
    assert paid["tunnel.packet"] == Count(once=20.0)
    assert paid["bridge.gateway"].times(1.0) == 20.0


@pytest.mark.parametrize(("kind", "up"), [(Kind.NODE, 1.0), (Kind.NODE_RIGHT, 0.0)])
def test_only_what_goes_up_at_a_gateway_meets_its_bridge_netfilter(kind, up):
    hooked = Topology((Box(kind, bridge_netfilter=True),))
    paid = counts(hooked, "udp_one_way", ONE_WAY)
    assert paid.get("bridge.netfilter.gateway", Count()).times(1.0) == up
    assert counts(hooked, "udp_rr", EXCHANGE)["bridge.netfilter.gateway"] == Count(1.0)


def test_redirecting_to_the_peer_spares_a_veth_crossing():
    straight, peer = (Topology((Box(kind),)) for kind in (Kind.REDIRECT, Kind.REDIRECT_PEER))
    assert counts(straight, "udp_rr", EXCHANGE)["veth.packet"].times(1.0) == 4.0
    assert counts(peer, "udp_rr", EXCHANGE)["veth.packet"].times(1.0) == 2.0


@pytest.mark.parametrize("backend", ["iptables-legacy", "iptables-nft"])
def test_a_new_flow_walks_the_list_once_without_a_tunnel_and_three_times_with_one(backend):
    boxes = (node(services=Services(backend, 1000)), NODE_RIGHT)
    key = f"rule.service.{backend}.UDP"
    assert counts(Topology(boxes), "udp_new_flow", EXCHANGE)[key].times(1.0) == 1000.0
    assert counts(Topology(boxes, frozenset({1})), "udp_new_flow", EXCHANGE)[key].times(1.0) == 3000.0


def test_the_outer_packets_of_a_connection_are_datagrams():
    boxes = (node(services=Services("iptables-nft", 100)), NODE_RIGHT)
    paid = counts(Topology(boxes, frozenset({1})), "tcp_crr", CONNECTION)
    assert paid["rule.service.iptables-nft.TCP"].times(1.0) == 100.0
    assert paid["rule.service.iptables-nft.UDP"].times(1.0) == 200.0


def test_known_connections_walk_no_service_list():
    paid = counts(Topology((node(services=Services("iptables-legacy", 1000)), NODE_RIGHT)), "udp_rr", EXCHANGE)
    assert not any(key.startswith("rule.") for key in paid)
    assert paid["conntrack.packet"].times(1.0) == paid["nat.packet"].times(1.0) == 2.0


def test_a_second_list_is_walked_in_vain():
    services = Services("iptables-legacy", 50)
    boxes = (node(services=services), Box(Kind.NODE_RIGHT, services))
    paid = counts(Topology(boxes), "udp_new_flow", EXCHANGE)
    assert paid["rule.service.iptables-legacy.UDP"].times(1.0) == 100.0
    assert paid["nat.new.iptables-legacy"].times(1.0) == paid["nat.none"].times(1.0) == 1.0
    assert paid["conntrack.new"].times(0.5) == 1.5


def test_a_verdict_map_is_looked_up_whatever_its_size():
    few, many = (
        counts(Topology((node(services=Services("nftables", size)), NODE_RIGHT)), "udp_new_flow", EXCHANGE)
        for size in (1, 5000)
    )
    assert few == many
    assert few["map.lookup"].times(1.0) == 1.0


@pytest.mark.parametrize(("stateful", "walks"), [(False, 2.0), (True, 1.0)])
def test_policies_are_walked_by_every_packet_unless_state_is_asked_first(stateful, walks):
    box = Box(Kind.ROUTER, policy=Policy("iptables-legacy", 40, stateful=stateful))
    paid = counts(Topology((box,)), "udp_new_flow", EXCHANGE)
    assert paid["rule.policy.iptables-legacy"].times(1.0) == 40 * walks
    assert ("conntrack.packet" in paid) is stateful


def test_port_matches_differ_by_protocol():
    box = Box(Kind.ROUTER, policy=Policy("iptables-nft", 10, "port"))
    assert "rule.port_match.iptables-nft.TCP" in counts(Topology((box,)), "tcp_rr", EXCHANGE)
    assert "rule.port_match.iptables-nft.UDP" in counts(Topology((box,)), "udp_rr", EXCHANGE)


def test_a_tunnel_must_join_two_ip_hops():
    with pytest.raises(ValueError, match="does not join"):
        Topology((ROUTER, SWITCH), frozenset({1}))
    with pytest.raises(ValueError, match="joins two boxes"):
        Topology((ROUTER,), frozenset({0}))


def test_labels_tell_tunnels_and_tables():
    topology = Topology((node(services=Services("iptables-legacy", 5)), NODE_RIGHT), frozenset({1}))
    assert str(topology) == "pod - node[services iptables-legacy 5] = node' - pod"
