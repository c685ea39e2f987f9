"""A study's result for people: what a notebook shows, and charts to look further."""

from __future__ import annotations

import html
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from netsim.report import charts, tables
from netsim.report.build import answer_of
from netsim.report.frame import Frame, frame_of
from netsim.report.sureness import tornado
from netsim.study import StudyResult

if TYPE_CHECKING:
    from netsim.report.canvas import Canvas


@dataclass(frozen=True, eq=False)
class Result(StudyResult):
    """A study's result with its answer in words, charts, and a rich form for notebooks.

    Charts are matplotlib figures; a notebook shows them, ``savefig`` writes them.
    """

    @classmethod
    def of(cls, study: StudyResult) -> Result:
        """Return a study's result in this form."""
        return cls(**{field.name: getattr(study, field.name) for field in fields(StudyResult)})

    @property
    def answer(self) -> tuple[str, ...]:
        """What was found, in at most five sentences."""
        return answer_of(self)

    def plot_latency(self, stat: str = "p99", *, metric: str = "latency") -> Canvas:
        """Draw latency against size, one line a configuration; as bars where nothing was varied in size.

        Parameters
        ----------
        stat: ``mean``, ``max`` or a quantile; bars show all of p50, p90 and p99.
        metric: ``latency``, or a phase of it: ``dns``, ``connect``, ``request``.

        Raises
        ------
        KeyError: there is no such figure.
        """
        frame = self._frame_with(metric, stat)
        if frame.size is None:
            return charts.bar_chart(frame, metric, ("p50", "p90", "p99"), title=metric)
        return charts.size_chart(frame.carried, frame, metric, stat, title=f"{stat} {metric}", key=True)

    def plot_throughput(self, metric: str = "throughput_per_pod") -> Canvas:
        """Draw throughput against size, per client pod unless ``metric`` says otherwise (``goodput``, …)."""
        frame = self._frame_with(metric, "mean")
        title = metric.replace("_per_pod", " per client pod")
        if frame.size is None:
            return charts.bar_chart(frame, metric, ("mean",), title=title)
        return charts.size_chart(frame, frame, metric, "mean", title=title, key=True)

    def plot_hops(self) -> Canvas:
        """Draw the work of a transaction, hop by hop, at the largest size each configuration carries."""
        frame = self._frame_with("hop_time", "mean", "hop")
        return charts.stacked_chart(tables.main_hops(tables.hop_values(frame)), title="work per transaction")

    def plot_tornado(self) -> Canvas:
        """Draw how far the first headline figure moves with the costs it depends on most.

        Raises
        ------
        KeyError: the run had no draws of the costs.
        """
        drawn = tornado(self)
        if drawn is None:
            raise KeyError("no draws of the costs; run with uncertainty=100")
        return drawn

    def _frame_with(self, metric: str, stat: str, scope: str = "scenario") -> Frame:
        frame = frame_of(self)
        if frame.figures.empty or frame.select(metric, stat, scope).empty:
            raise KeyError(f"no figure {metric} {stat}")
        return frame

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{html.escape(line)}</p>" for line in self.answer)
        parts = [f"<h4>{html.escape(self.scenario.name)}</h4>"]
        if self.scenario.question:
            parts.append(f"<p><em>{html.escape(self.scenario.question)}</em></p>")
        parts += [said, tables.html_table(*tables.summary_rows(self))]
        if self.notes:
            items = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
            parts.append(f"<details><summary>{len(self.notes)} notes</summary><ul>{items}</ul></details>")
        return "".join(parts)
