"""Prediction intervals for readers: what the costs' ranges make of the figures, and which costs matter most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from netsim.report import charts
from netsim.report.frame import write_value
from netsim.report.tables import Rows

if TYPE_CHECKING:
    from netsim.report.canvas import Canvas
    from netsim.study import StudyResult

SHOWN = ("latency", "connect", "dns", "request", "throughput", "goodput", "loss", "failed")


def _records(result: StudyResult, name: str) -> Iterator[Mapping[str, Any]]:
    table = result.tables.get(name)
    if table is not None:
        for values in zip(*table.columns.values(), strict=True):
            yield dict(zip(table.columns, values, strict=True))


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _figures(result: StudyResult) -> list[Mapping[str, Any]]:
    """Return the scenario's own figures that have a prediction interval."""
    return [
        row
        for row in _records(result, "uncertainty")
        if row["scope"] == "scenario" and row["metric"] in SHOWN and row["stat"] != "max"
        and not _missing(row["prediction_low"])
    ]  # fmt: skip


def prediction_rows(result: StudyResult) -> Rows:
    """Return the table of prediction intervals: a row a figure, the simulation's interval beside."""
    rows = [
        [
            f"{row['metric']} {row['stat']}",
            _written(row, "value"),
            "" if _missing(row["ci_low"]) else f"{_written(row, 'ci_low')} to {_written(row, 'ci_high')}",
            f"{_written(row, 'prediction_low')} to {_written(row, 'prediction_high')}",
        ]
        for row in _figures(result)
    ]
    return ["figure", "value", "simulation, 95 %", "prediction, 90 %"], rows


def _written(row: Mapping[str, Any], column: str) -> str:
    return write_value(float(row[column]), str(row["unit"]), str(row["metric"]))


def influence_rows(result: StudyResult) -> Rows:
    """Return the costs that the headline figures depend on most."""
    rows = [
        [f"{row['metric']} {row['stat']}", row["cost"], *(f"{row[key]:.1%}" for key in ("share", "low", "high"))]
        for row in _records(result, "influence")
    ]
    return ["figure", "cost", "share of the spread", "at its low end", "at its high end"], rows


def sureness(result: StudyResult) -> tuple[str, ...]:
    """Return the prediction interval of the first headline figure and its costs, as a sentence, if there are draws."""
    costs = list(_records(result, "influence"))
    if not costs:
        return ()
    metric, stat = costs[0]["metric"], costs[0]["stat"]
    row = next((row for row in _figures(result) if (row["metric"], row["stat"]) == (metric, stat)), None)
    if row is None:
        return ()
    own = [cost for cost in costs if (cost["metric"], cost["stat"]) == (metric, stat)]
    named = ", ".join(f"{cost['cost']} ({cost['low']:+.0%} to {cost['high']:+.0%})" for cost in own)
    low, high = _written(row, "prediction_low"), _written(row, "prediction_high")
    return (f"Costs, known within ranges, put {metric} {stat} between {low} and {high} (90 %); it moves with {named}.",)


def tornado(result: StudyResult) -> Canvas | None:
    """Draw how far the first headline figure moves with each of its costs; None without draws."""
    costs = list(_records(result, "influence"))
    if not costs:
        return None
    metric, stat = costs[0]["metric"], costs[0]["stat"]
    bars = [(c["cost"], c["low"], c["high"]) for c in costs if (c["metric"], c["stat"]) == (metric, stat)]
    return charts.tornado_chart(bars, title=f"{metric} {stat}")
