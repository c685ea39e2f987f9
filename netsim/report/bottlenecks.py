"""Tables of a report that say why: parts of the time, growth with size, Kubernetes' own indicators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netsim.analysis.bottleneck import Part, time_split
from netsim.analysis.growth import FLAT, Growth, growth, growth_of_parts
from netsim.analysis.indicators import indicators
from netsim.errors import InputError
from netsim.report.frame import Frame, write_width
from netsim.report.tables import Rows
from netsim.stats.estimates import Interval
from netsim.units import format_seconds

if TYPE_CHECKING:
    from netsim.study import StudyResult

BANDS = ("mean", "p99")
MOST_PARTS = 8
MUCH = 0.05
"""Waiting at a station is drawn by itself from this share of the latency on."""


def split_rows(result: StudyResult, frame: Frame) -> Rows:
    """Return what a transaction's time is made of, in the mean and at p99, for every configuration at its largest."""
    rows = [
        [where, stat, part.key.phase, part.key.what, _seconds(part.seconds), f"{part.share:.0%}"]
        for where, index in largest(result, frame)
        for stat in BANDS
        for part in time_split(result.runs[index].values(), stat=stat)[:MOST_PARTS]
        if part.seconds.value > 0.0
    ]
    return ["configuration", "of", "phase", "part", "time", "share"], rows


def part_bars(result: StudyResult, frame: Frame) -> list[tuple[str, dict[str, float]]]:
    """Return seconds by kind of part of every configuration at its largest, among transactions at p50 and at p99.

    Waiting is told apart by station where that is much; what is little is one part.
    """
    bars = []
    for where, index in largest(result, frame):
        for stat in ("p50", "p99"):
            parts = time_split(result.runs[index].values(), stat=stat)
            if parts:
                bars.append((f"{where}, {stat}", _bar(parts)))
    return bars


def _bar(parts: Sequence[Part]) -> dict[str, float]:
    waits: dict[str, float] = {}
    for part in parts:
        if part.key.kind == "wait":
            waits[part.key.what] = waits.get(part.key.what, 0.0) + part.share
    bar: dict[str, float] = {}
    for part in parts:
        if part.key.kind != "wait":
            label = part.key.what if part.key.part == "application" else part.key.kind
        else:
            label = part.key.what if waits[part.key.what] >= MUCH else "other waiting"
        bar[label] = bar.get(label, 0.0) + part.seconds.value
    return bar


def largest(result: StudyResult, frame: Frame) -> Iterator[tuple[str, int]]:
    """Yield every configuration with the index of its point of the largest size that was measured."""
    last: dict[str, tuple[float, int]] = {}
    for index in result.runs:
        levels = dict(result.points[index].levels)
        size = 0.0 if frame.size is None else float(str(levels.pop(frame.size)))
        name = ", ".join(str(value) for value in levels.values()) or "this cluster"
        if name not in last or size > last[name][0]:
            last[name] = size, index
    for name, (size, index) in last.items():
        yield (f"{name} at {size:g}" if frame.size is not None else name), index


def growth_rows(result: StudyResult, frame: Frame) -> Rows:
    """Return exponents of growth with size, configuration by configuration; no rows where no size was varied."""
    rows = []
    if frame.size is not None:
        for levels in _series(result, frame.size):
            where = ", ".join(str(value) for value in levels.values())
            for found in _grown(result, frame.size, levels):
                overall, last = (_exponent(interval) for interval in (found.overall, found.last))
                rows.append([where, found.name, overall, last, found.order])
    columns = ["configuration", "what", "exponent over all sizes", "over the last step", "in words"]
    return columns, rows


def _series(result: StudyResult, size: str) -> Iterator[Mapping[str, Any]]:
    seen = []
    for point in result.points:
        levels = {key: value for key, value in point.levels.items() if key != size}
        if levels not in seen:
            seen.append(levels)
            yield levels


def _grown(result: StudyResult, size: str, levels: Mapping[str, Any]) -> Iterator[Growth]:
    for metric, stat in (("latency", "p99"), ("latency", "mean")):
        try:
            yield growth(result, metric, stat, over=size, where=levels)
        except InputError:  # not measured at two sizes: nothing to say about its growth
            continue
    moving = [*growth_of_parts(result, over=size, where=levels), *_hops(result, size, levels)]
    yield from [found for found in moving if found.last.value >= FLAT][:MOST_PARTS]


def _hops(result: StudyResult, size: str, levels: Mapping[str, Any]) -> list[Growth]:
    """Return how the work of each hop grows, the dearest first."""
    names = {figure.key.name: None for each in result.summaries.values() for figure in each.figures
             if figure.key.scope == "hop" and figure.key.metric == "hop_time"}  # fmt: skip
    found = []
    for name in names:
        try:
            found.append(growth(result, "hop_time", "mean", over=size, where=levels, scope="hop", name=name))
        except InputError:  # a hop that this configuration does not cross, or that takes no time
            continue
    return sorted(found, key=lambda each: (-each.values[-1], each.name))


def indicator_rows(result: StudyResult, frame: Frame) -> Rows:
    """Return Kubernetes' service-level indicators of every configuration at its largest size."""
    rows = []
    for where, index in largest(result, frame):
        for item in indicators(result, index):
            objective = "no figure in the SLO" if item.objective_s is None else f"≤ {format_seconds(item.objective_s)}"
            verdict = {True: "met", False: "missed", None: ""}[item.met]
            rows.append([where, item.name, _seconds(item.p99_s), objective, verdict])
    return ["configuration", "indicator", "p99", "objective", ""], rows


def _seconds(interval: Interval) -> str:
    if math.isnan(interval.value):
        return "–"
    text = format_seconds(interval.value)
    width = interval.relative_half_width
    return text if not 0.0 < width < math.inf else f"{text} {write_width(width)}"


def _exponent(interval: Interval) -> str:
    value, low, high, _ = interval
    return f"{value:.2f}" if math.isnan(low) else f"{value:.2f} ({low:.2f} to {high:.2f})"
