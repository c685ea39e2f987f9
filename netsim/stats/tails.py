"""Rare events that must not vanish in short runs: strata of known probability, sampled apart and combined.

A DNS query that loses its datagram stalls for 5 s. At a loss of 10⁻⁵ a run of 2,000 transactions almost never sees one,
yet it decides p99.999 and adds 50 µs to the mean. The probability of each stratum is computed, the distribution
inside it sampled; both combine to the distribution of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netsim.stats.estimates import Estimate, from_replications
from netsim.stats.quantiles import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """Samples taken given that an event of known ``probability`` happened."""

    probability: float
    samples: Samples


def _checked(strata: Sequence[Stratum]) -> None:
    total = math.fsum(stratum.probability for stratum in strata)
    if not math.isclose(total, 1.0, rel_tol=0.0, abs_tol=1e-9):
        raise ValueError(f"the strata's probabilities add up to {total}, not 1")
    for stratum in strata:
        if stratum.probability > 0.0 and len(stratum.samples) == 0:
            raise ValueError(f"a stratum of probability {stratum.probability} has no samples")


def stratified_mean(strata: Sequence[Stratum]) -> Estimate:
    """Estimate the mean: Σ p·mean, with variance Σ p²·s²/n (independent samples within a stratum).

    A stratum of a single sample contributes no variance; give every stratum at least two.
    """
    _checked(strata)
    inner = [(s.probability, from_replications(s.samples.tolist())) for s in strata if s.probability > 0.0]
    value = math.fsum(p * e.value for p, e in inner)
    variance = math.fsum((p * e.se) ** 2 for p, e in inner if e.df > 0)
    df = min((e.df for _, e in inner if e.df > 0), default=0)
    return Estimate(value, math.sqrt(variance), df, sum(len(s.samples) for s in strata), 1)


def stratified_quantile(strata: Sequence[Stratum], q: float) -> float:
    """Return the q-quantile of the mixture: the smallest value at which Σ p·F reaches q.

    Every sample carries its stratum's probability divided by the stratum's size. A quantile deeper in the tail than
    any stratum's samples reach is the largest of them; `tail_support` tells how deep they carry.
    """
    _checked(strata)
    used = [s for s in strata if s.probability > 0.0]
    values = np.concatenate([s.samples for s in used])
    weights = np.concatenate([np.full(len(s.samples), s.probability / len(s.samples)) for s in used])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    at = int(np.searchsorted(reached, q - 1e-12, side="left"))
    return float(values[order][min(at, len(values) - 1)])


def tail_support(strata: Sequence[Stratum]) -> float:
    """Return the smallest exceedance probability the samples resolve: the least weight of a sample."""
    return min(s.probability / len(s.samples) for s in strata if s.probability > 0.0)


def with_stall(samples: Samples, probability: float, delay_s: float) -> tuple[Stratum, Stratum]:
    """Build the strata of a transaction delayed by ``delay_s`` with ``probability``, independently of the rest."""
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"not a probability: {probability}")
    return Stratum(1.0 - probability, samples), Stratum(probability, samples + delay_s)
