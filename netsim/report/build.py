"""From a study to ``report.html`` and ``report.md``: one file each, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.report import charts, notes, tables
from netsim.report.answer import Impossible, answer
from netsim.report.bottlenecks import growth_rows, indicator_rows, part_bars, split_rows
from netsim.report.edges import edge_rows
from netsim.report.frame import Frame, frame_of, size_name
from netsim.report.nearest import limit_rows
from netsim.report.sureness import influence_rows, prediction_rows, sureness, tornado

if TYPE_CHECKING:
    from netsim.report.canvas import Canvas
    from netsim.study import StudyResult


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its caption."""

    svg: str
    caption: str


def answer_of(result: StudyResult) -> tuple[str, ...]:
    """Return the answer in at most five sentences."""
    return answer(frame_of(result), _impossible(result))


def write_report(result: StudyResult) -> Path:
    """Write both reports into the result's folder; return the path of the HTML one."""
    if result.folder is None:
        raise ValueError("a report belongs into a result folder; run the study with an output folder")
    content = _content(result)  # worked out once: looking at limits and at thousands of edges takes seconds
    (result.folder / "report.md").write_text(_markdown(content), encoding="utf-8")
    path = result.folder / "report.html"
    path.write_text(_html(result, content), encoding="utf-8")
    return path


def render_html(result: StudyResult) -> str:
    """Return the HTML report as text."""
    return _html(result, _content(result))


def render_markdown(result: StudyResult) -> str:
    """Return the Markdown report as text."""
    return _markdown(_content(result))


def _html(result: StudyResult, content: _Content) -> str:
    frame = content.frame
    drawn = {
        "legend": _legend(frame), "charts": _charts(frame), "hop_chart": _hop_chart(frame),
        "part_chart": _part_chart(result, frame),
        "tornado": _drawn(tornado(result)),
    }  # fmt: skip
    return _render("report.html.j2", content.context(tables.html_table) | drawn, escape=True)


def _markdown(content: _Content) -> str:
    return _render("report.md.j2", content.context(tables.markdown_table), escape=False)


def _render(template: str, context: Mapping[str, Any], *, escape: bool) -> str:
    import jinja2

    text = (resources.files("netsim") / "data" / "report" / template).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=escape, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(context)


# ------------------------------------------------------------------------------------------------ what it says


@dataclass(frozen=True, slots=True)
class _Content:
    """What both reports say: sentences and lists, and the rows of their tables, which each writes in its own way.

    A table of ``rows`` that is None is left out.
    """

    frame: Frame
    told: Mapping[str, Any]
    rows: Mapping[str, tables.Rows | None]

    def context(self, write: tables.TableWriter) -> dict[str, Any]:
        """Return what a template is filled with."""
        return {**self.told, "tables": {name: "" if rows is None else write(*rows) for name, rows in self.rows.items()}}


def _content(result: StudyResult) -> _Content:
    frame = frame_of(result)
    drawn = "uncertainty" in result.tables
    near, calls = limit_rows(result, frame), edge_rows(result, frame)
    rows = {
        "main": tables.summary_rows(result),
        "slo": tables.objective_rows(result, frame) if result.scenario.slo else None,
        "hops": tables.hop_rows(tables.hop_values(frame)),
        "edges": calls if calls[1] else None,
        "stations": tables.station_rows(frame),
        "parts": split_rows(result, frame),
        "growth": growth_rows(result, frame) if frame.size is not None else None,
        "limits": near if near[1] else None,
        "indicators": indicator_rows(result, frame),
        "prediction": prediction_rows(result) if drawn else None,
        "influence": influence_rows(result) if drawn else None,
    }
    told = {
        "title": result.scenario.name,
        "question": result.scenario.question.strip(),
        "answer": (*answer(frame, _impossible(result)), *sureness(result)),
        "impossible": _cannot_exist(result, frame),
        "warnings": notes.warnings(result),
        "assumptions": notes.assumptions(result),
        "left_out": notes.LEFT_OUT,
        "provenance": _provenance(result),
    }
    return _Content(frame, told, rows)


def _impossible(result: StudyResult) -> tuple[Impossible, ...]:
    return tuple(Impossible(result.points[index].levels, reason) for index, reason in result.impossible.items())


def _cannot_exist(result: StudyResult, frame: Frame) -> list[str]:
    """Say each reason once, with the configurations and sizes it holds for."""
    sizes = len({point.levels.get(frame.size or "") for point in result.points})
    places: dict[str, list[Mapping[str, Any]]] = {}
    for index, reason in result.impossible.items():
        places.setdefault(reason, []).append(result.points[index].levels)
    return [f"{reason}: {tables.by_configuration(points, frame, sizes)}" for reason, points in places.items()]


def _provenance(result: StudyResult) -> list[str]:
    lines = [f"seed {result.scenario.run.seed}, {_replications(result)} replications a point"]
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


# ------------------------------------------------------------------------------------------------ drawings


def _legend(frame: Frame) -> str:
    """Draw the key of all charts once."""
    return charts.to_svg(charts.legend(frame.labels)) if frame.size is not None and len(frame.labels) > 1 else ""


def _charts(frame: Frame) -> list[Chart]:
    if frame.figures.empty:
        return []
    stats = [stat for stat in ("p50", "p90", "p99") if frame.select("latency", stat)["value"].notna().any()]
    if frame.size is None:
        drawn = charts.bar_chart(frame, "latency", stats or ["mean"], title="latency")
        return [Chart(charts.to_svg(drawn), "Latency of a transaction, as its client sees it")]
    axis = size_name(frame.size)
    found = []
    for stat in stats:
        drawn = charts.size_chart(frame.carried, frame, "latency", stat, title=f"{stat} latency")
        found.append(Chart(charts.to_svg(drawn), f"{stat} latency against {axis}, where the load is carried"))
    for metric, title in (("throughput_per_pod", "throughput per client pod"), ("throughput", "throughput")):
        if not frame.select(metric, "mean").empty:
            drawn = charts.size_chart(frame, frame, metric, "mean", title=title)
            return [*found, Chart(charts.to_svg(drawn), f"{title.capitalize()} against {axis}")]
    return found


def _drawn(canvas: Canvas | None) -> str:
    return charts.to_svg(canvas) if canvas is not None else ""


def _part_chart(result: StudyResult, frame: Frame) -> str:
    bars = part_bars(result, frame)
    return charts.to_svg(charts.stacked_chart(bars, title="latency")) if bars else ""


def _hop_chart(frame: Frame) -> str:
    values = tables.main_hops(tables.hop_values(frame)) if not frame.figures.empty else []
    return charts.to_svg(charts.stacked_chart(values, title="work per transaction")) if values else ""
