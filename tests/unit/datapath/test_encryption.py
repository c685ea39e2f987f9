"""Encrypted tunnels: what they add to a packet, where segments are made and merged, and who waits for whom."""

from __future__ import annotations

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.datapath import Datapath
from netsim.datapath.encapsulation import Encapsulation
from netsim.datapath.encryption import CIPHERS, Cipher
from netsim.datapath.passes import segments_of
from netsim.datapath.plugin import load_plugin
from netsim.datapath.types import Role, Route

BULK = 65_000


def datapath(kind: Cipher | None, **machine: object) -> Datapath:
    plugin = load_plugin("flannel-vxlan")
    if kind is not None:
        plugin = plugin.changed(encapsulation=Encapsulation(kind=kind), name=f"flannel+{kind}")
    return Datapath(small_cluster(Machine(**machine)), plugin)  # type: ignore[arg-type]


def route(kind: Cipher | None, **machine: object) -> Route:
    return datapath(kind, **machine).routes(0, 4).forward


def hops(kind: Cipher | None, **machine: object) -> list[str]:
    return [name for name, _, _ in route(kind, **machine).hops]


def core_s(way: Route, role: Role) -> float:
    segments = segments_of(way, BULK)
    return sum(p.fixed_s + p.byte_s * BULK + p.segment_s * segments for p in way.passes if p.role is role)


@pytest.mark.parametrize(("kind", "bytes_v4", "bytes_v6"), [("wireguard", 60, 80), ("ipsec", 54, 74)])
def test_bytes_that_a_packet_grows_by(kind: Cipher, bytes_v4: int, bytes_v6: int) -> None:
    tunnel = Encapsulation(kind=kind)
    assert (tunnel.overhead_bytes(), tunnel.overhead_bytes(ipv6_underlay=True)) == (bytes_v4, bytes_v6)


@pytest.mark.parametrize("kind", CIPHERS)
@pytest.mark.parametrize("offload", [True, False])
def test_segments_are_merged_behind_the_tunnel_whatever_the_card_offloads(kind: Cipher, offload: bool) -> None:
    order = hops(kind, tunnel=offload)
    assert order.index("seal") < order.index("encap") < order.index("open") < order.index("decap")
    assert order.index("decap") < order.index("nic.gro_inner")
    assert "nic.gro" not in order


@pytest.mark.parametrize("kind", CIPHERS)
def test_every_segment_pays_on_both_sides(kind: Cipher) -> None:
    plain, sealed = route(None), route(kind)
    for role in (Role.SENDER_CORE, Role.SOFTIRQ_CORE):
        assert core_s(sealed, role) > 2 * core_s(plain, role)


def test_ipsec_works_on_the_flows_cores_and_wireguard_waits_for_others() -> None:
    ipsec, wireguard, plain = (sum(p.byte_s for p in route(kind).passes) for kind in ("ipsec", "wireguard", None))
    assert ipsec > wireguard == pytest.approx(plain)
    setups = {kind: sum(p.setup_s for p in route(kind).passes) for kind in CIPHERS}
    assert setups["wireguard"] > setups["ipsec"] + 5e-6


@pytest.mark.parametrize("kind", CIPHERS)
def test_the_network_sees_one_flow_of_a_pair_of_nodes(kind: Cipher) -> None:
    assert route(kind).paired and not route(None).paired
    assert datapath(kind).routes(0, 4).outer_conntrack == 0 < datapath(None).routes(0, 4).outer_conntrack
