"""Routes: compiled once per kind, the same whatever is asked first, with verdicts, MTU and tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal
from unittest.mock import Mock

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import IpBlock, Machine, NetworkPolicy, Peer, PolicyPort, PolicyRule, Selector
from netsim.cluster.synthetic import Synthetic, build_synthetic
from netsim.datapath.datapath import Datapath, ExternalParty, HostParty
from netsim.datapath.mtu import between_nodes
from netsim.datapath.plugin import load_plugin
from netsim.datapath.types import Role
from netsim.errors import InputError

INNER, FRONT = ("shop/inner", 80), ("shop/front", 80)
DENY = NetworkPolicy("shop", "deny", Selector({"app": "web"}))
ONLY_PORT = NetworkPolicy("shop", "port", Selector({"app": "web"}), (PolicyRule(ports=(PolicyPort(port="http"),)),))


def test_pairs_of_one_kind_share_their_routes() -> None:
    datapath = Datapath(small_cluster(), "kubenet")
    assert datapath.routes(0, 2) is datapath.routes(1, 3) is datapath.routes(5, 7)
    assert datapath.routes(0, 4) is datapath.routes(2, 6)
    assert datapath.routes(0, 1) is datapath.routes(6, 7)
    assert datapath.routes(0, 0) is datapath.routes(3, 3)
    assert datapath.compiled == 4


def test_kinds_differ_where_something_differs() -> None:
    datapath = Datapath(small_cluster(), "kubenet")
    found = [
        datapath.routes(0, 2), datapath.routes(0, 4), datapath.routes(0, 1), datapath.routes(0, 2, protocol="UDP"),
        datapath.routes(0, 2, service=INNER), datapath.routes(0, HostParty(1)), datapath.routes(HostParty(0), 2),
        datapath.routes(0, ExternalParty()), datapath.routes(ExternalParty(), 0, service=FRONT),
        datapath.routes(ExternalParty(), 0, service=FRONT, entry_node=1), datapath.routes(0, 9),
    ]  # fmt: skip
    assert len({id(routes) for routes in found}) == len(found) - 1
    assert found[5] is found[10], "a host-network pod is a process of its node"


def test_machines_price_their_own_hops() -> None:
    fast, slow = Datapath(small_cluster(), "kubenet"), Datapath(small_cluster(Machine(clock_ghz=1.5)), "kubenet")
    one, other = (path.routes(0, 4).forward.passes for path in (fast, slow))
    for quick, lame in zip(one, other, strict=True):
        assert lame.fixed_s == pytest.approx(2 * quick.fixed_s)
        assert lame.latency_s == quick.latency_s


def test_answers_do_not_depend_on_the_order_of_questions() -> None:
    cluster = build_synthetic(Synthetic(nodes=8, pods_per_node=7, services=20, policies=5))
    pairs = [(source, target) for source in range(0, 40, 3) for target in range(0, 40, 5)]

    def ask(order: list[tuple[int, int]]) -> dict[tuple[int, int], tuple[object, ...]]:
        datapath = Datapath(cluster, "calico-vxlan")
        return {
            pair: (routes.first.passes, routes.first_reply.passes, routes.forward.passes, routes.verdict)
            for pair in order
            for routes in [datapath.routes(*pair, port=8080)]
        }

    assert ask(pairs) == ask(pairs[::-1])


def test_service_lists_lengthen_first_packets_only() -> None:
    few = Datapath(small_cluster(), "kubenet").routes(0, 4, service=INNER)
    many = Datapath(small_cluster(extra_services=2000), "kubenet").routes(0, 4, service=INNER)
    (scanned,) = (item.scan_s for item in many.first.passes if item.scan_s)
    assert scanned == pytest.approx(2003 * 18.5e-9, rel=0.01)
    assert few.forward.passes == many.forward.passes
    assert few.first_reply.passes == many.first_reply.passes


def test_ipvs_has_no_list_but_rows_of_a_hash_table() -> None:
    few, hashed = (
        Datapath(small_cluster(extra_services=number), "kubenet", "ipvs").routes(0, 4, service=INNER).first.passes
        for number in (0, 512)
    )
    assert [each._replace(scan_s=0.0) for each in few] == [each._replace(scan_s=0.0) for each in hashed]
    more = math.fsum(each.scan_s for each in hashed) - math.fsum(each.scan_s for each in few)
    assert more == pytest.approx(512 / 256 * 90e-9)


def test_packets_to_no_service_walk_the_whole_list_at_both_nodes() -> None:
    few, many = (Datapath(small_cluster(extra_services=n), "kubenet").routes(0, 4).first for n in (0, 1000))
    for role in (Role.SENDER_CORE, Role.SOFTIRQ_CORE):
        one, other = (next(p for p in route.passes if p.role is role) for route in (few, many))
        assert other.fixed_s - one.fixed_s == pytest.approx(1000 * 18.5e-9, rel=0.01)
        assert other.scan_s == 0


def test_conntrack_and_source_ports() -> None:
    datapath = Datapath(small_cluster(), "flannel-vxlan")
    assert datapath.routes(0, 4).conntrack == (Role.SENDER_CORE, Role.SOFTIRQ_CORE)
    assert datapath.routes(0, 1).conntrack == (Role.SENDER_CORE,)
    assert datapath.routes(0, 0).conntrack == ()
    second = datapath.routes(ExternalParty(), 0, port=8080, service=FRONT, entry_node=3)
    assert second.conntrack == (Role.VIA_CORE, Role.SOFTIRQ_CORE)
    assert second.snat
    assert not datapath.routes(0, 4).snat


# ---------------------------------------------------------------------------------------------- policies


@pytest.mark.parametrize(
    ("plugin", "verdict"), [("calico-bgp", "DROP"), ("cilium-vxlan", "DROP"), ("antrea-geneve", "DROP"),
                            ("kube-router", "REJECT"), ("flannel-vxlan", "ALLOW"), ("kubenet", "ALLOW")],
)  # fmt: skip
def test_denied_by_policy(plugin: str, verdict: str) -> None:
    datapath = Datapath(small_cluster(policies=(DENY,)), plugin)
    routes = datapath.routes(0, 4, port=8080)
    assert routes.verdict == verdict
    assert ("shop/deny" in routes.reason) is (verdict != "ALLOW")
    assert bool(datapath.notes) is (verdict == "ALLOW")
    assert datapath.routes(HostParty(2), 4, port=8080).verdict == "ALLOW", "a node reaches its own pods"


def test_policies_look_at_ports() -> None:
    datapath = Datapath(small_cluster(policies=(ONLY_PORT,)), "calico-bgp")
    assert datapath.routes(0, 4, port=8080).verdict == "ALLOW"
    assert datapath.routes(0, 4, port=9090).verdict == "DROP"
    assert datapath.routes(0, 4, port=8080, protocol="UDP").verdict == "DROP"


def test_policies_that_look_at_addresses_are_asked_per_pair() -> None:
    peer = Peer(ip_block=IpBlock("10.244.0.0/24"))
    policy = NetworkPolicy("shop", "block", Selector({"app": "web"}), (PolicyRule(peers=(peer,)),))
    datapath = Datapath(small_cluster(policies=(policy,)), "calico-bgp")
    assert datapath.routes(0, 4, port=8080).verdict == "ALLOW"
    assert datapath.routes(2, 4, port=8080).verdict == "DROP"


def test_the_server_sees_a_masqueraded_client_as_the_node() -> None:
    peer = Peer(ip_block=IpBlock("192.168.0.4/32"))
    policy = NetworkPolicy("shop", "entry", Selector({"app": "web"}), (PolicyRule(peers=(peer,)),))
    datapath = Datapath(small_cluster(policies=(policy,)), "calico-bgp")
    outside = ExternalParty()
    assert datapath.routes(outside, 0, port=8080, service=FRONT, entry_node=3).verdict == "ALLOW"
    assert datapath.routes(outside, 0, port=8080, service=FRONT, entry_node=2).verdict == "DROP"


def test_enforcement_costs_the_sender_and_the_receiver() -> None:
    open_, closed = (
        Datapath(small_cluster(policies=policies), "calico-bgp").routes(0, 4, port=8080)
        for policies in ((), (ONLY_PORT,))
    )
    one, other = (next(p for p in r.first.passes if p.role is Role.SOFTIRQ_CORE) for r in (open_, closed))
    assert other.fixed_s > one.fixed_s


# ---------------------------------------------------------------------------------------------- MTU


def test_auto_mtu_fits() -> None:
    routes = Datapath(small_cluster(), "flannel-vxlan").routes(0, 4)
    assert (routes.forward.mss_bytes, routes.forward.path_mtu_bytes, routes.forward.black_hole) == (1410, 1450, False)


def test_a_wrong_mtu_is_a_black_hole_between_nodes_only() -> None:
    datapath = Datapath(small_cluster(), "flannel-vxlan", mtu=1500)
    across = datapath.routes(0, 4)
    assert across.forward.black_hole and across.reply.black_hole
    assert across.forward.mss_bytes == 1460
    assert not datapath.routes(0, 1).forward.black_hole
    assert not Datapath(small_cluster(), "kubenet", mtu=1500).routes(0, 4).forward.black_hole
    assert not Datapath(small_cluster(Machine(mtu=9000)), "flannel-vxlan", mtu=1500).routes(0, 4).forward.black_hole


def test_a_process_of_a_node_knows_its_tunnels_mtu() -> None:
    assert Datapath(small_cluster(), "flannel-vxlan").routes(HostParty(0), 4).forward.mss_bytes == 1410
    assert Datapath(small_cluster(), "flannel-vxlan").routes(HostParty(0), HostParty(2)).forward.mss_bytes == 1460


@pytest.mark.parametrize("mtu", [0, 100, 575])
def test_an_mtu_without_room(mtu: int) -> None:
    with pytest.raises(InputError, match="576"):
        Datapath(small_cluster(), "kubenet", mtu=mtu)


# ---------------------------------------------------------------------------------------------- wrong questions, size


def test_unknown_services() -> None:
    datapath = Datapath(small_cluster(), "kubenet")
    with pytest.raises(InputError, match="shop/none"):
        datapath.routes(0, 4, service=("shop/none", 80))
    with pytest.raises(InputError, match="80/TCP"):
        datapath.routes(0, 4, service=("shop/inner", 81))


def test_large_clusters_are_compiled_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are composed for each kind of connection, ends looked at once, nothing done again for pairs known."""
    cluster = build_synthetic(Synthetic(nodes=1000, pods_per_node=10, services=500))
    datapath = Datapath(cluster, "flannel-vxlan")
    steps = {name: Mock(wraps=getattr(datapath, name)) for name in ("compile", "connection", "_end")}
    for name, counted in steps.items():
        monkeypatch.setattr(datapath, name, counted)
    for _ in range(2):
        for index in range(2000):
            datapath.routes(index, 9999 - index, port=8080)
        done = {name: counted.call_count for name, counted in steps.items()}
        assert done == {"compile": datapath.compiled, "connection": datapath.compiled, "_end": 4000}
    assert datapath.compiled <= 6


@pytest.mark.parametrize(
    ("plugin", "setting", "fitting"),
    [("flannel-vxlan", "auto", 0), ("flannel-vxlan", 1500, 1450), ("flannel-vxlan", 1450, 0), ("kubenet", 1500, 0),
     ("kubenet", 9000, 1500), ("calico-ipip", 1500, 1480)],
)  # fmt: skip
def test_black_holes_between_nodes_are_found_without_a_connection(
    plugin: str, setting: int | Literal["auto"], fitting: int
) -> None:
    """The same verdict as a connection's own, on nodes with small and large interfaces alike."""
    cluster = small_cluster()
    mixed = (*cluster.nodes, replace(cluster.nodes[0], name="jumbo", machine=Machine(mtu=9000)))
    found = [sizes for sizes in between_nodes(load_plugin(plugin), setting, mixed) if sizes.black_hole]
    assert [sizes.path for sizes in found[:1]] == [fitting][: fitting > 0]
    across = Datapath(cluster, plugin, mtu=setting).routes(0, 4).forward
    assert across.black_hole == bool(found)
    if found:
        assert (across.path_mtu_bytes, f"{fitting} fit" in found[0].warning) == (fitting, True)
