"""Interrupts before threads: a core against the formula of the M/G/1 queue with preemptive-resume priority."""

from __future__ import annotations

import numpy as np
from scipy import stats
from test_queues import CONFIDENCE, interval, outside

from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Core, CoreCharge
from netsim.engine.randomness.streams import Streams

SEEDS = range(1, 26)
MOST_MISSES = int(stats.binom.ppf(0.999, len(SEEDS), 1.0 - CONFIDENCE))
SPAN_S = 110_000
URGENT, PATIENT = (0.4, 0.75), (0.3, 1.0)
"""Rate and mean work of both classes: a load of 0.3 each."""


class Arrivals:
    """Bursts of one class, one event each."""

    def __init__(self, clock: Clock, core: Core, streams: Streams, name: str, load: tuple[float, float]) -> None:
        self.clock, self.leg = clock, getattr(core, name)
        count = int(load[0] * SPAN_S)
        self.times = np.cumsum(streams.exponential(f"{name}/arrivals", 1.0 / load[0]).take(count)).tolist()
        self.works = streams.exponential(f"{name}/work", load[1]).take(count).tolist()
        self.sojourns: list[float] = []
        clock.at(self.times[0], self.advance)
        self.index = 0

    def advance(self, now: float) -> float | None:
        index, self.index = self.index, self.index + 1
        charges = CoreCharge(self.works[index]), None
        Burst(self.clock, (self.leg, deliver), charges, 0, lambda end: self.sojourns.append(end - now))
        return self.times[self.index] if self.index < len(self.times) else None


def test_preemptive_resume_priority() -> None:
    """Time in system of class k: E[S_k] / (1 - σ_k-1) + Σ_i≤k λ_i E[S_i²] / (2 (1 - σ_k-1) (1 - σ_k)).

    Source: Kleinrock, Queueing Systems II (1976), section 3.4; σ is the load of the classes up to k.
    """
    (rate_1, mean_1), (rate_2, mean_2) = URGENT, PATIENT
    load_1, load_2 = rate_1 * mean_1, rate_1 * mean_1 + rate_2 * mean_2
    residual_1 = rate_1 * 2.0 * mean_1**2 / 2.0
    residual_2 = residual_1 + rate_2 * 2.0 * mean_2**2 / 2.0
    expected = {
        "softirq": mean_1 + residual_1 / (1.0 - load_1),
        "thread": mean_2 / (1.0 - load_1) + residual_2 / ((1.0 - load_1) * (1.0 - load_2)),
    }
    found: dict[str, list[tuple[float, float]]] = {"softirq": [], "thread": []}
    for seed in SEEDS:
        clock, core = Clock(), Core("core")
        classes = {
            name: Arrivals(clock, core, Streams(seed), name, load)
            for name, load in (("softirq", URGENT), ("thread", PATIENT))
        }
        clock.run()
        for name, each in classes.items():
            found[name].append(interval(np.array(each.sojourns)))
    for name, rows in found.items():
        assert outside(rows, expected[name]) <= MOST_MISSES
