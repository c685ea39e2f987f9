"""What each mechanism charges, and the typical passes that independent measurements give."""

from __future__ import annotations

import math

import pytest

from netsim.cluster.objects import Fabric, Machine
from netsim.cluster.service_rules import Walk, WalkModel
from netsim.datapath.bridge import Bridge, BridgeNetfilter, GatewayNetfilter, Switch
from netsim.datapath.conntrack import Conntrack
from netsim.datapath.costs import Prices, load_profile
from netsim.datapath.ebpf import Program
from netsim.datapath.encapsulation import Decap, Encap, Encapsulation
from netsim.datapath.enforcement import Enforcement, Policy
from netsim.datapath.link import Border, Link, fabric_links
from netsim.datapath.macvlan import Macvlan
from netsim.datapath.masquerade import Masquerade
from netsim.datapath.netfilter import Netfilter
from netsim.datapath.nic import merge_after_decapsulation, receive, transmit
from netsim.datapath.ovs import Switching
from netsim.datapath.placement import LINES_OF_A_BUFFER
from netsim.datapath.policy import PolicyWalk
from netsim.datapath.routing import Route
from netsim.datapath.service_nat import IpvsNat, NoService, ProgramNat, RuleNat, ServiceNat, SocketBalancer
from netsim.datapath.socket import Loopback, SocketReceive, SocketSend, StackReceive
from netsim.datapath.step import Leg, Nat, PolicyWalks, ServiceWalks, Tunnel
from netsim.datapath.types import Bursts, Headers, Hop, Packet
from netsim.datapath.veth import Veth

SYN, SYN_ACK = Packet(True, False), Packet(True, True)
DATA, ANSWER = Packet(False, False), Packet(False, True)
CLIENT, SERVICE, BACKEND = ("10.244.0.2", 40000), ("10.96.0.10", 80), ("10.244.1.2", 8080)
NAT = Nat(CLIENT, SERVICE, BACKEND)


@pytest.fixture(scope="module")
def hot() -> Prices:
    """Prices in a hot loop, as the network-namespace measurements are."""
    return load_profile("server").prices(regime="hot_loop")


def pass_ns(hops: list[Hop], prices: Prices, packet: Packet = DATA) -> float:
    return math.fsum(hop.bill(packet, prices).packet_ns for hop in hops)


def laid(steps: list[object], leg: Leg) -> list[Hop]:
    return [hop for step in steps for hop in step.hops(leg)]  # type: ignore[attr-defined]


ROUTED = [Veth(), Netfilter("prerouting"), Conntrack(), Route(), Netfilter("forward"), Netfilter("postrouting")]
TUNNELLED = Leg(tunnel_out=Tunnel("192.168.0.1", "192.168.0.2"))


@pytest.mark.parametrize(
    ("steps", "leg", "low_us", "high_us"),
    [
        pytest.param(ROUTED, Leg(), 1.42, 1.50, id="routed veth, three hooks with six tables, conntrack"),
        pytest.param([*ROUTED, Bridge()], Leg(), 1.88, 1.97, id="the same behind cbr0"),
        pytest.param([Veth(), Bridge(), Route()], Leg(), 1.24, 1.30, id="bridge and route without netfilter"),
        pytest.param(
            [*ROUTED, Encap(encapsulation=Encapsulation(kind="ipip", underlay_conntrack=False))], TUNNELLED, 2.65, 2.82,
            id="routed with a tunnel, outer hooks included",
        ),
        pytest.param(
            [*ROUTED, Bridge(), Encap(encapsulation=Encapsulation(kind="vxlan", underlay_conntrack=False))], TUNNELLED,
            3.1, 3.3, id="behind cbr0 with a tunnel, outer hooks included",
        ),
    ],
)  # fmt: skip
def test_typical_passes(steps: list[object], leg: Leg, low_us: float, high_us: float, hot: Prices) -> None:
    assert low_us <= pass_ns(laid(steps, leg), hot) / 1000 <= high_us


def test_ebpf_host_routing_pass(hot: Prices) -> None:
    """The veth is crossed on the way out only; the mean of both ways is what is published."""
    out, back = laid([Veth(), Program()], Leg()), laid([Program()], Leg())
    assert 0.28 <= (pass_ns(out, hot) + pass_ns(back, hot)) / 2000 <= 0.36


def test_bare_stack_adds_up(hot: Prices) -> None:
    """Both directions of a bare request: 20.95 us, of which 9.3 us wait."""
    one_way = [SocketSend(), *transmit(Machine(), False), *receive(Machine(), False), StackReceive(), SocketReceive()]
    bills = [hop.bill(DATA, hot) for hop in one_way]
    work = math.fsum(bill.packet_ns + bill.segment_ns for bill in bills) + hot["interrupt.poll"]
    waits = math.fsum(bill.latency_ns + bill.setup_ns for bill in bills)
    waits += hot["nic.receive_latency"] - hot["interrupt.poll"]
    assert 2 * work == pytest.approx(11650)
    assert 2 * waits == pytest.approx(9300)


# ---------------------------------------------------------------------------------------------- conntrack, rules


def test_conntrack_sets_up_once(hot: Prices) -> None:
    hop = Conntrack()
    assert hop.bill(SYN, hot).packet_ns > hop.bill(SYN_ACK, hot).packet_ns == hop.bill(DATA, hot).packet_ns


def test_hook_walks_filter_rules(hot: Prices) -> None:
    walks = ServiceWalks(first={"forward": Walk(filter_mean=10)}, established={"forward": Walk(filter_mean=5)})
    (hook,) = Netfilter("forward").hops(Leg(walks=walks))
    assert hook.bill(SYN, hot).packet_ns == pytest.approx(2 * hot["netfilter.hook"] + 10 * hot["rule.first"])
    assert hook.bill(DATA, hot).packet_ns == pytest.approx(2 * hot["netfilter.hook"] + 5 * hot["rule.chain"])


def test_a_namespace_with_fewer_tables_enters_fewer(hot: Prices) -> None:
    tables = {
        name: sum(hop.bill(DATA, hot).packet_ns for hop in Netfilter(name, known).hops(Leg())) / hot["netfilter.hook"]
        for name, known in (("output", None), ("postrouting", None), ("output", 1))
    }
    assert tables == {"output": 1, "postrouting": 2}
    (host,) = Netfilter("output", sets=2).hops(Leg())
    assert host.bill(DATA, hot).packet_ns == 3 * hot["netfilter.hook"] + 2 * hot["ipset.lookup"]


def test_ipvs_follows_its_row_of_the_table_of_virtual_servers(hot: Prices) -> None:
    few, many = (
        IpvsNat(ServiceWalks(service=WalkModel(before=15, lookups=2, bucket=bucket)), NAT) for bucket in (0.1, 100.0)
    )
    assert many.bill(SYN, hot).scan_ns == pytest.approx(100 * hot["memory.miss"])
    assert many.bill(SYN, hot).packet_ns == few.bill(SYN, hot).packet_ns


def test_service_list_is_a_scan_with_the_position_left_open(hot: Prices) -> None:
    def nat(length: int) -> RuleNat:
        return RuleNat(ServiceWalks(service=WalkModel(length, before=1, after=4, endpoints=3)), NAT)

    short, long = nat(10).bill(SYN, hot), nat(10000).bill(SYN, hot)
    assert long.scan_ns == pytest.approx(10000 * hot["rule.first"])
    assert long.packet_ns == pytest.approx(short.packet_ns)
    assert long.rules == pytest.approx(1 + 10001 / 2 + 2 + 4)
    assert nat(10000).bill(DATA, hot) == nat(10).bill(DATA, hot)


def test_traffic_to_no_service_walks_everything_once(hot: Prices) -> None:
    hop = NoService(Walk(nat_mean=1003, nat_worst=1003))
    assert hop.bill(SYN, hot).packet_ns == pytest.approx(1003 * hot["rule.first"] + hot["nat.none"])
    assert hop.bill(SYN_ACK, hot).packet_ns == hop.bill(DATA, hot).packet_ns == 0


def test_hash_modes_do_not_grow_with_services(hot: Prices) -> None:
    for kind in (RuleNat, IpvsNat, ProgramNat):
        assert kind(ServiceWalks(service=WalkModel(before=15, lookups=2)), NAT).bill(SYN, hot).scan_ns == 0


def test_translation_is_undone_on_replies() -> None:
    hop = RuleNat(ServiceWalks(), NAT)
    out = hop.rewrite(Headers(*_ends(CLIENT, SERVICE)), DATA)
    assert (out.src, out.dst, out.dst_port) == ("10.244.0.2", "10.244.1.2", 8080)
    back = hop.rewrite(Headers(*_ends(BACKEND, CLIENT)), ANSWER)
    assert (back.src, back.src_port, back.dst) == ("10.96.0.10", 80, "10.244.0.2")


def _ends(src: tuple[str, int], dst: tuple[str, int]) -> tuple[str, str, int, int]:
    return src[0], dst[0], src[1], dst[1]


def test_socket_balancer_charges_connect_or_every_datagram(hot: Prices) -> None:
    hop = SocketBalancer(ServiceWalks("ebpf", WalkModel(lookups=2)), NAT)
    assert hop.bill(SYN, hot).packet_ns > 0
    assert hop.bill(DATA, hot).packet_ns == 0
    assert hop.bill(DATA._replace(protocol="UDP"), hot).packet_ns > 0


def test_service_step_yields_what_the_node_does() -> None:
    step = ServiceNat()
    assert [type(hop) for hop in step.hops(Leg(nat=NAT))] == [RuleNat]
    assert [type(hop) for hop in step.hops(Leg())] == [NoService]
    assert list(step.hops(Leg(reply=True))) == []
    assert [type(hop) for hop in step.hops(Leg(nat=NAT, walks=ServiceWalks("ipvs")))] == [IpvsNat]
    assert list(step.hops(Leg(walks=ServiceWalks("ebpf")))) == []


def test_masquerade_by_netfilter_and_by_program(hot: Prices) -> None:
    leg = Leg(snat=Nat(CLIENT, ("203.0.113.10", 80), ("203.0.113.10", 80), ("192.168.0.1", 40000)))
    (kernel,), (program,) = Masquerade().hops(leg), Masquerade(by="ebpf").hops(leg)
    assert kernel.rewrite(Headers(*_ends(CLIENT, ("203.0.113.10", 80))), DATA).src == "192.168.0.1"
    assert kernel.bill(SYN, hot).packet_ns > program.bill(SYN, hot).packet_ns > 0
    assert list(Masquerade().hops(Leg())) == []


def test_known_packets_that_a_plugin_accepts_meet_no_rule_of_the_proxy(hot: Prices) -> None:
    walks = ServiceWalks(first={"forward": Walk(filter_mean=10)}, established={"forward": Walk(filter_mean=5)})
    (hook,) = Netfilter("forward", accepted=True).hops(Leg(walks=walks))
    assert hook.bill(DATA, hot).packet_ns == pytest.approx(2 * hot["netfilter.hook"])
    assert hook.bill(SYN, hot).rules == 10


def test_a_namespace_with_tables_of_its_own_has_no_proxy(hot: Prices) -> None:
    walks = ServiceWalks(first={"in": Walk(filter_mean=10)}, established={"in": Walk(filter_mean=5)})
    (hook,) = Netfilter("input", tables=1).hops(Leg(walks=walks))
    assert hook.bill(SYN, hot).packet_ns == hook.bill(DATA, hot).packet_ns == hot["netfilter.hook"]


# ---------------------------------------------------------------------------------------------- policies


def test_enforcement_prices_the_walk(hot: Prices) -> None:
    walk = PolicyWalk(rules=10, ipset_lookups=2, port_matches=1, program_rules=4, map_lookups=1)
    hop = Enforcement(PolicyWalks(first=walk, later=PolicyWalk(rules=3)))
    lines = 10 * hot["rule.first"] + 2 * hot["ipset.lookup"] + hot["rule.port_match"]
    assert hop.bill(SYN, hot).packet_ns == pytest.approx(lines + 4 * hot["ebpf.rule"] + hot["ebpf.lookup"])
    assert hop.bill(DATA, hot).packet_ns == pytest.approx(3 * hot["rule.chain"])
    assert list(Policy().hops(Leg())) == []


def test_an_upcall_is_delay_not_work(hot: Prices) -> None:
    hop = Enforcement(PolicyWalks(PolicyWalk(flow_lookups=4, upcall=True), PolicyWalk()))
    bill = hop.bill(SYN, hot)
    assert bill.packet_ns == 0
    assert bill.latency_ns == pytest.approx(hot["ovs.miss"] * (hot["ovs.upcall"] + 4 * hot["ovs.table"]))


# ---------------------------------------------------------------------------------------------- tunnels


@pytest.mark.parametrize(
    ("kind", "v4", "v6"), [("vxlan", 50, 70), ("geneve", 50, 70), ("ipip", 20, 40)]
)
def test_tunnel_overhead(kind: str, v4: int, v6: int) -> None:
    tunnel = Encapsulation(kind=kind)  # type: ignore[arg-type]
    assert (tunnel.overhead_bytes(), tunnel.overhead_bytes(ipv6_underlay=True)) == (v4, v6)


def test_outer_flows_of_new_inner_flows_walk_the_rules_in_both_directions(hot: Prices) -> None:
    walks = ServiceWalks(first={"out": Walk(nat_mean=100), "in": Walk(nat_mean=120)})
    leg = Leg(walks=walks, tunnel_out=Tunnel("a", "b"), tunnel_in=Tunnel("b", "a"))
    per_flow, per_pair = Encapsulation(kind="vxlan"), Encapsulation(kind="ipip", outer_tuple="per-node-pair")

    def rules(encapsulation: Encapsulation, packet: Packet) -> float:
        hops = laid([Encap(encapsulation=encapsulation), Decap(encapsulation=encapsulation)], leg)
        return math.fsum(hop.bill(packet, hot).rules for hop in hops)

    assert rules(per_flow, SYN) == rules(per_flow, SYN_ACK) == 220
    assert rules(per_flow, DATA) == 0
    assert rules(per_pair, SYN) == 0
    assert rules(per_flow.model_copy(update={"underlay_conntrack": False}), SYN) == 0


def test_encapsulation_shows_outer_addresses_and_bytes() -> None:
    encap, *_ = Encap(encapsulation=Encapsulation(kind="vxlan")).hops(TUNNELLED)
    inner = Headers(*_ends(CLIENT, BACKEND))
    outer = encap.rewrite(inner, DATA)
    assert outer.outer == ("192.168.0.1", "192.168.0.2")
    assert (outer.src, outer.dst, outer.header_bytes) == (inner.src, inner.dst, inner.header_bytes + 50)
    *_, decap = Decap(encapsulation=Encapsulation(kind="vxlan")).hops(Leg(tunnel_in=Tunnel("a", "b")))
    assert decap.rewrite(outer, DATA) == inner
    assert list(Encap(encapsulation=Encapsulation(kind="vxlan")).hops(Leg())) == []


# ---------------------------------------------------------------------------------------------- NIC and links


@pytest.mark.parametrize(
    ("machine", "tunnelled", "hardware"),
    [
        (Machine(), False, True),
        (Machine(), True, True),
        (Machine(tunnel=False), True, False),
        (Machine(tunnel=False), False, True),
        (Machine(tso=False), False, False),
        (Machine(checksum=False), False, False),
    ],
)
def test_who_segments(machine: Machine, tunnelled: bool, hardware: bool) -> None:
    assert ([hop.name for hop in transmit(machine, tunnelled)] == ["nic.transmit"]) is hardware


@pytest.mark.parametrize(
    ("machine", "tunnelled", "in_card", "behind_tunnel"),
    [
        (Machine(), False, True, False),
        (Machine(), True, True, False),
        (Machine(tunnel=False), True, False, True),
        (Machine(tunnel=False, checksum=False), True, False, False),
        (Machine(gro=False), False, False, False),
        (Machine(gro=False, tunnel=False), True, False, False),
        (Machine(checksum=False), False, True, False),
    ],
)
def test_where_segments_are_merged(machine: Machine, tunnelled: bool, in_card: bool, behind_tunnel: bool) -> None:
    assert any(hop.bursts is Bursts.MERGE for hop in receive(machine, tunnelled)) is in_card
    merged = tunnelled and any(hop.bursts is Bursts.MERGE for hop in merge_after_decapsulation(machine))
    assert merged is behind_tunnel


def test_link_carries_preamble_check_sequence_and_gap(hot: Prices) -> None:
    bill = Link(10e9, 1e-6).bill(DATA, hot)
    full = bill.byte_ns * 1460 + bill.segment_ns
    assert full == pytest.approx((1500 + 14 + 24) * 0.8)
    assert bill.latency_ns == pytest.approx(1000)


def test_fabric_is_oversubscribed_as_stated() -> None:
    up, down = fabric_links(Fabric(nodes_per_rack=32, spines=4, oversubscription=2.0), 25e9, "other rack")
    assert up.bps == down.bps == pytest.approx(32 * 25e9 / 8)
    assert list(fabric_links(Fabric(), 25e9, "same rack")) == []
    far, _ = fabric_links(Fabric(), 25e9, "other zone")
    assert far.latency_s > up.latency_s


def test_outside_arrives_in_segments() -> None:
    assert Border(1e9).bursts is Bursts.SPLIT


# ---------------------------------------------------------------------------------------------- sockets and the rest


def test_sender_without_checksum_offload_pays_the_stack_per_segment(hot: Prices) -> None:
    alone = SocketSend(aggregates=False, software_checksum=True)
    assert alone.bursts is Bursts.SPLIT
    handed_over = LINES_OF_A_BUFFER * hot.in_loop["cache.handover"]
    assert alone.bill(DATA, hot).segment_ns == pytest.approx(hot["socket.send.segment"] + handed_over)
    assert alone.bill(DATA, hot).byte_ns > SocketSend().bill(DATA, hot).byte_ns
    datagram = alone.bill(DATA._replace(protocol="UDP"), hot)
    assert datagram.segment_ns == hot["fragment.send"]
    assert datagram.packet_ns + datagram.segment_ns == pytest.approx(hot["socket.send.udp"])


def test_datagrams_are_cheaper_and_sctp_is_priced_as_tcp(hot: Prices) -> None:
    udp, sctp = DATA._replace(protocol="UDP"), DATA._replace(protocol="SCTP")
    for hop in (SocketSend(), StackReceive(), SocketReceive()):
        assert hop.bill(udp, hot).packet_ns < hop.bill(DATA, hot).packet_ns == hop.bill(sctp, hot).packet_ns


def test_waking_delays_an_idle_reader_only(hot: Prices) -> None:
    bill = SocketReceive().bill(DATA, hot)
    assert bill.setup_ns == hot["wakeup.latency"]
    assert bill.latency_ns == 0


def test_polling_is_set_up_and_a_pods_thread_sleeps_beside_the_way(hot: Prices) -> None:
    host, pod = SocketReceive().bill(DATA, hot), SocketReceive(pod=True).bill(DATA, hot)
    assert pod == host._replace(idle_ns=hot["socket.sleep.pod"])
    assert host.idle_ns == 0.0
    (interrupt, *_) = receive(Machine(), tunnelled=False)
    bill = interrupt.bill(DATA, hot)
    assert 0.0 < bill.idle_ns == hot["interrupt.poll"] < bill.setup_ns
    assert bill.packet_ns == 0.0


def test_plain_devices_have_one_price(hot: Prices) -> None:
    for hop, key in (
        (Loopback(), "loopback.packet"), (Switch(), "bridge.packet"), (Bridge(), "bridge.gateway"),
        (Route(), "route.packet"),
    ):  # fmt: skip
        assert hop.bill(DATA, hot).packet_ns == hot[key]
    assert Switching().bill(DATA, hot).packet_ns == hot["ovs.lookup"]
    assert Switching(compiled=True).bill(DATA, hot).packet_ns == hot["ovs.lookup"] / 2
    assert Macvlan().bill(DATA, hot).packet_ns == hot["macvlan.packet"]


@pytest.mark.parametrize("step", [BridgeNetfilter(), GatewayNetfilter()])
def test_bridged_frames_pass_hooks_where_kube_proxy_runs(step: BridgeNetfilter | GatewayNetfilter) -> None:
    assert len(list(step.hops(Leg()))) == 1
    assert list(step.hops(Leg(walks=ServiceWalks("ebpf")))) == []


def test_a_frame_for_the_gateway_passes_one_of_the_three_hooks(hot: Prices) -> None:
    (through,), (up,) = BridgeNetfilter().hops(Leg()), GatewayNetfilter().hops(Leg())
    assert through.bill(DATA, hot).packet_ns / 3 < up.bill(DATA, hot).packet_ns < through.bill(DATA, hot).packet_ns
