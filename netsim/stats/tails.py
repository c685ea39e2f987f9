"""Rare events that must not vanish in short runs: their probability is computed, the rest is sampled, both combined.

A look-up that loses a datagram stalls for 5 s. At a probability of 1e-5 a run of 2,000 transactions almost never sees
one, yet it decides p99.999 and adds 50 us to the mean. Stratified by whether it happened, the distribution of the whole
is F(x) = (1 - P) F0(x) + P F0(x - d), of which the samples without it carry F0 (Asmussen & Glynn, Stochastic
Simulation, V.7: stratification).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from netsim.stats.quantiles import Samples

RARE = 0.01
"""Above this probability two stalls of one transaction are no longer negligible, and samples see enough of one."""
EXPECTED = 5.0
"""Stalls to expect among all samples from which on they are left to the samples."""


class Stall(NamedTuple):
    """An event of known ``probability`` that adds ``delay_s``, independently of the rest."""

    probability: float
    delay_s: float

    def is_rare(self, samples: int) -> bool:
        """Whether this many samples cannot be trusted to show it."""
        return 0.0 < self.probability <= RARE and self.probability * samples < EXPECTED

    def without(self, samples: Samples) -> Samples:
        """Return the samples in which it did not happen."""
        return samples[samples < self.delay_s]

    def mean(self, value: float) -> float:
        """Return the mean of the whole from that of the samples without it."""
        return value + self.probability * self.delay_s

    def place(self, q: float) -> tuple[float, float]:
        """Return which quantile of the samples without it, and what to add, is the q-quantile of the whole.

        Exact while the samples without it stay below ``delay_s``: the two strata do not overlap then.
        """
        if q <= 1.0 - self.probability:
            return q / (1.0 - self.probability), 0.0
        return (q - (1.0 - self.probability)) / self.probability, self.delay_s


def united(stalls: Sequence[tuple[Stall, float]]) -> Stall:
    """Return the stall of a transaction made of parts: each with how many there are of it; the longest delay."""
    probability = math.fsum(stall.probability * times for stall, times in stalls)
    return Stall(probability, max((stall.delay_s for stall, _ in stalls), default=0.0))
