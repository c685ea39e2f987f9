"""Datagrams above the MTU: who cuts them, who puts them together, and that what fits pays for neither."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine, release
from netsim.datapath.datapath import Datapath
from netsim.datapath.passes import Priced, price, work_ns
from netsim.datapath.types import Packet, Route

LARGE = 4096
"""Three fragments at an MTU of 1500."""
OLD, NEW = (3, 10), None


def datapath(plugin: str, kernel: tuple[int, int] | None, **machine: object) -> Datapath:
    return Datapath(small_cluster(Machine(kernel=kernel, **machine)), plugin)  # type: ignore[arg-type]


def route(plugin: str, kernel: tuple[int, int] | None, target: int = 4) -> Route:
    return datapath(plugin, kernel).routes(0, target, protocol="UDP").forward


def priced(plugin: str, kernel: tuple[int, int] | None, target: int = 4) -> Iterator[Priced]:
    made = datapath(plugin, kernel)
    forward, _ = made.paths(made.connection(0, target, protocol="UDP"))
    return price(forward, Packet(False, False, "UDP"), made.prices_on)


def paid_per_fragment(plugin: str, kernel: tuple[int, int] | None, target: int = 4) -> list[str]:
    return [item.crossing.hop.name for item in priced(plugin, kernel, target) if item.bill.segment_ns > 0]


@pytest.mark.parametrize("plugin", ["kubenet", "calico-vxlan", "cilium-native", "antrea-geneve", "kube-router"])
def test_a_datagram_that_fits_pays_the_same_whatever_the_kernel_does_with_large_ones(plugin: str) -> None:
    newer, older = (work_ns(route(plugin, kernel), 100) for kernel in ((4, 14), (4, 13)))
    assert older == pytest.approx(newer)
    assert work_ns(route(plugin, OLD, 1), LARGE) < work_ns(route(plugin, NEW, 1), LARGE)


def test_old_virtual_devices_take_datagrams_whole_up_to_the_card() -> None:
    names = [item.crossing.hop.name for item in priced("kubenet", OLD)]
    assert names.index("nic.fragments") == names.index("nic.transmit") - 1
    before = paid_per_fragment("kubenet", OLD)
    assert "socket.send" not in before
    assert before[0] == "nic.fragments"
    assert "socket.send" in paid_per_fragment("kubenet", NEW)


def test_no_datagram_is_cut_within_an_old_node() -> None:
    assert not paid_per_fragment("kubenet", OLD, target=1)
    assert "stack.receive" in paid_per_fragment("cilium-native", NEW, target=1)


def test_gro_leaves_fragments_alone() -> None:
    forward = {item.crossing.hop.name: item for item in priced("cilium-native", NEW)}
    assert not forward["nic.gro"].whole
    assert forward["stack.receive"].whole
    tcp = datapath("cilium-native", NEW)
    merged = price(tcp.paths(tcp.connection(0, 4))[0], Packet(False, False), tcp.prices_on)
    assert next(item.whole for item in merged if item.crossing.hop.name == "nic.gro")


def test_nodes_that_track_connections_see_datagrams_at_their_hooks_and_cut_them_again() -> None:
    laid = [(item.crossing.hop.name, item.whole) for item in priced("calico-bgp", NEW) if item.crossing.node]
    wholes = [whole for name, whole in laid if name == "conntrack"]
    assert wholes
    assert all(wholes)
    assert [whole for name, whole in laid if name == "netfilter.postrouting"] == [False, False]
    assert [whole for name, whole in laid if name == "netfilter.prerouting"] == [True, True]


def test_putting_together_is_paid_once_for_each_further_fragment() -> None:
    made = datapath("cilium-native", NEW)
    stack = next(item for item in priced("cilium-native", NEW) if item.crossing.hop.name == "stack.receive")
    here = made.prices_on("a") if "a" in {node.name for node in made.cluster.nodes} else made.prices
    assert stack.bill.segment_ns == pytest.approx(here["fragment.receive"])
    assert stack.bill.packet_ns + stack.bill.segment_ns == pytest.approx(here["stack.receive.udp"])


def test_tunnels_of_old_open_vswitch_have_no_device() -> None:
    decap = {
        kernel: next(item for item in priced("antrea-geneve", kernel) if item.crossing.hop.name == "decap").bill
        for kernel in ((4, 2), (4, 3), NEW)
    }
    prices = datapath("antrea-geneve", NEW).prices
    assert decap[4, 3].packet_ns + decap[4, 3].segment_ns == pytest.approx(decap[NEW].packet_ns + decap[NEW].segment_ns)
    spared = prices["decap.queue"] + prices["decap.metadata"]
    old, new = (decap[kernel].packet_ns + decap[kernel].segment_ns for kernel in ((4, 2), NEW))
    assert new - old == pytest.approx(spared)


@pytest.mark.parametrize(
    ("text", "told"), [("3.10.0-1160.el7", (3, 10)), ("5.4", (5, 4)), ("6.18.44-fc", (6, 18)), ("unknown", None)]
)
def test_release_of_a_kernel(text: str, told: tuple[int, int] | None) -> None:
    assert release(text) == told
