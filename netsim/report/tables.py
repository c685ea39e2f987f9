"""The tables of a report: what stands in their rows, and how they are written."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netsim.report.frame import UNANSWERED, Frame, frame_of, size_name, write_interval, write_size, write_value
from netsim.report.objectives import Judged, judge

if TYPE_CHECKING:
    from netsim.study import StudyResult

Rows = tuple[list[str], list[list[str]]]
TableWriter = Callable[[Sequence[str], Sequence[Sequence[str]]], str]

MAIN_FIGURES = (
    ("latency", "p50", "p50"), ("latency", "p90", "p90"), ("latency", "p99", "p99"), ("dns", "mean", "DNS, mean"),
    ("throughput_per_pod", "mean", "per client pod"), ("throughput", "mean", "throughput"),
)  # fmt: skip
STATIONS_EACH = 3
HOPS_DRAWN = 9
REST = "all others"


def summary_rows(result: StudyResult) -> Rows:
    """Return the main table: a row a point, its quantiles and throughput with intervals."""
    frame = frame_of(result)
    present = [item for item in MAIN_FIGURES if not frame.figures.empty and not frame.select(*item[:2]).empty]
    rows = []
    for index in result.summaries:
        levels = result.points[index].levels
        cells = [_cell(result, index, metric, stat) for metric, stat, _ in present]
        rows.append([*(str(value) for value in levels.values()), *cells, _unanswered(result, index)])
    return [
        *(size_name(key).rpartition(".")[2] for key in frame.factors),
        *(t for *_, t in present),
        "unanswered",
    ], rows


def _cell(result: StudyResult, index: int, metric: str, stat: str) -> str:
    try:
        figure = result.figure(metric, stat, point=index)
    except KeyError:
        return "–"
    interval = figure.estimate.interval()
    return write_interval(
        {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high, "unit": figure.key.unit}
    )


def _unanswered(result: StudyResult, index: int) -> str:
    total = 0.0
    for metric in UNANSWERED:
        try:
            total += result.figure(metric, "mean", point=index).estimate.value
        except KeyError:
            continue
    return write_value(total, "1", "failed")


def objective_rows(result: StudyResult, frame: Frame) -> Rows:
    """Return the verdict on every objective: a row a configuration, a column a size."""
    size = frame.size
    sizes = list(dict.fromkeys(point.levels[size] for point in result.points)) if size else [""]
    cells: dict[tuple[str, str], dict[Any, str]] = {}
    for item in judge(result):
        row = cells.setdefault((frame.label(item.point), item.objective.text), {})
        row[item.point[size] if size else ""] = _verdict(item)
    rows = [[label, text, *(row.get(at, "") for at in sizes)] for (label, text), row in cells.items()]
    heads = [write_size(size, at) for at in sizes] if size else ["verdict"]
    return ["configuration", "objective", *heads], rows


def _verdict(item: Judged) -> str:
    metric = item.objective.metric
    unit = {"throughput": "1/s", "goodput": "bit/s"}.get(metric, "s")
    return item.verdict if item.value is None else f"{item.verdict}: {write_value(item.value, unit, metric)}"


# ------------------------------------------------------------------------------------------------ hops and stations


def hop_values(frame: Frame) -> list[tuple[str, dict[str, float]]]:
    """Return (configuration, hop -> seconds a transaction) at the largest size each configuration carries."""
    found = []
    for label in frame.carried.labels:
        rows = frame.carried.select("hop_time", "mean", "hop", label)
        if rows.empty:
            continue
        name = label
        if frame.size is not None:
            largest = rows[frame.size].max()
            rows, name = rows[rows[frame.size] == largest], f"{label}, {write_size(frame.size, largest)}"
        pairs = zip(rows["name"], rows["value"], strict=True)
        found.append((name, {str(hop): float(value) for hop, value in pairs if value > 0.0}))
    return found


def main_hops(values: list[tuple[str, dict[str, float]]]) -> list[tuple[str, dict[str, float]]]:
    """Join all but the dearest hops into one, for a drawing that can be read."""
    shown = _dearest(values)[:HOPS_DRAWN]
    return [
        (
            label,
            {hop: row[hop] for hop in shown if hop in row}
            | {REST: sum(value for hop, value in sorted(row.items()) if hop not in shown)},
        )
        for label, row in values
    ]


def _dearest(values: list[tuple[str, dict[str, float]]]) -> list[str]:
    hops = dict.fromkeys(hop for _, row in values for hop in row)
    return sorted(hops, key=lambda hop: -max(row.get(hop, 0.0) for _, row in values))


def hop_rows(values: list[tuple[str, dict[str, float]]]) -> Rows:
    """Return the time per hop: a row a hop, the dearest first, a column a configuration."""
    rows = [[hop, *(write_value(row[hop], "s") if hop in row else "" for _, row in values)] for hop in _dearest(values)]
    return ["hop", *(label for label, _ in values)], rows


def station_rows(frame: Frame) -> Rows:
    """Return the busiest stations of every configuration at its largest size."""
    rows = []
    for label in frame.labels:
        busy = frame.select("utilization", "mean", "station", label)
        queue = frame.select("queue", "mean", "station", label)
        if frame.size is not None and not busy.empty:
            largest = busy[frame.size].max()
            busy, queue = busy[busy[frame.size] == largest], queue[queue[frame.size] == largest]
        waiting = dict(zip(queue["name"], queue["value"], strict=True))
        for row in busy.sort_values("value", ascending=False, kind="stable").head(STATIONS_EACH).to_dict("records"):
            where = [write_size(frame.size, row[frame.size])] if frame.size else []
            load = write_value(float(row["value"]), "1", "utilization")
            rows.append([label, *where, str(row["name"]), load, f"{waiting.get(row['name'], 0.0):.3g}"])
    return ["configuration", *(["size"] if frame.size else []), "station", "load", "bursts there, mean"], rows


# ------------------------------------------------------------------------------------------------ writers


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as HTML; columns of numbers are set to the right."""
    if not rows:
        return "<p>nothing to show</p>"
    numeric = [
        all(not row[i] or row[i][0].isdigit() or row[i][0] in "–-." for row in rows) for i in range(len(columns))
    ]
    classes = [' class="number"' if flag else "" for flag in numeric]
    head = "".join(f"<th{kind}>{html.escape(name)}</th>" for kind, name in zip(classes, columns, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(classes, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as Markdown."""
    if not rows:
        return "nothing to show\n"
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def by_configuration(points: Sequence[Mapping[str, Any]], frame: Frame, sizes: int) -> str:
    """Name points by configuration, each with its sizes (of so many): ``kubenet · ebpf (all sizes)``."""
    found: dict[str, list[Any]] = {}
    for levels in points:
        found.setdefault(frame.label(levels), []).append(levels.get(frame.size or ""))
    size = frame.size
    return "; ".join(label if size is None else f"{label} ({_sizes(at, size, sizes)})" for label, at in found.items())


def _sizes(some: Sequence[Any], size: str, every: int) -> str:
    if len(some) == every:
        return "all sizes"
    return ", ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in some) + f" {size_name(size)}"
