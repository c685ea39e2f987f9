"""Which streams lose their order in a card's transmit queues, and how much of them."""

from __future__ import annotations

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.costs import load_profile
from netsim.datapath.datapath import Datapath
from netsim.datapath.disorder import beside, fills_alone, settled, sides, unmerged
from netsim.datapath.types import Route

BY_CORE = {"nic_bps": 10e9, "transmit_queue": "core"}


def route_of(plugin: str, pods: tuple[int, int] = (0, 4), **machine: object) -> Route:
    return Datapath(small_cluster(Machine(**machine)), plugin).routes(*pods).forward  # type: ignore[arg-type]


def test_a_routed_stream_that_fills_the_card_loses_its_order() -> None:
    assert route_of("calico-bgp", **BY_CORE).mixed == load_profile("server").figures["stream.held"].chosen().value


@pytest.mark.parametrize(
    "otherwise",
    [
        {"transmit_queue": "flow"},
        {"interrupts": "steered"},
        {"queues": 1},
        {"kernel": (4, 15)},
        {"nic_bps": 100e9},
        {"gro": False},
    ],
)
def test_one_core_or_a_slower_one_or_a_kernel_that_adapts_keeps_it(otherwise: dict[str, object]) -> None:
    assert route_of("calico-bgp", **{**BY_CORE, **otherwise}).mixed == 0.0


def test_buffers_that_stay_their_sockets_keep_it_and_so_do_streams_within_a_node() -> None:
    assert route_of("cilium-native", **BY_CORE).mixed == 0.0
    assert route_of("calico-bgp", (0, 1), **BY_CORE).mixed == 0.0


def test_two_cores_send_alike_at_most() -> None:
    assert sides(3.0, 0.0) == 0.0
    assert sides(3.0, 0.05) == pytest.approx(2 * 0.15 * 0.85)
    assert sides(3.0, 0.9) == 0.5


def test_the_fuller_the_card_the_more_of_a_stream_is_there_at_once() -> None:
    assert beside(0.2, 0.2, 0.5) == pytest.approx(0.2 * 0.5 / 0.8)
    assert beside(0.1, 0.7, 0.5) > beside(0.1, 0.1, 0.5)
    assert beside(0.5, 1.0, 0.5) == 1.0


def test_a_stream_settles_where_its_pace_brings_what_slows_it_to_that_pace() -> None:
    line_s, sender_s, held = 50e-6, 15e-6, 3.0

    def busiest_s(share: float) -> float:
        return 30e-6 + share * 400e-6

    found = settled(line_s, 1, sender_s, held, busiest_s)
    pace_s = busiest_s(found)
    own = line_s / pace_s
    assert found == pytest.approx(beside(own, own, sides(held, sender_s / pace_s)), rel=1e-6)
    assert 2 * line_s < pace_s
    assert busiest_s(settled(line_s, 2, sender_s, held, busiest_s)) > pace_s


def test_of_segments_beside_others_each_is_a_buffer() -> None:
    assert unmerged(1.5, 45.0, 0.0) == 1.5
    assert unmerged(1.5, 45.0, 1.0) == 45.0
    assert fills_alone(50e-6, 40e-6)
    assert not fills_alone(50e-6, 60e-6)
