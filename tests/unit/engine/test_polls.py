"""Streams at their receiver: merging by share of the link, acknowledgements, the backlog of a socket."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine_parts import MSS, Pair, route

from netsim.datapath.types import Pass, Role, Route
from netsim.engine.pricing import Limits, Tariff
from netsim.engine.queueing.stations import Core
from netsim.engine.transport.acknowledging import Acknowledgements, Polls
from netsim.engine.transport.half import Half
from netsim.engine.transport.tcp import TcpSettings

POLLED_S = 20e-6
"""At 8 Gbit/s 20 segments of 1,000 bytes."""


def polled(again_s: float = 0.5e-6) -> Route:
    plain = route(burst=40_000)
    passes = tuple(p._replace(again_s=again_s) if p.role is Role.SOFTIRQ_CORE else p for p in plain.passes)
    return replace(plain, passes=passes, polled_s=POLLED_S)


class Noting(Half):
    """A direction that remembers into how many buffers each of its full bursts was merged."""

    __slots__ = ("merged",)

    def received(self, start: int, size: int, sent: float, now: float, buffers: int = 1) -> None:
        """Take data."""
        if size == self.way.burst_bytes:
            self.merged.append(buffers)
        super().received(start, size, sent, now, buffers)


def streams(number: int, again_s: float = 0.5e-6) -> list[int]:
    """Run streams side by side over one link; return what each burst was merged to."""
    pair = Pair(polled(again_s))
    seen: list[int] = []
    for _ in range(number):
        half = Noting(*pair.ways(), TcpSettings(receive_window_bytes=400_000))
        half.merged = seen
        half.stream()
    pair.clock.run(until=0.02)
    return seen


def test_a_flow_alone_is_merged_to_what_comes_in_one_moderation_time() -> None:
    seen = streams(1)
    assert len(seen) > 100
    assert sum(seen) / len(seen) == pytest.approx(40 / 20, rel=0.08)


def test_of_flows_that_share_the_link_a_poll_finds_less_of_each() -> None:
    seen = streams(4)
    later = seen[len(seen) // 2 :]
    assert sum(later) / len(later) == pytest.approx(4 * 40 / 20, rel=0.25)


def test_a_core_that_falls_behind_merges_more_of_a_burst() -> None:
    """A burst comes every 40 us and takes 1; at 60 us a further buffer, not one more a burst, the core keeps up."""
    seen = streams(1, again_s=60e-6)
    later = seen[len(seen) // 2 :]
    assert sum(later) / len(later) == pytest.approx(1 + 39 / 60, rel=0.05)


def test_charges_hold_every_further_buffer_and_no_burst_is_longer_than_its_segments() -> None:
    tariff = Tariff(polled(), Limits())
    index = tariff.stops.index(Role.SOFTIRQ_CORE)
    one, five = tariff.merged(40_000, 1)[index], tariff.merged(40_000, 5)[index]
    assert one[0] == pytest.approx(tariff.charges(40_000)[index][0])
    assert five[0] - one[0] == pytest.approx(4 * 0.5e-6, rel=1e-4)
    assert five[3] / one[3] == pytest.approx(five[0] / one[0])
    assert tariff.pieces(MSS) == 1.0


def test_what_a_program_at_work_is_left_moves_from_core_to_core() -> None:
    tariff = Tariff(replace(polled(), input_s=(0.4e-6, 0.2e-6)), Limits())
    stays, left = tariff.merged(40_000, 3), tariff.merged(40_000, 3, left=True)
    softirq, reader = (tariff.stops.index(role) for role in (Role.SOFTIRQ_CORE, Role.RECEIVER_CORE))
    assert stays[softirq][0] - left[softirq][0] == pytest.approx(0.8e-6, rel=1e-4)
    assert left[reader][0] - stays[reader][0] == pytest.approx(0.8e-6, rel=1e-4)


def test_the_cards_core_leaves_work_only_while_it_is_further_behind_than_a_program_at_work() -> None:
    pair = Pair(replace(polled(), input_s=(0.4e-6, 0.2e-6)))
    way, _ = pair.ways()
    polls = Polls.over(way, way.legs)
    assert polls is not None
    core, reader = Core("softirq"), Core("reader")
    polls.reader = reader
    polls._core = core
    told = []
    for behind, busy in ((0.0, 0.0), (5e-6, 0.0), (5e-6, 2e-6), (2e-6, 5e-6)):
        core.urgent_free_s, reader.free_s = behind, busy
        told.append(polls.relieved(0.0))
    assert told == [False, False, True, False]


def test_a_way_that_merges_nothing_has_no_polls() -> None:
    way, _ = Pair().ways()
    assert Polls.over(way, way.legs) is None


def test_acknowledgements_start_where_the_stack_received_and_travel_as_one() -> None:
    plain = route()
    acks = replace(
        plain, mss_bytes=1, burst_bytes=1 << 16,
        passes=(Pass(Role.SENDER_CORE, 0.0, segment_s=1e-6), *plain.passes[1:3]),
    )  # fmt: skip
    pair = Pair()
    forth, back = pair.ways()
    back.acknowledging = Tariff(acks, Limits())
    told: list[float] = []
    sender = forth.by_role[Role.SOFTIRQ_CORE].__self__
    Acknowledgements(forth, back).send(60_000, 3, told.append, told.append)
    pair.clock.run(until=1.0)
    assert len(told) == 1
    assert sender.busy_s == pytest.approx(3e-6, rel=1e-3)
    assert back.legs[0].__self__.busy_s == 0.0  # the program has no part in it
