"""Hand-made sides of comparisons."""

from __future__ import annotations

import math
from dataclasses import replace

from netsim.analysis.side import BandKey, FigureKey, Levels, Recorded, Side

NAN = math.nan
DOCUMENT = {"name": "toy", "cluster": {"synthetic": {"nodes": 4}}, "run": {"seed": 1}}


def key(
    metric: str = "latency", stat: str = "mean", *, scope: str = "scenario", name: str = "", levels: Levels = ()
) -> FigureKey:
    return FigureKey(levels, scope, name, metric, stat)


def recorded(*values: float, unit: str = "s", value: float | None = None, errors: float = NAN) -> Recorded:
    mean = math.fsum(values) / len(values) if value is None else value
    return Recorded(mean, unit, tuple(range(len(values))), values, (errors,) * len(values))


def side(figures: dict[FigureKey, Recorded], **changes: object) -> Side:
    made = Side(
        label="a",
        figures=figures,
        parts={},
        reasons={},
        scenario=DOCUMENT,
        seed=1,
        versions={"netsim": "1", "model": "m"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def band(stat: str = "p99", name: str = "", scope: str = "scenario") -> BandKey:
    return BandKey((), scope, name, stat)
