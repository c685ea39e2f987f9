"""Rare stalls of look-ups in the figures of a point: whom they concern, and whether the samples show them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netsim.stats.estimates import exact_mean
from netsim.stats.quantiles import Samples
from netsim.stats.tails import Stall, united
from netsim.study.outcome import Measured
from netsim.study.selection import Selection

NONE = Stall(0.0, 0.0)


class Stalls:
    """The stalls of one point's edges, from what its replications computed (``dns`` ``stall_probability``).

    ``notes`` say where figures hold computed stalls, once `of` has been asked.
    """

    def __init__(self, runs: Mapping[int, Measured]) -> None:
        self._edges = next(iter(runs.values())).edges if runs else ()
        self._stalls = [_stall(edge.name, runs) for edge in self._edges]
        self._lookups = [_lookups(index, runs) for index in range(len(self._edges))]
        self.notes: tuple[str, ...] = ()

    def of(self, selection: Selection, metric: str, series: Mapping[int, Samples]) -> Stall:
        """Return the stall to compute into the figures of a selection; of probability 0 where samples show it."""
        if metric not in ("latency", "dns") or not any(stall.probability for stall in self._stalls):
            return NONE
        indices = set(selection.edges)
        if metric == "latency":
            indices |= {i for i in range(len(self._edges)) if any(self._inside(i, edge) for edge in selection.edges)}
        samples = sum(len(each) for each in series.values())
        counted = [1.0 if selection.scope == "edge" else edge.counted for edge in self._edges]
        lookups = [number * part for number, part in zip(self._lookups, counted, strict=True)]
        stall = united([(self._stalls[index], lookups[index] / samples) for index in sorted(indices)])
        if not stall.is_rare(samples) or any(not len(stall.without(each)) for each in series.values()):
            return NONE
        self.notes = (
            f"stalls of {stall.delay_s:g} s after a lost DNS datagram (dns stall_probability) are too rare for so few "
            "samples: means and quantiles of latency and dns hold them as computed, maxima as seen",
        )
        return stall

    def _inside(self, index: int, outer: int) -> bool:
        return self._edges[index].name.startswith(f"{self._edges[outer].name}/")


def _lookups(index: int, runs: Mapping[int, Measured]) -> int:
    """Return how many recorded transactions of an edge looked a name up."""
    return sum(
        int(np.count_nonzero(~np.isnan(run.times["dns"][run.edge == index]))) for run in runs.values()
        if "dns" in run.times
    )  # fmt: skip


def _stall(name: str, runs: Mapping[int, Measured]) -> Stall:
    """Return the mean of what those replications computed in which the edge looked names up."""
    found: dict[str, list[float]] = {}
    for run in runs.values():
        for scalar in run.scalars:
            if (scalar.scope, scalar.name, scalar.metric) == ("edge", name, "dns"):
                found.setdefault(scalar.stat, []).append(scalar.value)
    probabilities = found.get("stall_probability", [])
    return Stall(exact_mean(probabilities) if probabilities else 0.0, exact_mean(found.get("stall_time", [0.0])))
