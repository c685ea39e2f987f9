"""Warm-up: when a run's latencies stop remembering its start, by MSER-5, and what to say when they never do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.stats.quantiles import Samples, sorted_quantile
from netsim.stats.warmup import mser5
from netsim.study.outcome import Edge
from netsim.study.selection import selections

DRIFT_LEVEL = 0.001
"""Two-sided level of the check; low, because every replication of every point is checked."""
DRIFT_SIZE = 0.05
"""A drift smaller than this is of no practical interest, however certain."""
SHORTEST = 40
"""Transactions below which the rule says nothing."""


class Settled(NamedTuple):
    """Transactions that start before ``since_s`` belong to the warm-up; ``notes`` say what is doubtful."""

    since_s: float
    notes: tuple[str, ...]


def settled(edges: Sequence[Edge], edge: NDArray[np.int32], start_s: Samples, latency_s: Samples) -> Settled:
    """Judge the latency of users' transactions in order of their start.

    Latencies are clipped at their own p99 for the judgement only: a single 5 s stall in the first half would otherwise
    make the rule drop everything before it, and the stall with it.
    """
    users = next(iter(selections(edges))).mask(edge)
    latency, start = latency_s[users], start_s[users]
    if len(latency) < SHORTEST:
        return Settled(-np.inf, ())
    warmup = mser5(np.minimum(latency, sorted_quantile(np.sort(latency), 0.99)))
    notes: tuple[str, ...] = ()
    if not warmup.settled:
        notes = ("latency did not settle within half of the run: run longer, or the load exceeds a capacity",)
    elif warmup.drift_p < DRIFT_LEVEL and abs(warmup.drift) > DRIFT_SIZE:
        notes = (f"latency drifts after the warm-up: {warmup.drift:+.0%} from the first to the second half",)
    return Settled(float(start[warmup.dropped]) if warmup.dropped else -np.inf, notes)
