"""Charts as SVG text, so that a report is one file that opens offline."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.report.frame import Frame, size_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from netsim.report.canvas import Canvas

# colour-blind safe (Okabe and Ito 2008), dark enough on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLES = ("-", "--", "-.", ":")
WIDE_RATIO = 20
"""Axes become logarithmic when their values differ by more than this."""


class Scale(NamedTuple):
    """The unit of an axis: its values are SI values times ``factor``."""

    factor: float
    unit: str


def scale_of(values: Iterable[float], unit: str) -> Scale:
    """Choose the unit of an axis from its SI values."""
    largest = max((abs(value) for value in values if not math.isnan(value)), default=0.0)
    if unit == "s":
        return Scale(1.0, "s") if largest >= 2 else Scale(1e3, "ms") if largest >= 2e-3 else Scale(1e6, "µs")
    if unit == "bit/s":
        return Scale(1e-9, "Gbit/s") if largest >= 2e9 else Scale(1e-6, "Mbit/s")
    return Scale(1.0, unit)


def _canvas(width: float = 6.0, height: float = 3.6) -> tuple[Canvas, Axes]:
    from netsim.report.canvas import Canvas

    canvas = Canvas(figsize=(width, height), layout="constrained")
    axes = canvas.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, alpha=0.25)
    return canvas, axes


def to_svg(canvas: Canvas) -> str:
    """Write a canvas as SVG without date and with stable ids: same figures, same bytes."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "netsim", "svg.fonttype": "none"}):
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), count=1, flags=re.DOTALL)


def _look(index: int) -> dict[str, Any]:
    """Return how the line of a configuration looks, by its position among all."""
    style = STYLES[(index // len(COLOURS)) % len(STYLES)]
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)], "linestyle": style}


def legend(labels: Sequence[str]) -> Canvas:
    """Draw the key of configurations by itself, for charts side by side."""
    from matplotlib.lines import Line2D

    from netsim.report.canvas import Canvas

    columns = min(4, len(labels))
    canvas = Canvas(figsize=(12.0, 0.28 * math.ceil(len(labels) / columns) + 0.1))
    lines = [Line2D([], [], label=label, markersize=5, **_look(index)) for index, label in enumerate(labels)]
    canvas.legend(handles=lines, loc="center", ncols=columns, frameon=False, fontsize=10)
    return canvas


def size_chart(shown: Frame, frame: Frame, metric: str, stat: str, *, title: str, key: bool = False) -> Canvas:
    """Draw one figure against size, one line a configuration, with intervals as error bars.

    Parameters
    ----------
    shown: the points to draw.
    frame: all points; its order of configurations gives the colours.
    metric, stat: the figure. title: what stands at the axis. key: with a legend.
    """
    canvas, axes = _canvas(7.6 if key else 6.0)
    rows = shown.select(metric, stat)
    scale = scale_of(rows["value"], str(rows["unit"].iloc[0]))
    for index, label in enumerate(frame.labels):
        rows = shown.select(metric, stat, label=label)
        rows = rows[rows["value"].notna()]
        if rows.empty:
            continue
        errors = [
            (rows["value"] - rows["ci_low"]).clip(lower=0).fillna(0) * scale.factor,
            (rows["ci_high"] - rows["value"]).clip(lower=0).fillna(0) * scale.factor,
        ]
        axes.errorbar(
            rows[frame.size], rows["value"] * scale.factor, yerr=errors, label=label, capsize=2, markersize=5,
            elinewidth=0.8, **_look(index),
        )  # fmt: skip
    values = shown.select(metric, stat)["value"].dropna() * scale.factor
    _set_axes(axes, sorted(shown.figures[frame.size].unique()), values.min(), values.max())
    axes.set_xlabel(size_name(frame.size or ""))
    axes.set_ylabel(f"{title} ({scale.unit})")
    if key:
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return canvas


def _set_axes(axes: Axes, sizes: Sequence[float], low: float, high: float) -> None:
    """Scale both axes to the values; an interval wider than the chart is cut rather than flattening the rest."""
    if len(sizes) > 2 and sizes[0] > 0 and sizes[-1] / sizes[0] >= WIDE_RATIO:
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
    elif len(sizes) < 8:
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    if low > 0 and high / low > WIDE_RATIO:
        axes.set_yscale("log")
        axes.set_ylim(low / 2, high * 2)
    elif high > 0:
        axes.set_ylim(0, high * 1.25)


def bar_chart(frame: Frame, metric: str, stats: Sequence[str], *, title: str) -> Canvas:
    """Draw the statistics of a metric per configuration where nothing was varied in size."""
    rows = [(label, stat, frame.at(metric, stat, label, 0)) for label in frame.labels for stat in stats]
    found = [(label, stat, row) for label, stat, row in rows if row is not None and not math.isnan(row["value"])]
    scale = scale_of([row["value"] for *_, row in found], str(found[0][2]["unit"]) if found else "s")
    canvas, axes = _canvas(8.0, 0.32 * len(found) + 1.2)
    for position, (_, stat, row) in enumerate(found):
        errors = [[max(0.0, (row["value"] - row["ci_low"]) * scale.factor)],
                  [max(0.0, (row["ci_high"] - row["value"]) * scale.factor)]]  # fmt: skip
        axes.barh(
            position, row["value"] * scale.factor, xerr=[[0.0 if math.isnan(e[0]) else e[0]] for e in errors],
            color=COLOURS[list(stats).index(stat)], capsize=2,
        )  # fmt: skip
    names = [stat if len(frame.labels) == 1 else f"{label} {stat}" for label, stat, _ in found]
    axes.set_yticks(range(len(found)), names, fontsize=9)
    axes.set_xlim(0, max((row["value"] for *_, row in found), default=1.0) * scale.factor * 1.25)
    axes.invert_yaxis()
    axes.set_xlabel(f"{title} ({scale.unit})")
    return canvas


def stacked_chart(rows: Sequence[tuple[str, Mapping[str, float]]], *, title: str) -> Canvas:
    """Draw parts of a whole, in seconds, as stacked bars: ``rows`` are (label, part -> value)."""
    scale = scale_of([math.fsum(values.values()) for _, values in rows], "s")
    canvas, axes = _canvas(11.0, max(2.8, 0.36 * len(rows) + 1.4))
    left = [0.0] * len(rows)
    for index, part in enumerate(dict.fromkeys(part for _, values in rows for part in values)):
        widths = [values.get(part, 0.0) * scale.factor for _, values in rows]
        axes.barh(
            range(len(rows)), widths, left=left, label=part, color=COLOURS[index % len(COLOURS)],
            hatch=("", "//", "..")[(index // len(COLOURS)) % 3], edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(f"{title} ({scale.unit})")
    axes.legend(fontsize=9, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return canvas


def tornado_chart(bars: Sequence[tuple[str, float, float]], *, title: str) -> Canvas:
    """Draw how far an answer moves with each cost: ``bars`` are (cost, change at its low end, at its high end)."""
    canvas, axes = _canvas(8.0, 0.4 * len(bars) + 1.2)
    for position, (_, low, high) in enumerate(bars):
        for change, index, name in ((low, 0, "low end of the cost"), (high, 1, "high end")):
            axes.barh(position, change * 100, color=COLOURS[index], label=name if position == 0 else None)
    axes.axvline(0.0, color="#1b1f24", linewidth=0.8)
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(f"change of {title} (%)")
    axes.legend(fontsize=8, frameon=False, loc="best")
    return canvas
