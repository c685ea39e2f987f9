"""Charts as SVG text, so that a report is one file that opens offline."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

from netsim.report.frame import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# colour-blind safe (Okabe and Ito 2008), dark enough on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLES = ("-", "--", "-.", ":")


def _canvas(width: float = 7.2, height: float = 3.8) -> tuple[Canvas, Axes]:
    from matplotlib.figure import Figure as Canvas

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
    text = buffer.getvalue()
    return re.sub(r"^.*?(?=<svg)", "", text, count=1, flags=re.DOTALL)


def size_chart(frame: Frame, metric: str, stat: str, *, title: str, scale: float, unit: str) -> Canvas:
    """Draw one figure against size, one line a configuration, with intervals as error bars."""
    canvas, axes = _canvas()
    for index, label in enumerate(frame.labels):
        rows = frame.select(metric, stat, label=label)
        if rows.empty:
            continue
        values = rows["value"] * scale
        errors = [
            (rows["value"] - rows["ci_low"]).clip(lower=0).fillna(0) * scale,
            (rows["ci_high"] - rows["value"]).clip(lower=0).fillna(0) * scale,
        ]
        axes.errorbar(
            rows[frame.size], values, yerr=errors, label=label, capsize=2, markersize=4,
            color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)],
            linestyle=STYLES[(index // len(COLOURS)) % len(STYLES)],
        )  # fmt: skip
    sizes = sorted(frame.figures[frame.size].unique())
    if len(sizes) > 2 and sizes[0] > 0 and sizes[-1] / sizes[0] >= 20:
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
    low, high = axes.get_ylim()
    if low > 0 and high / low > 20:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(axis_name(frame.size or ""))
    axes.set_ylabel(f"{title} ({unit})")
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return canvas


def bar_chart(frame: Frame, metric: str, stats: tuple[str, ...], *, title: str, scale: float, unit: str) -> Canvas:
    """Draw the statistics of a metric per configuration where nothing was varied in size."""
    canvas, axes = _canvas(height=0.5 * max(4, len(frame.labels) * len(stats)))
    position, ticks = 0.0, []
    for label in frame.labels:
        for index, stat in enumerate(stats):
            row = frame.at(metric, stat, label, 0)
            if row is None:
                continue
            low, high = max(0.0, row["value"] - row["ci_low"]), max(0.0, row["ci_high"] - row["value"])
            axes.barh(
                position, row["value"] * scale, xerr=[[low * scale], [high * scale]], color=COLOURS[index], capsize=2
            )
            ticks.append((position, f"{label} {stat}"))
            position += 1
        position += 0.5
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{title} ({unit})")
    return canvas


def stacked_chart(rows: list[tuple[str, dict[str, float]]], *, title: str, scale: float, unit: str) -> Canvas:
    """Draw parts of a whole as stacked bars: ``rows`` are (label, part -> value)."""
    canvas, axes = _canvas(height=max(2.4, 0.42 * len(rows) + 1.2))
    parts = list(dict.fromkeys(part for _, values in rows for part in values))
    left = [0.0] * len(rows)
    for index, part in enumerate(parts):
        widths = [values.get(part, 0.0) * scale for _, values in rows]
        axes.barh(
            range(len(rows)), widths, left=left, label=part, color=COLOURS[index % len(COLOURS)],
            hatch=("", "//", "..")[(index // len(COLOURS)) % 3], edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{title} ({unit})")
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return canvas


def axis_name(factor: str) -> str:
    """Name a factor on an axis or in a heading."""
    return {"cluster.nodes": "nodes", "traffic.rate": "rate"}.get(factor, factor)


def chart_time_unit(values: Any) -> tuple[float, str]:
    """Choose the time unit of an axis from its values in seconds: (factor, name)."""
    largest = max((abs(value) for value in values if not math.isnan(value)), default=0.0)
    return (1.0, "s") if largest >= 2 else (1e3, "ms") if largest >= 2e-3 else (1e6, "µs")
