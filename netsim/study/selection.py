"""Which transactions a figure speaks about, and which quantiles are reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.scenario.spec import Scenario, parse_objective
from netsim.stats.quantiles import parse_quantile
from netsim.study.outcome import Edge

STANDARD_QUANTILES = (0.5, 0.9, 0.99)


class Selection(NamedTuple):
    """A scope and name of the tables, and the edges it covers (indices)."""

    scope: str
    name: str
    edges: tuple[int, ...]

    def mask(self, edge: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which of the transactions belong to the selection."""
        return np.isin(edge, self.edges)


def selections(edges: Sequence[Edge]) -> Iterator[Selection]:
    """Yield the whole scenario (transactions of users), every edge, and every service called over its edges."""
    yield Selection("scenario", "", tuple(i for i, edge in enumerate(edges) if edge.top))
    for index, edge in enumerate(edges):
        yield Selection("edge", edge.name, (index,))
    for service in dict.fromkeys(edge.service for edge in edges if edge.service):
        yield Selection("service", service, tuple(i for i, edge in enumerate(edges) if edge.service == service))


def quantiles_of(scenario: Scenario) -> tuple[float, ...]:
    """Return the quantiles to report: p50, p90, p99 and those the objectives name, ascending."""
    named = {parse_objective(text).statistic for text in scenario.slo}
    asked = [parse_quantile(statistic) for statistic in sorted(named) if statistic.startswith("p")]
    return tuple(sorted({*STANDARD_QUANTILES, *asked}))
