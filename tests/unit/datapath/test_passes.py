"""Folding: nothing is lost, and the survival of the large buffer decides what bulk traffic costs."""

from __future__ import annotations

import math

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.costs import load_profile
from netsim.datapath.datapath import Datapath, ExternalParty
from netsim.datapath.passes import fold, hop_shares, price, repeats, segments_of, work_ns
from netsim.datapath.types import LINK_ROLES, Packet, Role, Route

BULK = 65000


def routes_of(plugin: str, **machine: object) -> Route:
    return Datapath(small_cluster(Machine(**machine)), plugin).routes(0, 4).forward  # type: ignore[arg-type]


def busiest_s(route: Route, payload: int) -> float:
    """Seconds of the slowest core for one burst: what bounds one flow."""
    segments = segments_of(route, payload)
    return max(
        item.fixed_s + item.byte_s * payload + item.segment_s * segments for item in route.passes if not item.pipelined
    )


@pytest.mark.parametrize("plugin", ["kubenet", "flannel-vxlan", "cilium-vxlan", "antrea-geneve"])
@pytest.mark.parametrize("packet", [Packet(True, False), Packet(False, False)])
def test_passes_hold_exactly_what_hops_cost(plugin: str, packet: Packet) -> None:
    datapath = Datapath(small_cluster(extra_services=50), plugin)
    forward, _ = datapath.paths(datapath.connection(0, 4, port=8080, service=("shop/inner", 80)))
    route = fold(forward, packet, datapath.prices_on, mtu_bytes=1450, path_mtu_bytes=1450)
    bills = [item.bill for item in price(forward, packet, datapath.prices_on)]
    for field, mine in (
        ("fixed_s", "packet_ns"), ("byte_s", "byte_ns"), ("segment_s", "segment_ns"), ("scan_s", "scan_ns"),
        ("setup_s", "setup_ns"), ("latency_s", "latency_ns"),
    ):  # fmt: skip
        total = math.fsum(getattr(item, field) for item in route.passes)
        assert total == pytest.approx(math.fsum(getattr(bill, mine) for bill in bills) * 1e-9)
    assert len(route.hops) == len(forward.crossings)
    assert math.fsum(hop_shares(route, 5000).values()) >= work_ns(route, 5000) * 1e-9


def test_code_that_a_packet_ran_before_on_its_core_is_warm() -> None:
    datapath = Datapath(small_cluster(), "kubenet")
    bills: dict[str, list[float]] = {}
    for item in price(datapath.paths(datapath.connection(0, 1))[0], Packet(False, False), datapath.prices_on):
        bills.setdefault(item.crossing.hop.name, []).append(item.bill.packet_ns)
    first, again = bills["veth"]
    assert first / again == pytest.approx(datapath.prices.regime_factor)
    across = price(datapath.paths(datapath.connection(0, 4))[0], Packet(False, False), datapath.prices_on)
    assert [item.bill.packet_ns for item in across if item.crossing.hop.name == "veth"] == [first, first]


def test_what_runs_the_same_code_is_one_mechanism() -> None:
    met: set[str] = set()
    told = ("outer.output", "netfilter.forward", "outer.conntrack", "conntrack", "bridge", "bridge.forward", "encap")
    assert [repeats(name, met) for name in told] == [False, True, False, True, False, True, False]
    assert not any(repeats(name, met) for name in ("policy", "service_nat", "outer.service_nat", "policy"))


def test_only_frames_from_pods_pay_for_bridge_netfilter_at_their_gateway() -> None:
    datapath = Datapath(small_cluster(), "kubenet")
    forward, _ = datapath.paths(datapath.connection(0, 4))
    billed = [c for c in forward.crossings if c.hop.name.startswith("bridge")]
    assert [(c.hop.name, c.role) for c in billed] == [
        ("bridge", Role.SENDER_CORE), ("bridge.netfilter.gateway", Role.SENDER_CORE), ("bridge", Role.SOFTIRQ_CORE)
    ]  # fmt: skip


def test_neighbouring_hops_of_a_station_are_one_pass() -> None:
    route = routes_of("flannel-vxlan")
    assert [item.role for item in route.passes] == list(dict.fromkeys(item.role for item in route.passes))
    assert [item.pipelined for item in route.passes] == [item.role in LINK_ROLES for item in route.passes]


def test_links_know_the_time_of_a_full_packet() -> None:
    (uplink,) = (item for item in routes_of("kubenet", nic_bps=10e9).passes if item.role is Role.SENDER_LINK)
    assert uplink.packet_s == pytest.approx((1500 + 14 + 24) * 8 / 10e9)
    (tunnelled,) = (item for item in routes_of("flannel-vxlan", nic_bps=10e9).passes if item.role is Role.SENDER_LINK)
    assert tunnelled.packet_s == pytest.approx(uplink.packet_s)


def test_burst_is_a_gso_buffer_of_45_segments() -> None:
    route = routes_of("kubenet")
    assert route.burst_bytes == 65536 - 40
    assert (route.mss_bytes, segments_of(route, route.burst_bytes)) == (1460, 45)
    assert segments_of(routes_of("kubenet", mtu=9000), route.burst_bytes) == 8


def test_with_tunnel_offload_an_overlay_costs_bulk_little() -> None:
    plain, overlay = routes_of("flannel-host-gw"), routes_of("flannel-vxlan")
    assert busiest_s(overlay, BULK) < 1.35 * busiest_s(plain, BULK)


@pytest.mark.parametrize("overlay", ["flannel-vxlan", "calico-ipip", "calico-vxlan", "antrea-geneve", "cilium-vxlan"])
def test_without_tunnel_offload_an_overlay_divides_bulk_by_three_to_six(overlay: str) -> None:
    """In a virtual machine with one processor, where softirq and reader share it."""
    prices = load_profile("vm-virtio").prices()
    cluster = small_cluster(Machine(cores=1, tunnel=False))

    def receiving_s(plugin: str) -> float:
        route = Datapath(cluster, plugin, prices=prices).routes(0, 4).forward
        segments = segments_of(route, BULK)
        return math.fsum(
            item.fixed_s + item.byte_s * BULK + item.segment_s * segments
            for item in route.passes
            if item.role in (Role.SOFTIRQ_CORE, Role.RECEIVER_CORE)
        )

    assert 3 <= receiving_s(overlay) / receiving_s("flannel-host-gw") <= 6


def test_later_segments_find_code_and_tables_in_cache() -> None:
    datapath = Datapath(small_cluster(Machine(gro=False)), "kubenet")
    route = datapath.routes(0, 4).forward
    softirq = next(item for item in route.passes if item.role is Role.SOFTIRQ_CORE)
    whole = next(item for item in Datapath(small_cluster(), "kubenet").routes(0, 4).forward.passes
                 if item.role is Role.SOFTIRQ_CORE)  # fmt: skip
    gro_s = datapath.prices["nic.gro_segment"] * 1e-9
    assert softirq.fixed_s + softirq.segment_s + gro_s == pytest.approx(whole.fixed_s + whole.segment_s)
    assert softirq.segment_s < 0.85 * (whole.fixed_s + whole.segment_s)


def test_without_checksum_offload_every_segment_pays_the_stack() -> None:
    good, bad = routes_of("kubenet"), routes_of("kubenet", checksum=False, gro=False)
    assert bad.burst_bytes == bad.mss_bytes
    assert busiest_s(bad, BULK) > 3 * busiest_s(good, BULK)


def test_without_gro_receivers_pay_per_segment() -> None:
    assert busiest_s(routes_of("kubenet", gro=False), BULK) > 3 * busiest_s(routes_of("kubenet"), BULK)


def test_jumbo_frames_help_where_offload_is_missing() -> None:
    small, jumbo = routes_of("flannel-vxlan", tunnel=False), routes_of("flannel-vxlan", tunnel=False, mtu=9000)
    assert busiest_s(jumbo, BULK) < busiest_s(small, BULK) / 2


def test_datagrams_are_read_whole() -> None:
    datapath = Datapath(small_cluster(), "kubenet")
    route = datapath.routes(0, 4, protocol="UDP").forward
    last = route.passes[-1]
    assert last.role is Role.RECEIVER_CORE
    assert last.segment_s == 0
    assert route.burst_bytes == 65536 - 28


def test_idle_cores_are_set_up_and_links_are_not() -> None:
    by_role = {item.role: item for item in routes_of("kubenet").passes}
    assert by_role[Role.SOFTIRQ_CORE].setup_s > 0
    assert by_role[Role.RECEIVER_CORE].setup_s > 0
    assert by_role[Role.SENDER_CORE].setup_s == by_role[Role.SENDER_LINK].setup_s == 0


def test_traffic_from_outside_is_not_aggregated_on_the_wire() -> None:
    datapath = Datapath(small_cluster(Machine(gro=False)), "kubenet")
    route = datapath.routes(ExternalParty(), 0, port=8080, service=("shop/front", 80)).forward
    softirq = next(item for item in route.passes if item.role is Role.SOFTIRQ_CORE)
    assert softirq.segment_s > 2 * softirq.fixed_s > 0
