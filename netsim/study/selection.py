"""Which transactions a figure speaks about, and which quantiles are reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.scenario.objectives import parse_objective
from netsim.scenario.spec import Scenario
from netsim.stats.quantiles import parse_quantile
from netsim.study.outcome import Edge

STANDARD_QUANTILES = (0.5, 0.9, 0.99)
GOLDEN = 0.6180339887498949
"""Multiples of the golden section fill the unit interval evenly (Weyl): where counting starts, edge by edge."""


class Selection(NamedTuple):
    """A scope and name of the tables, and the edges it covers (indices).

    ``counted`` is, for each of these edges, the part of its transactions that belongs to the selection.
    """

    scope: str
    name: str
    edges: tuple[int, ...]
    counted: tuple[float, ...]

    def mask(self, edge: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which of the transactions, in order of their start, belong to the selection."""
        found = np.isin(edge, self.edges)
        if any(part < 1.0 for part in self.counted):
            _thin(found, edge, self.edges, self.counted)
        return found


def _thin(found: NDArray[np.bool_], edge: NDArray[np.int32], edges: Sequence[int], counted: Sequence[float]) -> None:
    """Take from the transactions of every edge all but an evenly spaced part, the first at a place of its own."""
    parts = dict(zip(edges, counted, strict=True))
    present, which = np.unique(edge, return_inverse=True)
    order = np.argsort(which, kind="stable")
    for index, own in zip(present.tolist(), np.split(order, np.cumsum(np.bincount(which))[:-1]), strict=True):
        part = parts.get(index, 1.0)
        if part < 1.0:
            passed = np.arange(len(own) + 1) * part + index * GOLDEN % 1.0
            found[own] &= np.diff(np.floor(passed)) > 0.0


def selections(edges: Sequence[Edge]) -> Iterator[Selection]:
    """Yield the whole scenario (transactions of users), every edge, and every service called over its edges."""
    yield _pooled("scenario", "", edges, [i for i, edge in enumerate(edges) if edge.top])
    for index, edge in enumerate(edges):
        yield Selection("edge", edge.name, (index,), (1.0,))
    services: dict[str, list[int]] = {}
    for index, edge in enumerate(edges):
        if edge.service:
            services.setdefault(edge.service, []).append(index)
    for service, calling in services.items():
        yield _pooled("service", service, edges, calling)


def _pooled(scope: str, name: str, edges: Sequence[Edge], chosen: Sequence[int]) -> Selection:
    return Selection(scope, name, tuple(chosen), tuple(edges[index].counted for index in chosen))


def quantiles_of(scenario: Scenario) -> tuple[float, ...]:
    """Return the quantiles to report: p50, p90, p99 and those the objectives name, ascending."""
    named = {parse_objective(text).statistic for text in scenario.slo}
    asked = [parse_quantile(statistic) for statistic in sorted(named) if statistic.startswith("p")]
    return tuple(sorted({*STANDARD_QUANTILES, *asked}))
