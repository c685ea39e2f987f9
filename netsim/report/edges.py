"""The edges of the traffic in a report: all of them while they can be read, else those that stand out, and the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netsim.report.bottlenecks import largest
from netsim.report.frame import UNANSWERED, Frame, write_interval, write_value
from netsim.report.tables import Rows

if TYPE_CHECKING:
    from netsim.study import StudyResult
    from netsim.study.figures import Figure

READABLE = 12
"""So many edges of a configuration are all listed."""
OUTSTANDING = 4
"""Of more, so many are listed for each reason."""


@dataclass(slots=True)
class _Edge:
    """What was measured of one edge, by metric and statistic."""

    name: str
    figures: dict[tuple[str, str], Figure] = field(default_factory=dict)

    def value(self, metric: str) -> float:
        """Return a mean, 0 where it was not measured."""
        figure = self.figures.get((metric, "mean"))
        return 0.0 if figure is None else figure.estimate.value

    @property
    def unanswered(self) -> float:
        """Share of its transactions that failed or were under way at the end."""
        return math.fsum(self.value(metric) for metric in UNANSWERED)

    def surely(self, metric: str) -> float:
        """Return what a mean is at least, 0 where unknown: one of few transactions may be large by chance."""
        figure = self.figures.get((metric, "mean"))
        low = math.nan if figure is None else figure.estimate.interval().low
        return 0.0 if math.isnan(low) else low

    def cell(self, metric: str, stat: str) -> str:
        """Write a figure with its interval."""
        figure = self.figures.get((metric, stat))
        if figure is None:
            return "–"
        value, low, high, _ = figure.estimate.interval()
        return write_interval({"value": value, "ci_low": low, "ci_high": high, "unit": figure.key.unit})


_REASONS: Mapping[str, Callable[[_Edge], float]] = {
    "unanswered": lambda edge: edge.unanswered,
    "slow": lambda edge: edge.surely("latency"),
    "busy": lambda edge: edge.surely("throughput"),
}
"""What makes an edge stand out, and by how much it does."""


def edge_rows(result: StudyResult, frame: Frame) -> Rows:
    """Return the edges of every configuration at its largest size; none where the scenario's figures say it all.

    Of more than `READABLE` edges those are listed that leave most unanswered, that are surely slowest, and that surely
    carry most. The rest is one row: its range of latencies, its throughput together, its largest share without answer.
    """
    rows = [
        [where, *row]
        for where, index in largest(result, frame)
        for row in _rows_of(_edges(result.summaries[index].figures))
    ]
    return ["configuration", "edge", "stands out as", "latency, mean", "p99", "throughput", "unanswered"], rows


def _edges(figures: Sequence[Figure]) -> list[_Edge]:
    found: dict[str, _Edge] = {}
    for figure in figures:
        if figure.key.scope == "edge":
            edge = found.setdefault(figure.key.name, _Edge(figure.key.name))
            edge.figures[figure.key.metric, figure.key.stat] = figure
    return list(found.values())


def _rows_of(edges: Sequence[_Edge]) -> Iterator[list[str]]:
    if len(edges) < 2:
        return
    if len(edges) <= READABLE:
        yield from (_row(edge, "") for edge in edges)
        return
    reasons = _outstanding(edges)
    yield from (_row(edges[index], ", ".join(names)) for index, names in reasons.items())
    yield _rest([edge for index, edge in enumerate(edges) if index not in reasons])


def _outstanding(edges: Sequence[_Edge]) -> dict[int, list[str]]:
    """Return which edges stand out, and as what, in the order of the reasons."""
    found: dict[int, list[str]] = {}
    for name, measure in _REASONS.items():
        sizes = [measure(edge) for edge in edges]
        order = sorted(range(len(edges)), key=lambda index: -sizes[index])
        for index in order[:OUTSTANDING]:
            if sizes[index] > 0.0:
                found.setdefault(index, []).append(name)
    return found


def _row(edge: _Edge, reason: str) -> list[str]:
    return [
        edge.name, reason, edge.cell("latency", "mean"), edge.cell("latency", "p99"), edge.cell("throughput", "mean"),
        write_value(edge.unanswered, "1", "failed"),
    ]  # fmt: skip


def _rest(edges: Sequence[_Edge]) -> list[str]:
    means = [edge.value("latency") for edge in edges if ("latency", "mean") in edge.figures]
    spread = f"{write_value(min(means), 's')} to {write_value(max(means), 's')}" if means else "–"
    carried = math.fsum(edge.value("throughput") for edge in edges)
    most = max(edge.unanswered for edge in edges)
    return [f"{len(edges):,} others", "", spread, "", write_value(carried, "1/s"), write_value(most, "1", "failed")]
