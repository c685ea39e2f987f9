"""Adaptive interrupt moderation: later interrupts under load, none by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_steering import asked

from netsim.datapath.costs import load_profile
from netsim.datapath.nic import MODERATED, held_back_ns
from netsim.engine.kernel.moderation import WINDOW_S, Moderation
from netsim.engine.queueing.burst import Burst, Notice, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.stations import Core, CoreCharge
from netsim.engine.run import run_replication
from netsim.study.runner import model_of

PRICES = load_profile("server").prices()
STEP_NS = PRICES["nic.moderation_adaptive"]


def test_interrupts_come_later_with_the_load_up_to_one_step() -> None:
    assert held_back_ns(0.0, PRICES) == 0.0
    assert held_back_ns(MODERATED / 2, PRICES) == pytest.approx(STEP_NS / 2)
    assert held_back_ns(0.9, PRICES) == STEP_NS


@pytest.mark.parametrize("load", [0.06, 0.15, 0.5])
def test_a_packet_that_finds_the_core_idle_waits_by_the_load_before(load: float) -> None:
    clock, core = Clock(), Core("core")
    leg = Moderation(core, core.softirq, PRICES).softirq
    service = on_grid(1e-6)
    took: list[float] = []

    def come(now: float) -> None:
        Burst(clock, (leg, deliver), (CoreCharge(service), None), 0, lambda end: took.append(end - now) and None)

    gap = on_grid(service / load)
    for number in range(int(3 * WINDOW_S / gap)):
        Notice(clock, number * gap, come)
    clock.run()
    assert took[0] == service
    late = [each - service for each in took[len(took) * 2 // 3 :]]
    expected = held_back_ns(load, PRICES) * 1e-9
    if gap > expected + service:  # every packet finds the core idle
        assert sum(late) / len(late) == pytest.approx(expected, rel=0.05)
    assert max(late) == pytest.approx(expected, rel=0.05)


def test_round_trips_beside_a_flood_take_longer_where_cards_adapt(tmp_path: Path) -> None:
    def latency(**machine: Any) -> float:
        edge = {"request": "100B", "response": "100B", "kind": "udp", "rate": "20000/s"}
        found = run_replication(model_of(asked(tmp_path, 4, edge, **machine))[0])
        return float(found.times["latency"].mean())

    light, adaptive = latency(), latency(moderation="adaptive")
    assert light == latency(moderation="light")
    assert light < adaptive < light + 2 * STEP_NS * 1e-9
