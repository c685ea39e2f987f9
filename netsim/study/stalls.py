"""Rare stalls of look-ups in the figures of a point: whom they concern, and whether the samples show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from netsim.stats.estimates import exact_mean
from netsim.stats.quantiles import Samples
from netsim.stats.tails import Stall, united
from netsim.study.outcome import Edge, Measured
from netsim.study.selection import Selection

NONE = Stall(0.0, 0.0)


class Stalls:
    """The stalls of one point's edges, from what its replications computed (``dns`` ``stall_probability``).

    ``notes`` say where figures hold computed stalls, once `of` has been asked.
    """

    def __init__(self, runs: Mapping[int, Measured]) -> None:
        self._edges = next(iter(runs.values())).edges if runs else ()
        self._stalls = _stalls(self._edges, runs)
        self._any = any(stall.probability for stall in self._stalls)
        self._lookups = _lookups(len(self._edges), runs) if self._any else ()
        self._inner = _inner(self._edges) if self._any else {}
        self.notes: tuple[str, ...] = ()

    def of(self, selection: Selection, metric: str, series: Mapping[int, Samples]) -> Stall:
        """Return the stall to compute into the figures of a selection; of probability 0 where samples show it."""
        if metric not in ("latency", "dns") or not self._any:
            return NONE
        indices = set(selection.edges)
        if metric == "latency":
            indices.update(inner for edge in selection.edges for inner in self._inner.get(edge, ()))
        samples = sum(len(each) for each in series.values())
        stall = united(
            [(self._stalls[index], self._counted(index, selection) / samples) for index in sorted(indices)]
        )
        if not stall.is_rare(samples) or any(not len(stall.without(each)) for each in series.values()):
            return NONE
        self.notes = (
            f"stalls of {stall.delay_s:g} s after a lost DNS datagram (dns stall_probability) are too rare for so few "
            "samples: means and quantiles of latency and dns hold them as computed, maxima as seen",
        )
        return stall

    def _counted(self, index: int, selection: Selection) -> float:
        """Return the look-ups of an edge that figures of the selection count."""
        return self._lookups[index] * (1.0 if selection.scope == "edge" else self._edges[index].counted)


def _inner(edges: Sequence[Edge]) -> Mapping[int, Sequence[int]]:
    """Return the edges that are made while another is answered, at any depth, by that one: ``a/b`` and ``a/b/c``."""
    places = {edge.name: index for index, edge in enumerate(edges)}
    found: dict[int, list[int]] = {}
    for index, edge in enumerate(edges):
        for length, letter in enumerate(edge.name):
            outer = places.get(edge.name[:length]) if letter == "/" else None
            if outer is not None:
                found.setdefault(outer, []).append(index)
    return found


def _lookups(edges: int, runs: Mapping[int, Measured]) -> Sequence[int]:
    """Return how many recorded transactions of each edge looked a name up."""
    counts = np.zeros(edges, dtype=np.int64)
    for run in runs.values():
        if "dns" in run.times:
            counts += np.bincount(run.edge[~np.isnan(run.times["dns"])], minlength=edges)
    return [int(count) for count in counts]


def _stalls(edges: Sequence[Edge], runs: Mapping[int, Measured]) -> Sequence[Stall]:
    """Return the mean, edge by edge, of what those replications computed in which it looked names up."""
    found: dict[tuple[str, str], list[float]] = {}
    for run in runs.values():
        for scalar in run.scalars:
            if (scalar.scope, scalar.metric) == ("edge", "dns"):
                found.setdefault((scalar.name, scalar.stat), []).append(scalar.value)
    return [
        Stall(
            exact_mean(found.get((edge.name, "stall_probability"), [0.0])),
            exact_mean(found.get((edge.name, "stall_time"), [0.0])),
        )
        for edge in edges
    ]
