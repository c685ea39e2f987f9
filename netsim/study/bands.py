"""Parts of the latency, by bands of transactions: what a mean or a quantile is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.stats.quantiles import Samples, quantile_name
from netsim.study.outcome import Edge, PartKey, PartTime
from netsim.study.selection import Selection, selections

ALL = "all"
"""The band of all transactions."""
FARTHEST = 0.999
"""This quantile's band is kept too where `FEWEST` transactions lie in it."""
FEWEST = 5
SAME_PHASE = {"calls": "request"}
"""Phases that the recorded times of transactions do not tell from another."""


@dataclass(frozen=True, slots=True, eq=False)
class Breakdown:
    """Where recorded transactions spent their latency.

    ``seconds[i, j]`` is what transaction ``rows[i]`` (an index into the transactions) spent in ``parts[j]`` on its
    critical path; a row adds up to that transaction's latency. ``weight`` is the inverse of the chance that such a
    transaction was kept, so means over kept ones speak for all.
    """

    parts: tuple[PartKey, ...]
    rows: NDArray[np.int64]
    seconds: NDArray[np.float64]
    weight: NDArray[np.float64]


def band_of(stat: str) -> str:
    """Return the band of transactions that a statistic speaks of."""
    return ALL if stat == "mean" else stat


def band_limits(q: float) -> tuple[float, float]:
    """Return the ranks between which a transaction counts as "at" the q-quantile: p98.5 to p99.5 for p99.

    Half of the distance to the nearer end, at most two points: enough transactions for a mean, all of them alike.
    """
    half = min((1.0 - q) / 2.0, q / 2.0, 0.02)
    return q - half, q + half


def part_times(
    breakdown: Breakdown,
    *,
    edges: Sequence[Edge],
    edge: NDArray[np.int32],
    times: Mapping[str, Samples],
    quantiles: Sequence[float],
) -> tuple[PartTime, ...]:
    """Average the breakdown over the bands of the scenario and of every edge.

    What a band spends in each phase is known of all its transactions, the parts of a phase of the kept ones only; so
    the parts are scaled to the phase they make up (a ratio estimate, Cochran 1977, chapter 6), and the parts of a band
    add up to its mean latency exactly. Bands without kept transactions are left out.
    """
    return tuple(
        row
        for selection in selections(edges)
        if selection.scope != "service"
        for row in _parts_of(selection, breakdown, edge, times, quantiles)
    )


def _parts_of(
    selection: Selection, breakdown: Breakdown, edge: NDArray[np.int32], times: Mapping[str, Samples],
    quantiles: Sequence[float],
) -> Iterator[PartTime]:  # fmt: skip
    mask = selection.mask(edge)
    if not mask.any():
        return
    latency = times["latency"]
    order = np.sort(latency[mask])
    yield from _band(selection, ALL, breakdown, mask, times)
    far = (FARTHEST,) if len(order) * (1.0 - FARTHEST) >= FEWEST and FARTHEST not in quantiles else ()
    for q in (*quantiles, *far):
        ranks = (np.array(band_limits(q)) * (len(order) - 1)).round().astype(np.int64)
        low, high = order[ranks]
        yield from _band(selection, quantile_name(q), breakdown, mask & (latency >= low) & (latency <= high), times)


def _band(
    selection: Selection, band: str, breakdown: Breakdown, inside: NDArray[np.bool_], times: Mapping[str, Samples]
) -> Iterator[PartTime]:
    kept = inside[breakdown.rows]
    n = int(np.count_nonzero(kept))
    if n == 0:
        return
    weight = breakdown.weight[kept]
    means = (breakdown.seconds[kept] * weight[:, None]).sum(axis=0) / weight.sum()
    phases = np.array([SAME_PHASE.get(key.phase, key.phase) for key in breakdown.parts])
    for phase in dict.fromkeys([*times, *phases.tolist()]):
        own = phases == phase
        known, seen = float(np.nan_to_num(times[phase][inside]).mean()) if phase in times else 0.0, means[own].sum()
        if seen > 0.0:
            means[own] *= known / seen
        elif known > 0.0 and phase != "latency":
            yield PartTime(selection.scope, selection.name, band, phase, "other", "not sampled", known, n)
    for key, seconds in zip(breakdown.parts, means.tolist(), strict=True):
        if seconds > 0.0:
            yield PartTime(selection.scope, selection.name, band, *key, seconds, n)
