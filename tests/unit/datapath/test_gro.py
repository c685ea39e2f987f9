"""What a card's polls merge, what that costs behind it, and what is acknowledged."""

from __future__ import annotations

import math

import pytest
from small_cluster import small_cluster

from netsim.cluster.objects import Machine
from netsim.datapath.datapath import Datapath
from netsim.datapath.gro import POLL_BUDGET, acknowledged, left_to_program, merged_behind, merged_pieces
from netsim.datapath.types import LINK_ROLES, Role, Route

BURST, MSS = 65_484, 1_460


def routes_of(plugin: str = "kubenet", **machine: object) -> tuple[Route, Route]:
    routes = Datapath(small_cluster(Machine(**machine)), plugin).routes(0, 4)  # type: ignore[arg-type]
    assert routes.reply_acks is not None
    return routes.forward, routes.reply_acks


def test_a_flow_alone_is_merged_to_a_poll_and_many_flows_to_what_came_of_each() -> None:
    alone = merged_pieces(BURST, MSS, math.inf)
    assert alone == pytest.approx(2 * BURST / (POLL_BUDGET * MSS))
    shares = [merged_pieces(BURST, MSS, 300_000 / flows) for flows in (1, 2, 4, 8, 16, 32, 64, 128)]
    assert shares == sorted(shares)
    assert merged_pieces(BURST, MSS, 0.0) == pytest.approx(BURST / MSS)


def test_small_messages_are_one_buffer() -> None:
    assert merged_pieces(3 * MSS, MSS, 4 * MSS) == pytest.approx(2 * 3 / 4)
    assert merged_pieces(MSS, MSS, math.inf) == 1.0


def test_every_merged_buffer_is_acknowledged_and_without_merging_every_second_segment() -> None:
    assert acknowledged(BURST, MSS, True, 3.0) == 3.0
    assert acknowledged(BURST, MSS, False) == pytest.approx(BURST / MSS / 2)
    assert acknowledged(100, MSS, False) == 1.0


def test_only_a_card_that_merges_collects() -> None:
    merging, _ = routes_of()
    alone, _ = routes_of(gro=False)
    assert merging.polled_s > 0.0
    assert merging.arrives_whole
    assert alone.polled_s == 0.0
    assert not alone.arrives_whole
    further = {item.role: item.again_s for item in merging.passes if item.again_s}
    assert set(further) == {Role.SOFTIRQ_CORE}
    softirq = next(item for item in merging.passes if item.role is Role.SOFTIRQ_CORE)
    assert 0.0 < further[Role.SOFTIRQ_CORE] < softirq.fixed_s
    assert 0.0 < merging.input_s[1] < merging.input_s[0] < softirq.fixed_s


def test_with_packet_steering_a_further_buffer_costs_the_core_that_it_is_handed_to() -> None:
    route, _ = routes_of(rps=True)
    further = {item.role: item.again_s for item in route.passes if item.again_s}
    assert further[Role.STEERED_CORE] > further.get(Role.SOFTIRQ_CORE, 0.0)


def test_acknowledgements_pass_no_program_and_each_is_a_packet() -> None:
    data, acks = routes_of()
    names = [name for name, _, _ in acks.hops]
    assert names[0] == "stack.acknowledge"
    assert names[-1] == "stack.receive"
    assert not {"socket.send", "socket.receive"} & set(names)
    assert acks.passes[-1].role is Role.SOFTIRQ_CORE
    for item in acks.passes:
        assert item.fixed_s == item.byte_s == 0.0
        assert item.segment_s > 0.0
    forward = sum(item.fixed_s for item in data.passes if item.role not in LINK_ROLES)
    assert sum(item.segment_s for item in acks.passes if item.role not in LINK_ROLES) < forward


def test_a_program_takes_the_share_of_the_input_for_which_it_is_at_work() -> None:
    moved = left_to_program(20.0, 12.0, 1.5)
    busy = (12.0 + moved) / (20.0 - moved)
    assert moved == pytest.approx(1.5 * busy)
    assert left_to_program(13.0, 12.0, 1.5) == pytest.approx(0.5)
    assert left_to_program(12.0, 13.0, 1.5) == 0.0
    assert left_to_program(12.0, 2.0, 0.0) == 0.0
    assert left_to_program(12.0, 0.0, 1.5) == 0.0


def test_datagrams_have_no_acknowledgements() -> None:
    routes = Datapath(small_cluster(), "kubenet").routes(0, 4, protocol="UDP")
    assert routes.forward_acks is None
    assert routes.reply_acks is None


def test_a_core_that_falls_behind_merges_as_much_as_it_must() -> None:
    """2 us for the segments and 3 us a buffer: 4 buffers take 14 us, and polls can find all but 1.5 merged."""
    merged = [merged_behind(4.0, 1.5, 3.0, 2.0, supply) for supply in (20.0, 14.0, 11.0, 8.0, 5.0, 1.0)]
    assert merged == [4.0, 4.0, 3.0, 2.0, 1.5, 1.5]
