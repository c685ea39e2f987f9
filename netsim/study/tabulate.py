"""The tables of a study: tidy, one fact a row, point columns first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from netsim.stats.estimates import Estimate, exact_mean
from netsim.study.figures import SECTIONS, PointFigures
from netsim.study.outcome import HopTime, Measured, PartTime
from netsim.study.points import Point
from netsim.study.tables import Cell, Table

FIGURE_COLUMNS = (
    "scope", "name", "metric", "stat", "value", "unit", "ci_low", "ci_high", "n_samples", "n_replications",
)  # fmt: skip
REPLICATION_COLUMNS = (
    "replication", "seed", "scope", "name", "metric", "stat", "value", "unit", "ci_low", "ci_high", "n_samples", "se",
)  # fmt: skip
HOP_COLUMNS = ("edge", "hop", "station", "seconds", "crossings", "rules")
PART_COLUMNS = ("scope", "name", "band", "part", "seconds", "n_samples")

Summaries = Sequence[tuple[Point, PointFigures]]
Runs = Sequence[tuple[Point, Mapping[int, Measured]]]


def figures_table(keys: Sequence[str], summaries: Summaries) -> Table:
    """One row a point, scope, name, metric and statistic, with a 95 % interval."""
    rows: list[tuple[Cell, ...]] = []
    for point, summary in summaries:
        levels = tuple(point.levels[key] for key in keys)
        for key, estimate, *_ in summary.figures:
            interval = estimate.interval()
            rows.append(
                (
                    *levels, *key[:4], estimate.value, key.unit, interval.low, interval.high, estimate.n_samples,
                    estimate.n_replications,
                )
            )  # fmt: skip
    return Table.from_rows((*keys, *FIGURE_COLUMNS), rows)


def replications_table(keys: Sequence[str], summaries: Summaries, seed: int) -> Table:
    """Every replication's own figures.

    A quantile is the order statistic of that replication's samples alone, however few; whether all replications
    together carry it, the figures say. ``se`` and the interval come from stretches within the replication.
    """
    rows: list[tuple[Cell, ...]] = []
    for point, summary in summaries:
        levels = tuple(point.levels[key] for key in keys)
        for figure in summary.figures:
            scope, name, metric, stat, unit = figure.key
            columns = (figure.replications, figure.values, figure.errors, figure.samples)
            for replication, value, se, n in zip(*columns, strict=True):
                df = 0 if math.isnan(se) else SECTIONS - 1
                interval = Estimate(value, se, df, n, 1).interval()
                rows.append(
                    (
                        *levels, replication, seed, scope, name, metric, stat, value, unit, interval.low, interval.high,
                        n, se,
                    )
                )  # fmt: skip
    return Table.from_rows((*keys, *REPLICATION_COLUMNS), rows)


def hops_table(keys: Sequence[str], runs: Runs) -> Table:
    """Work per transaction of every hop at its station, by edge: means over replications."""
    rows: list[tuple[Cell, ...]] = []
    for point, measured in runs:
        levels = tuple(point.levels[key] for key in keys)
        rows += [(*levels, *hop) for hop in mean_hops(hop for run in measured.values() for hop in run.hops)]
    return Table.from_rows((*keys, *HOP_COLUMNS), rows)


def parts_table(keys: Sequence[str], runs: Runs) -> Table:
    """Where the latency of a mean or quantile goes: means over replications, weighted by their transactions."""
    rows: list[tuple[Cell, ...]] = []
    for point, measured in runs:
        levels = tuple(point.levels[key] for key in keys)
        rows += [(*levels, *part) for part in mean_parts(part for run in measured.values() for part in run.parts)]
    return Table.from_rows((*keys, *PART_COLUMNS), rows)


def mean_parts(parts: Iterable[PartTime]) -> list[PartTime]:
    """Join the parts of several replications into one row each, weighted by their transactions."""
    found: dict[tuple[str, str, str, str], list[PartTime]] = {}
    for part in parts:
        found.setdefault((part.scope, part.name, part.band, part.part), []).append(part)
    joined = []
    for (scope, name, band, label), same in found.items():
        n = sum(part.n_samples for part in same)
        seconds = math.fsum(part.seconds * part.n_samples for part in same) / n
        joined.append(PartTime(scope, name, band, label, seconds, n))
    return joined


def mean_hops(hops: Iterable[HopTime]) -> list[HopTime]:
    """Join the hops of several replications into one row each."""
    found: dict[tuple[str, str, str], list[HopTime]] = {}
    for hop in hops:
        found.setdefault((hop.edge, hop.hop, hop.station), []).append(hop)
    return [
        HopTime(
            *place,
            seconds=exact_mean([hop.seconds for hop in same]),
            crossings=exact_mean([hop.crossings for hop in same]),
            rules=exact_mean([hop.rules for hop in same]),
        )
        for place, same in found.items()
    ]
