"""From a study to ``report.html`` and ``report.md``: one file each, nothing loaded from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.report import charts
from netsim.report.answer import Impossible, answer
from netsim.report.bottlenecks import growth_rows, indicator_rows, split_rows
from netsim.report.frame import Frame, write_interval, write_value
from netsim.report.objectives import judge
from netsim.units import format_seconds

if TYPE_CHECKING:
    from netsim.study import StudyResult

LEFT_OUT = (
    "Not modelled: application retries, TLS work, service meshes, host firewalls beside the plugin's, kernel memory "
    "pressure, CPU frequency changes, other tenants of the network.",
)
STATIONS_SHOWN = 15

Cells = Sequence[Sequence[str]]
TableWriter = Callable[[Sequence[str], Cells], str]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its caption."""

    svg: str
    caption: str


def answer_of(result: StudyResult) -> tuple[str, ...]:
    """Return the answer in at most five sentences."""
    return answer(Frame.of(result.figures), _impossible(result))


def write_report(result: StudyResult) -> Path:
    """Write both reports into the result's folder; return the path of the HTML one."""
    if result.folder is None:
        raise ValueError("a report belongs into a result folder; run the study with an output folder")
    (result.folder / "report.md").write_text(render_markdown(result), encoding="utf-8")
    path = result.folder / "report.html"
    path.write_text(render_html(result), encoding="utf-8")
    return path


def render_html(result: StudyResult) -> str:
    """Return the HTML report as text."""
    frame = Frame.of(result.figures)
    context = _context(result, frame, _html_table)
    context["charts"] = _charts(frame)
    context["hop_chart"] = _hop_chart(frame)
    return _render("report.html.j2", context, escape=True)


def render_markdown(result: StudyResult) -> str:
    """Return the Markdown report as text."""
    return _render("report.md.j2", _context(result, Frame.of(result.figures), _markdown_table), escape=False)


def _render(template: str, context: Mapping[str, Any], *, escape: bool) -> str:
    import jinja2

    text = (resources.files("netsim") / "data" / "report" / template).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=escape, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(context)


# ------------------------------------------------------------------------------------------------ what it says


def _context(result: StudyResult, frame: Frame, table: TableWriter) -> dict[str, Any]:
    impossible = _impossible(result)
    warnings, assumptions = _split_notes(result)
    return {
        "title": result.scenario.name,
        "question": result.scenario.question.strip(),
        "answer": answer(frame, impossible),
        "tables": {
            "main": table(*summary_rows(result)),
            "slo": table(*_objective_rows(result)) if result.scenario.slo else "",
            "hops": table(*_hop_rows(frame)),
            "stations": table(*_station_rows(frame)),
            "parts": table(*split_rows(result, frame)),
            "growth": table(*growth_rows(result, frame)) if frame.size is not None else "",
            "indicators": table(*indicator_rows(result, frame)),
        },
        "hop_size": _largest(frame),
        "impossible": _grouped(impossible, frame),
        "warnings": warnings,
        "assumptions": assumptions,
        "provenance": _provenance(result),
    }


def _impossible(result: StudyResult) -> tuple[Impossible, ...]:
    return tuple(Impossible(result.points[index].levels, reason) for index, reason in result.impossible.items())


def _grouped(items: Sequence[Impossible], frame: Frame) -> list[str]:
    """Say each reason once, with the points it holds for."""
    places: dict[str, list[str]] = {}
    for item in items:
        telling = [f"{key.rpartition('.')[2]} {value}" for key, value in item.point.items()]
        places.setdefault(item.reason, []).append(", ".join(telling))
    return [f"{reason} — {'; '.join(where)}" for reason, where in places.items()]


def _split_notes(result: StudyResult) -> tuple[list[str], list[str]]:
    """Tell warnings from assumptions; failed points are warnings."""
    warnings = [f"failed: {reason}" for reason in result.failed.values()]
    warnings += [note.removeprefix("warning: ") for note in result.notes if note.startswith("warning: ")]
    assumptions = [note for note in result.notes if not note.startswith("warning: ")]
    return warnings, [*assumptions, *LEFT_OUT]


def _provenance(result: StudyResult) -> list[str]:
    run = result.scenario.run
    lines = [
        f"seed {run.seed}, {_replications(result)} replications a point, traffic of the scenario {result.scenario.name}"
    ]
    manifest = None if result.folder is None else result.folder / "manifest.json"
    if manifest is not None and manifest.is_file():
        stored = json.loads(manifest.read_text(encoding="utf-8"))
        versions = stored["versions"]
        lines.append(f"netsim {versions['netsim']} (model {versions['model']}), Python {versions['python']}")
        lines.append(f"cost profiles {', '.join(f'{name} {digest}' for name, digest in stored['costs'].items())}")
        lines.append("netsim run manifest.json in this folder gives the same tables")
    return lines


def _replications(result: StudyResult) -> str:
    counts = sorted({len(runs) for runs in result.runs.values()})
    return "no" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _largest(frame: Frame) -> str:
    if frame.size is None or frame.figures.empty:
        return ""
    return f"{frame.figures[frame.size].max():,} {charts.axis_name(frame.size)}"


# ------------------------------------------------------------------------------------------------ tables

MAIN_FIGURES = (
    ("latency", "p50", "p50"), ("latency", "p90", "p90"), ("latency", "p99", "p99"), ("dns", "mean", "DNS, mean"),
    ("throughput_per_pod", "mean", "per pod"), ("throughput", "mean", "throughput"), ("failed", "mean", "failed"),
)  # fmt: skip


def summary_rows(result: StudyResult) -> tuple[list[str], list[list[str]]]:
    """Return the main table: a row a point, its quantiles and throughput with intervals."""
    frame = Frame.of(result.figures)
    table = frame.figures
    top = table[table["scope"] == "scenario"] if not table.empty else table
    present = [
        item for item in MAIN_FIGURES if not top.empty and ((top["metric"] == item[0]) & (top["stat"] == item[1])).any()
    ]
    rows = []
    for index in result.summaries:
        levels = result.points[index].levels
        cells = [str(value) for value in levels.values()]
        for metric, stat, _ in present:
            try:
                figure = result.figure(metric, stat, point=index)
            except KeyError:
                cells.append("–")
                continue
            interval = figure.estimate.interval()
            cells.append(
                write_interval(
                    {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high, "unit": figure.key.unit}
                )
            )
        rows.append(cells)
    return [*(key.rpartition(".")[2] for key in frame.factors), *(title for *_, title in present)], rows


def _objective_rows(result: StudyResult) -> tuple[list[str], list[list[str]]]:
    rows = []
    for item in judge(result):
        where = ", ".join(str(value) for value in item.point.values()) or "this cluster"
        rows.append([where, item.objective.text, _objective_value(item.objective.metric, item.value), item.verdict])
    return ["point", "objective", "value", "verdict"], rows


def _objective_value(metric: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    if metric in ("loss", "failed", "utilization"):
        return f"{value:.3%}"
    return format_seconds(value) if metric not in ("throughput", "goodput") else f"{value:,.4g}"


def _hop_values(frame: Frame) -> list[tuple[str, dict[str, float]]]:
    """Return (configuration, hop -> seconds a transaction) at each configuration's largest size."""
    found = []
    for label in frame.labels:
        rows = frame.select("hop_time", "mean", "hop", label)
        if rows.empty:
            continue
        if frame.size is not None:
            rows = rows[rows[frame.size] == rows[frame.size].max()]
        found.append(
            (label, {str(name): float(value) for name, value in zip(rows["name"], rows["value"], strict=True)})
        )
    return found


def _hop_rows(frame: Frame) -> tuple[list[str], list[list[str]]]:
    values = _hop_values(frame)
    hops = list(dict.fromkeys(hop for _, row in values for hop in row))
    totals = {hop: max(row.get(hop, 0.0) for _, row in values) for hop in hops}
    ordered = sorted(hops, key=lambda hop: -totals[hop])
    rows = [[hop, *(write_value(row[hop], "s") if hop in row else "" for _, row in values)] for hop in ordered]
    return ["hop", *(label for label, _ in values)], rows


def _station_rows(frame: Frame) -> tuple[list[str], list[list[str]]]:
    table = frame.figures
    columns = [
        "configuration",
        *([charts.axis_name(frame.size)] if frame.size else []),
        "station",
        "busy",
        "waiting, mean",
    ]
    if table.empty:
        return columns, []
    busy = table[(table["metric"] == "utilization") & (table["scope"] == "station")]
    top = busy.sort_values("value", ascending=False, kind="stable")
    rows = []
    for row in top.head(STATIONS_SHOWN).to_dict("records"):
        queue = table[(table["metric"] == "queue") & (table["scope"] == "station") & (table["name"] == row["name"])]
        for factor in frame.factors:
            queue = queue[queue[factor] == row[factor]]
        waiting = "" if queue.empty else f"{float(queue['value'].iloc[0]):.3g} bursts"
        size = (
            [f"{row[frame.size]:,}" if isinstance(row[frame.size], int) else str(row[frame.size])] if frame.size else []
        )
        rows.append([frame.label(row), *size, str(row["name"]), f"{row['value']:.1%}", waiting])
    return columns, rows


# ------------------------------------------------------------------------------------------------ drawings


def _charts(frame: Frame) -> list[Chart]:
    if frame.figures.empty:
        return []
    latency = frame.select("latency", "p99")
    scale, unit = charts.chart_time_unit(
        latency["value"] if not latency.empty else frame.select("latency", "mean")["value"]
    )
    if frame.size is None:
        stats = tuple(stat for stat in ("p50", "p90", "p99") if not frame.select("latency", stat).empty)
        drawn = charts.bar_chart(frame, "latency", stats, title="latency", scale=scale, unit=unit)
        return [Chart(charts.to_svg(drawn), "Latency of a transaction, as its client sees it")]
    axis = charts.axis_name(frame.size)
    found = []
    for stat in ("p50", "p90", "p99"):
        if not frame.select("latency", stat).empty:
            drawn = charts.size_chart(frame, "latency", stat, title=f"{stat} latency", scale=scale, unit=unit)
            found.append(Chart(charts.to_svg(drawn), f"{stat} latency of a transaction against {axis}"))
    for metric, title in (("throughput_per_pod", "throughput per client pod"), ("throughput", "throughput")):
        rows = frame.select(metric, "mean")
        if not rows.empty:
            drawn = charts.size_chart(frame, metric, "mean", title=title, scale=1.0, unit=str(rows["unit"].iloc[0]))
            found.append(Chart(charts.to_svg(drawn), f"{title.capitalize()} against {axis}"))
    return found


def _hop_chart(frame: Frame) -> str:
    values = _hop_values(frame) if not frame.figures.empty else []
    if not values:
        return ""
    scale, unit = charts.chart_time_unit(sum(row.values()) for _, row in values)
    drawn = charts.stacked_chart(values, title="work per transaction", scale=scale, unit=unit)
    return charts.to_svg(drawn)


# ------------------------------------------------------------------------------------------------ writers


def _html_table(columns: Sequence[str], rows: Cells) -> str:
    if not rows:
        return "<p>nothing to show</p>"
    numeric = [_looks_numeric([row[index] for row in rows]) for index in range(len(columns))]
    classes = [' class="number"' if flag else "" for flag in numeric]
    head = "".join(f"<th{kind}>{html.escape(name)}</th>" for kind, name in zip(classes, columns, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(classes, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _looks_numeric(cells: Sequence[str]) -> bool:
    return all(not cell or cell[0].isdigit() or cell[0] in "–-." for cell in cells)


def _markdown_table(columns: Sequence[str], rows: Cells) -> str:
    if not rows:
        return "nothing to show\n"
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in escaped]
    return "\n".join(lines) + "\n"
