"""The figure of an experiment: one value of its sweep against one factor, a line for each combination of the others."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.claims import Drawing, named
from netsim.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")  # Okabe and Ito
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SCALES = {"s": ((1.0, "s"), (1e3, "ms"), (1e6, "µs")), "bit/s": ((1e-9, "Gbit/s"), (1e-6, "Mbit/s"))}

Series = list[tuple[Any, float, float, float]]
"""Level of the factor, value, low and high end of its interval."""


def draw(drawing: Drawing, study: StudyResult) -> str:
    """Return the figure as SVG; the same study gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    series, unit = _series(drawing, study)
    scale, shown = _scale(unit, max(value for line in series.values() for _, value, _, _ in line))
    canvas = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = canvas.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, alpha=0.25)
    levels = list(dict.fromkeys(level for line in series.values() for level, *_ in line))
    place = {level: number for number, level in enumerate(levels)}
    for number, (label, line) in enumerate(series.items()):
        values = [value * scale for _, value, _, _ in line]
        errors = [[max(0.0, (value - low) * scale) for _, value, low, _ in line],
                  [max(0.0, (high - value) * scale) for _, value, _, high in line]]  # fmt: skip
        look = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        axes.errorbar([place[level] for level, *_ in line], values, yerr=errors, label=label, capsize=2,
                      linestyle="-" if number < len(COLOURS) else "--", markersize=4, **look)  # fmt: skip
    axes.set_xticks(range(len(levels)), [_written(level) for level in levels])
    axes.set_xlabel(drawing.over)
    axes.set_ylabel(f"{drawing.title} ({shown})")
    _stretch(axes, [value for line in series.values() for _, value, _, _ in line])
    if len(series) > 1:
        axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "netsim", "svg.fonttype": "none"}):
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), count=1, flags=re.DOTALL)


def _series(drawing: Drawing, study: StudyResult) -> tuple[dict[str, Series], str]:
    scope, name, metric, stat = named(drawing.of)
    found: dict[str, Series] = {}
    unit = ""
    for index in study.summaries:
        levels = study.points[index].levels
        figure = study.figure(metric, stat, scope=scope, name=name, point=index)
        value, low, high, _ = figure.estimate.interval()
        unit = figure.key.unit
        others = {key: level for key, level in levels.items() if key != drawing.over}
        row = (levels[drawing.over], value, value if low != low else low, value if high != high else high)  # noqa: PLR0124 - NaN
        found.setdefault(_label(others, study), []).append(row)
    return found, unit


def _label(levels: Mapping[str, Any], study: StudyResult) -> str:
    """Name a line by the factors that vary; plugins and proxies speak for themselves, others with their key."""
    telling = [key for key in levels if len({str(point.levels[key]) for point in study.points}) > 1]
    own = ("network.plugin", "network.proxy", "dns.corefile")
    parts = [
        _written(levels[key]) if key in own else f"{key.rpartition('.')[2]} {_written(levels[key])}" for key in telling
    ]
    return ", ".join(parts) or "this cluster"


def _written(level: Any) -> str:
    return f"{level:,}" if isinstance(level, int) and not isinstance(level, bool) else str(level)


def _scale(unit: str, largest: float) -> tuple[float, str]:
    return next(((factor, name) for factor, name in SCALES.get(unit, ()) if largest * factor >= 1.0), (1.0, unit))


def _stretch(axes: Axes, values: Sequence[float]) -> None:
    """Use a logarithmic axis where values span more than a factor of 20, else one from zero."""
    if min(values) > 0.0 and max(values) / min(values) > 20.0:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
