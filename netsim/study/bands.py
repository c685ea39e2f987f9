"""Parts of the latency, by bands of transactions: what a mean or a quantile is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.stats.quantiles import Samples, quantile_name
from netsim.study.outcome import Edge, PartTime
from netsim.study.selection import selections


@dataclass(frozen=True, slots=True, eq=False)
class Breakdown:
    """Where recorded transactions spent their latency.

    ``seconds[i, j]`` is what transaction ``rows[i]`` (an index into the transactions) spent in ``parts[j]`` on its
    critical path; a row adds up to that transaction's latency. ``weight`` is the inverse of the chance that such a
    transaction was kept, so means over kept ones speak for all.
    """

    parts: tuple[str, ...]
    rows: NDArray[np.int64]
    seconds: NDArray[np.float64]
    weight: NDArray[np.float64]


PHASES = ("dns", "connect", "request")
"""Phases of a transaction that follow each other; together they are its latency."""


def by_phase(times: Mapping[str, Samples]) -> Breakdown:
    """Break every transaction down into its phases; one it did not have took no time."""
    phases = tuple(phase for phase in PHASES if phase in times)
    seconds = np.nan_to_num(np.stack([times[phase] for phase in phases], axis=1), nan=0.0)
    count = len(seconds)
    return Breakdown(phases, np.arange(count), seconds, np.ones(count))


def band_limits(q: float) -> tuple[float, float]:
    """Return the ranks between which a transaction counts as "at" the q-quantile: p98.5 to p99.5 for p99.

    Half of the distance to the nearer end, at most one point: enough transactions for a mean, all of them alike.
    """
    half = min((1.0 - q) / 2.0, q / 2.0, 0.01)
    return q - half, q + half


def part_times(
    breakdown: Breakdown,
    *,
    edges: Sequence[Edge],
    edge: NDArray[np.int32],
    latency_s: Samples,
    quantiles: Sequence[float],
) -> tuple[PartTime, ...]:
    """Average the breakdown over every scope's bands; bands that hold no broken-down transaction are left out."""
    return tuple(_part_times(breakdown, edges, edge, latency_s, quantiles))


def _part_times(
    breakdown: Breakdown,
    edges: Sequence[Edge],
    edge: NDArray[np.int32],
    latency_s: Samples,
    quantiles: Sequence[float],
) -> Iterator[PartTime]:
    kept_latency, kept_edge = latency_s[breakdown.rows], edge[breakdown.rows]
    for selection in selections(edges):
        chosen = np.sort(latency_s[selection.mask(edge)])
        if not len(chosen):
            continue
        inside = selection.mask(kept_edge)
        yield from _band(breakdown, inside, selection.scope, selection.name, "mean")
        for q in quantiles:
            ranks = (np.array(band_limits(q)) * (len(chosen) - 1)).round().astype(np.int64)
            low, high = chosen[ranks]
            band = inside & (kept_latency >= low) & (kept_latency <= high)
            yield from _band(breakdown, band, selection.scope, selection.name, quantile_name(q))


def _band(breakdown: Breakdown, inside: NDArray[np.bool_], scope: str, name: str, band: str) -> Iterator[PartTime]:
    n = int(np.count_nonzero(inside))
    if n == 0:
        return
    weight = breakdown.weight[inside]
    means = (breakdown.seconds[inside] * weight[:, None]).sum(axis=0) / weight.sum()
    for part, seconds in zip(breakdown.parts, means.tolist(), strict=True):
        yield PartTime(scope, name, band, part, seconds, n)
