"""The figures of a study arranged for reading: which factor is the x axis, which configurations are the lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netsim.units import format_bps, format_seconds

if TYPE_CHECKING:
    import pandas as pd

    from netsim.study import StudyResult

SHARES = frozenset({"failed", "unfinished", "loss", "utilization", "conntrack"})
UNANSWERED = ("failed", "unfinished")
CARRIED = 0.01
"""A point carries its load when no more than this share of transactions stays without an answer.

Beyond, latencies are those of the few that got through, and say little.
"""


@dataclass(frozen=True)
class Frame:
    """Figures with their factors told apart.

    ``size`` is the factor on the x axis (``cluster.nodes`` when it was swept, else the first numeric factor, else
    ``None``); ``series`` are the other factors, whose combinations are the lines of every chart.
    """

    figures: pd.DataFrame
    factors: tuple[str, ...]
    size: str | None
    telling: tuple[str, ...]
    """Factors besides size that have more than one level: what names a configuration."""

    @classmethod
    def of(cls, figures: pd.DataFrame, points: Sequence[Mapping[str, Any]]) -> Frame:
        """Arrange a tidy figures table; ``points`` are the levels of all points, also of those without figures."""
        factors = tuple(points[0]) if points else ()
        levels = {factor: dict.fromkeys(point[factor] for point in points) for factor in factors}
        varied = [factor for factor in factors if len(levels[factor]) > 1]
        size = (
            "cluster.nodes" if "cluster.nodes" in varied else next(filter(lambda f: _numeric(levels[f]), varied), None)
        )
        return cls(figures, factors, size, tuple(factor for factor in varied if factor != size))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the compared configurations, in the order of the sweep."""
        return tuple(dict.fromkeys(self.label(point) for point in self.points))

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """The measured combinations of levels, in the order of the sweep."""
        if not self.factors:
            return [{}]
        rows = self.figures[list(self.factors)].drop_duplicates().to_dict("records")
        return [{str(key): value for key, value in row.items()} for row in rows]

    def label(self, point: Mapping[Any, Any]) -> str:
        """Name a configuration by its levels (only factors with more than one level speak)."""
        return " · ".join(str(point[factor]) for factor in self.telling) or "this cluster"

    def select(self, metric: str, stat: str, scope: str = "scenario", label: str | None = None) -> pd.DataFrame:
        """Return the rows of one figure, sorted by size, optionally of one configuration."""
        table = self.figures
        chosen = table[(table["metric"] == metric) & (table["stat"] == stat) & (table["scope"] == scope)]
        if scope == "scenario":
            chosen = chosen[chosen["name"] == ""]
        if label is not None and self.factors:
            chosen = chosen.loc[[self.label(row) == label for row in chosen[list(self.factors)].to_dict("records")]]
        return chosen.sort_values(self.size, kind="stable") if self.size is not None else chosen

    def at(self, metric: str, stat: str, label: str, position: int, scope: str = "scenario") -> dict[str, Any] | None:
        """Return one row: the smallest (0) or largest (-1) size of a configuration; ``None`` when absent."""
        rows = self.select(metric, stat, scope, label)
        return None if rows.empty else dict(rows.iloc[position])

    def of_point(self, point: Mapping[str, Any]) -> Frame:
        """Return the figures of one point."""
        chosen = self.figures
        for factor in self.factors:
            chosen = chosen[chosen[factor] == point[factor]]
        return Frame(chosen, self.factors, self.size, self.telling)

    def unanswered(self, point: Mapping[str, Any]) -> float:
        """Return the share of a point's transactions that failed or were still under way at the end."""
        one = self.of_point(point)
        return math.fsum(float(value) for metric in UNANSWERED for value in one.select(metric, "mean")["value"])

    @cached_property
    def beyond(self) -> list[dict[str, Any]]:
        """The points that do not carry their load."""
        return [point for point in self.points if self.unanswered(point) > CARRIED]

    @cached_property
    def carried(self) -> Frame:
        """The points that carry their load; all when none does."""
        if not self.beyond or len(self.beyond) == len(self.points):
            return self
        keys = {tuple(point[factor] for factor in self.factors) for point in self.beyond}
        rows = self.figures[list(self.factors)].itertuples(index=False, name=None)
        return Frame(self.figures[[row not in keys for row in rows]], self.factors, self.size, self.telling)


def _numeric(levels: Iterable[object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in levels)


def frame_of(result: StudyResult) -> Frame:
    """Arrange the figures of a study."""
    return Frame.of(result.figures, [point.levels for point in result.points])


def write_value(value: float, unit: str, metric: str = "") -> str:
    """Write a figure for people."""
    if math.isnan(value):  # not enough samples to state it
        return "–"
    if metric in SHARES:
        return "0" if value == 0 else f"{value:.2%}" if abs(value) < 0.1 else f"{value:.0%}"
    if unit == "s":
        return format_seconds(value)
    if unit in ("bit/s", "bps"):
        return format_bps(value)
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return digits if unit in ("1", "") else f"{digits}{unit.removeprefix('1')}" if unit == "1/s" else f"{digits} {unit}"


def write_interval(row: Mapping[str, Any]) -> str:
    """Write a figure with its 95 % interval as ``2.31 ms ±4 %``."""
    text = write_value(float(row["value"]), str(row["unit"]), str(row.get("metric", "")))
    low, high, value = float(row["ci_low"]), float(row["ci_high"]), float(row["value"])
    if not value or math.isnan(low) or math.isnan(high):
        return text
    return f"{text} {write_width((high - low) / 2 / abs(value))}"


def write_width(relative: float) -> str:
    """Write the relative half width of an interval as ``±4 %``."""
    return "±>100 %" if relative >= 0.995 else f"±{relative * 100:.2g} %"


def size_name(factor: str) -> str:
    """Name a factor on an axis or in a heading."""
    return {"cluster.nodes": "nodes", "traffic.rate": "rate"}.get(factor, factor)


def write_size(factor: str, value: Any) -> str:
    """Write a size with its name: ``5,000 nodes``, ``dns.workers = 2``."""
    name = size_name(factor)
    return f"{value:,} nodes" if name == "nodes" else f"{name} = {value}"
