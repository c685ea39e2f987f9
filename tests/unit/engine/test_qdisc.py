"""Queueing disciplines before a card whose ring is full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.engine.kernel.qdisc import FqCodel, PfifoFast, Qdisc, Waiting, ring_bytes
from netsim.engine.queueing.audit import audit
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Link, LinkCharge
from netsim.engine.run import Replication, run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

GOLDEN = Path(__file__).parents[2] / "golden"

RATE_BPS = 8e9
"""A byte a nanosecond."""
RING_S = 100e-6


class Card:
    """A link with a discipline before it; connections are told by their legs."""

    def __init__(self, discipline: Any) -> None:
        self.clock, self.link = Clock(), Link("up")
        self.qdisc = Qdisc(self.clock, self.link.carry, self.link, discipline, RING_S)
        self.out: list[tuple[str, float]] = []
        self.lost: list[tuple[str, float]] = []
        self.flows: dict[str, tuple[Any, ...]] = {}

    def send(self, flow: str, size: int) -> None:
        """Send a buffer of a connection now."""
        legs = self.flows.setdefault(flow, (*[self.qdisc.carry], deliver))
        charges = (tuple(LinkCharge(size * 1e-9, size * 1e-9)), None)
        Burst(
            self.clock, legs, charges, size, lambda now: self.out.append((flow, now)),
            lambda now: self.lost.append((flow, now)),
        )  # fmt: skip

    def order(self) -> list[str]:
        """Run to the end, check the books, and return whose buffers left in which order."""
        self.clock.run()
        assert audit(self.clock, [self.qdisc, self.link]) == 2
        return [flow for flow, _ in self.out]


@pytest.mark.parametrize(
    ("nic_bps", "stated", "held"),
    [(1e9, None, 131_072), (25e9, None, 156_250), (100e9, None, 625_000), (1e9, 4096, 4096)],
)  # fmt: skip
def test_what_a_ring_holds(nic_bps: float, stated: int | None, held: int) -> None:
    assert ring_bytes(nic_bps, stated) == held


def test_packets_go_straight_to_a_ring_with_room() -> None:
    """A ring is stopped by what is beyond its limit, so one buffer more than that is let in."""
    card = Card(FqCodel())
    for _ in range(3):
        card.send("a", 50_000)
    assert card.qdisc.arrived == 0
    card.send("a", 50_000)
    assert card.qdisc.arrived == 1
    assert card.order() == ["a"] * 4


def test_first_in_first_out_is_what_a_link_alone_does() -> None:
    times = []
    for card in (Card(PfifoFast()), Card(PfifoFast())):
        if times:
            card.qdisc._room_s = 1e9  # everything is in the ring
        for number in range(40):
            card.send("ab"[number % 2], 20_000 + 7 * number)
            card.clock.run(until=card.clock.now + 13e-6)
        card.order()
        times.append(card.out)
    assert times[0] == times[1]


def test_pfifo_fast_drops_beyond_a_thousand_packets() -> None:
    card = Card(PfifoFast())
    for _ in range(1010):
        card.send("a", 50_000)
    assert len(card.order()) == 1003  # three are in the ring
    assert (card.qdisc.dropped, len(card.lost)) == (7, 7)


def test_a_small_flow_does_not_wait_for_a_large_one() -> None:
    """Behind the ring and one buffer of the other flow, whose turn it is; in a single queue it would be the last."""
    for discipline, place in ((FqCodel(), 4), (PfifoFast(), 20)):
        card = Card(discipline)
        for _ in range(20):
            card.send("bulk", 50_000)
        card.send("small", 1_000)
        assert card.order().index("small") == place


def test_flows_share_by_bytes() -> None:
    """Buffers of 60 kB and of 6 kB: ten of the small flow's for one of the large one's."""
    card = Card(FqCodel())
    for _ in range(12):
        card.send("large", 60_000)
    for _ in range(200):
        card.send("small", 6_000)
    sent: dict[str, int] = {"large": 0, "small": 0}
    for flow in card.order()[3:113]:
        sent[flow] += 60_000 if flow == "large" else 6_000
    assert sent["large"] == pytest.approx(sent["small"], rel=0.11)


def test_codel_drops_from_a_queue_that_stands_for_an_interval() -> None:
    """More comes than leaves: the first is dropped 100 ms after the delay first was 5 ms, then after 100 and 71 ms."""
    card = Card(FqCodel())
    while card.clock.now < 0.45:
        card.send("bulk", 50_000)
        card.clock.run(until=card.clock.now + 46e-6)  # 50 us each on the wire
    first, second, third = (time for _, time in card.lost[:3])
    assert 0.1 < first < 0.17
    assert second - first == pytest.approx(0.1, abs=1e-4)
    assert third - second == pytest.approx(0.1 / 2**0.5, abs=1e-4)
    card.order()


def test_a_queue_that_drains_in_time_loses_nothing() -> None:
    card = Card(FqCodel())
    for _ in range(10):
        for _ in range(150):  # 7.5 ms of work
            card.send("bulk", 50_000)
        card.clock.run(until=card.clock.now + 20e-3)
    assert len(card.order()) == 1500
    assert not card.lost


def test_fq_codel_drops_from_the_longest_queue_when_it_is_full() -> None:
    queue, clock = FqCodel(), Clock()
    legs = dict.fromkeys(("long", "short"), (deliver,) * 1 + (deliver,))

    class Idle:
        """A burst that goes nowhere."""

        def __init__(self, name: str, size: int) -> None:
            self.legs, self.size, self.name, self.clock = legs[name], size, name, clock

    legs["short"] = (*legs["short"], deliver)
    dropped = []
    for number in range(600):
        name = "short" if number % 10 == 0 else "long"
        dropped += queue.add(Waiting(Idle(name, 65_000), 0.0))  # type: ignore[arg-type]
    assert len(dropped) == 600 - 32 * 1024 * 1024 // 65_000
    assert {each.burst.name for each in dropped} == {"long"}  # type: ignore[attr-defined]


def run(document: dict[str, Any], qdisc: str) -> Replication:
    machine = {"cores": 4, "nic": "50Mbit/s", "qdisc": qdisc, "byte_queue_limit": "2kB"}
    cluster = {**document["cluster"], "machine": machine}
    model, _ = model_of(build({**document, "name": "queues", "cluster": cluster}))
    return run_replication(model, seed=3)


def test_a_run_with_pfifo_fast_is_a_run_without() -> None:
    """While nothing is dropped: one queue is one queue, wherever its parts lie."""
    document = yaml.safe_load((GOLDEN / "scenarios.yaml").read_text())["bridged"]
    plain, queued, fair = (run(document, qdisc) for qdisc in ("unlimited", "pfifo_fast", "fq_codel"))
    assert plain.times["latency"].tolist() == queued.times["latency"].tolist()
    assert queued.events > plain.events  # some waited
    assert len(fair.times["latency"]) > 0


def test_links_with_background_stay_one_queue() -> None:
    document = yaml.safe_load((GOLDEN / "scenarios.yaml").read_text())["sampled"]
    plain, fair = run(document, "unlimited"), run(document, "fq_codel")
    assert plain.times["latency"].tolist() == fair.times["latency"].tolist()
    assert any("one queue without end" in note for note in fair.notes)
    assert not any("one queue without end" in note for note in plain.notes)


def test_nodes_that_fail_lose_what_waits_before_their_cards() -> None:
    document = yaml.safe_load((GOLDEN / "failing.yaml").read_text())
    assert len(run(document, "fq_codel").times["latency"]) > 0
