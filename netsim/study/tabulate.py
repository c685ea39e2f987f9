"""The tables of a study: tidy, one fact a row, point columns first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from netsim.stats.estimates import Estimate, Interval, exact_mean, from_replications
from netsim.study.figures import SECTIONS, PointFigures
from netsim.study.outcome import HopTime, Measured, PartKey, PartTime
from netsim.study.points import Point
from netsim.study.tables import Cell, Table

FIGURE_COLUMNS = (
    "scope", "name", "metric", "stat", "value", "unit", "ci_low", "ci_high", "n_samples", "n_replications",
)  # fmt: skip
REPLICATION_COLUMNS = (
    "replication", "seed", "scope", "name", "metric", "stat", "value", "unit", "ci_low", "ci_high", "n_samples", "se",
)  # fmt: skip
HOP_COLUMNS = ("edge", "hop", "station", "seconds", "crossings", "rules")
PART_COLUMNS = (
    "scope", "name", "phase", "kind", "part", "band", "mean_s", "share", "ci_low", "ci_high", "n_samples",
)  # fmt: skip

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
    """Where the latency of means and quantiles goes: means over replications, largest first in every band.

    ``share`` is of the band's latency; the interval is that of the mean over replications.
    """
    rows: list[tuple[Cell, ...]] = []
    for point, measured in runs:
        levels = tuple(point.levels[key] for key in keys)
        for (scope, name, band), parts in parts_by_band([run.parts for run in measured.values()]).items():
            total = math.fsum(part.seconds.value for part in parts)
            rows += [
                (
                    *levels, scope, name, *part.key, band, part.seconds.value,
                    part.seconds.value / total if total else 0.0, part.seconds.low, part.seconds.high, part.n_samples,
                )
                for part in parts
            ]  # fmt: skip
    return Table.from_rows((*keys, *PART_COLUMNS), rows)


class MeanPart(NamedTuple):
    """A part of a band over all replications."""

    key: PartKey
    seconds: Interval
    n_samples: int


Band = tuple[str, str, str]
"""Scope, name and band."""


def parts_by_band(replications: Sequence[Iterable[PartTime]]) -> dict[Band, list[MeanPart]]:
    """Join the parts of several replications, the largest of every band first.

    Replications weigh alike, as for means of other figures; one that lacks a part spent no time in it.
    """
    samples: dict[Band, dict[int, int]] = {}
    found: dict[Band, dict[tuple[str, str, str], dict[int, float]]] = {}
    for number, parts in enumerate(replications):
        for scope, name, band, phase, kind, part, seconds, n_samples in parts:
            place = (scope, name, band)
            samples.setdefault(place, {})[number] = n_samples
            found.setdefault(place, {}).setdefault((phase, kind, part), {})[number] = seconds
    return {place: _joined(parts, samples[place]) for place, parts in found.items()}


def parts_of(runs: Iterable[Measured], place: Band) -> list[MeanPart]:
    """Join the parts of one band alone, the largest first; none where it has none."""
    return parts_by_band([[part for part in run.parts if part[:3] == place] for run in runs]).get(place, [])


def _joined(parts: Mapping[tuple[str, str, str], Mapping[int, float]], samples: Mapping[int, int]) -> list[MeanPart]:
    means = [_mean_part(PartKey(*key), own, samples) for key, own in parts.items()]
    return sorted(means, key=lambda part: (-part.seconds.value, part.key))


def _mean_part(key: PartKey, own: Mapping[int, float], samples: Mapping[int, int]) -> MeanPart:
    estimate = from_replications([own.get(number, 0.0) for number in samples])
    return MeanPart(key, estimate.interval(), sum(samples.values()))


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
