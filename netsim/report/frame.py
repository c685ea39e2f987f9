"""The figures of a study arranged for reading: which factor is the x axis, which configurations are the lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netsim.units import format_bps, format_seconds

if TYPE_CHECKING:
    import pandas as pd

FIGURE_COLUMNS = (
    "scope", "name", "metric", "stat", "value", "unit", "ci_low", "ci_high", "n_samples", "n_replications",
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """Figures with their factors told apart.

    ``size`` is the factor on the x axis (``cluster.nodes`` when it was swept, else the first numeric factor, else
    ``None``); ``series`` are the other factors, whose combinations are the lines of every chart.
    """

    figures: pd.DataFrame
    factors: tuple[str, ...]
    size: str | None

    @classmethod
    def of(cls, figures: pd.DataFrame) -> Frame:
        """Arrange a tidy figures table."""
        factors = tuple(str(column) for column in figures.columns if column not in FIGURE_COLUMNS)
        varied = tuple(factor for factor in factors if figures[factor].nunique(dropna=False) > 1)
        size = "cluster.nodes" if "cluster.nodes" in varied else None
        if size is None:
            size = next((factor for factor in varied if _numeric(figures[factor])), None)
        return cls(figures, factors, size)

    @cached_property
    def series(self) -> tuple[str, ...]:
        """Factors whose combinations are compared."""
        return tuple(factor for factor in self.factors if factor != self.size)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the compared configurations, in the order of the sweep."""
        return tuple(dict.fromkeys(self.label(row) for row in self._points))

    @cached_property
    def _points(self) -> list[dict[str, Any]]:
        if not self.factors:
            return [{}]
        rows = self.figures[list(self.factors)].drop_duplicates().to_dict("records")
        return [{str(key): value for key, value in row.items()} for row in rows]

    def label(self, point: Mapping[Any, Any]) -> str:
        """Name a configuration by its levels (only factors with more than one level speak)."""
        telling = [factor for factor in self.series if self.figures[factor].nunique(dropna=False) > 1]
        return " · ".join(str(point[factor]) for factor in telling) or "this cluster"

    def select(self, metric: str, stat: str, scope: str = "scenario", label: str | None = None) -> pd.DataFrame:
        """Return the rows of one figure, sorted by size, optionally of one configuration."""
        table = self.figures
        chosen = table[(table["metric"] == metric) & (table["stat"] == stat) & (table["scope"] == scope)]
        if label is not None and self.factors and not chosen.empty:
            keep = [self.label(row) == label for row in chosen[list(self.factors)].to_dict("records")]
            chosen = chosen[keep]
        return chosen.sort_values(self.size, kind="stable") if self.size is not None else chosen

    def at(self, metric: str, stat: str, label: str, position: int, scope: str = "scenario") -> dict[str, Any] | None:
        """Return one row: the smallest (0) or largest (-1) size of a configuration; ``None`` when absent."""
        rows = self.select(metric, stat, scope, label)
        return None if rows.empty else dict(rows.iloc[position])


def _numeric(column: pd.Series) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in column)


def write_value(value: float, unit: str) -> str:
    """Write a figure for people."""
    if math.isnan(value):  # not enough samples to state it
        return "–"
    if unit == "s":
        return format_seconds(value)
    if unit in ("bit/s", "bps"):
        return format_bps(value)
    if unit in ("1", "ratio", "share", ""):
        return f"{value:.3g}" if abs(value) >= 0.1 or value == 0 else f"{value * 100:.2g} %"
    if unit == "/s":
        return f"{value:,.4g}/s"
    return f"{value:,.4g} {unit}"


def write_interval(row: dict[str, Any]) -> str:
    """Write a figure with its 95 % interval as ``2.31 ms ±4 %``."""
    text = write_value(float(row["value"]), str(row["unit"]))
    low, high, value = float(row["ci_low"]), float(row["ci_high"]), float(row["value"])
    if not value or math.isnan(low) or math.isnan(high):
        return text
    return f"{text} ±{(high - low) / 2 / abs(value) * 100:.2g} %"
