"""What a study hands back: tables, reasons, notes, and a rich form for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from netsim.scenario.spec import Scenario
from netsim.study.figures import Figure, PointFigures, find
from netsim.study.outcome import TIMES, Measured
from netsim.study.points import Point, point_keys
from netsim.study.tables import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Everything a study found.

    Parameters
    ----------
    scenario: what was asked.
    points: all points of the sweep, also those that cannot exist.
    summaries: figures with their replications' values, by point index.
    runs: measurements of every replication, by point index and replication.
    impossible: reason by index of the points that cannot exist.
    failed: reason by index of the points that broke.
    notes: what a reader must know: refused quantiles, samples of clients, warm-up that did not end.
    tables: ``figures``, ``replications``, ``hops``, ``parts`` as they are written to disk.
    folder: where the results are, if anywhere.
    """

    scenario: Scenario
    points: tuple[Point, ...]
    summaries: Mapping[int, PointFigures]
    runs: Mapping[int, Mapping[int, Measured]]
    impossible: Mapping[int, str]
    failed: Mapping[int, str]
    notes: tuple[str, ...]
    tables: Mapping[str, Table]
    folder: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether every point that can exist was measured."""
        return not self.failed

    @cached_property
    def figures(self) -> pd.DataFrame:
        """One row a point, scope, name, metric and statistic, with its 95 % interval."""
        return self.tables["figures"].to_pandas()

    @cached_property
    def replications(self) -> pd.DataFrame:
        """The figures of every replication on its own."""
        return self.tables["replications"].to_pandas()

    @cached_property
    def hops(self) -> pd.DataFrame:
        """Work of every hop per transaction, by edge."""
        return self.tables["hops"].to_pandas()

    @cached_property
    def parts(self) -> pd.DataFrame:
        """Where the latency of means and quantiles goes."""
        return self.tables["parts"].to_pandas()

    @cached_property
    def uncertainty(self) -> pd.DataFrame:
        """Prediction intervals of the figures, empty for a run without draws of the costs."""
        return self._optional("uncertainty")

    @cached_property
    def influence(self) -> pd.DataFrame:
        """The costs that headline figures depend on most, with the change each makes at both ends of its range."""
        return self._optional("influence")

    def _optional(self, name: str) -> pd.DataFrame:
        import pandas as pd

        return self.tables[name].to_pandas() if name in self.tables else pd.DataFrame()

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Every recorded transaction: point columns, replication, edge, start and times in seconds."""
        import pandas as pd

        frames = [self._samples_of(point, number, run) for point, number, run in self._all_runs()]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _all_runs(self) -> Iterator[tuple[Point, int, Measured]]:
        for index, runs in self.runs.items():
            for replication, run in runs.items():
                yield self.points[index], replication, run

    def _samples_of(self, point: Point, replication: int, run: Measured) -> pd.DataFrame:
        import pandas as pd

        names = [edge.name for edge in run.edges]
        frame = pd.DataFrame({**point.levels, "replication": replication}, index=range(len(run.edge)))
        frame["edge"] = pd.Categorical([names[i] for i in run.edge.tolist()], categories=names)
        frame["start_s"] = run.start_s
        for metric in TIMES:
            if metric in run.times:
                frame[f"{metric}_s"] = run.times[metric]
        return frame

    def figure(self, metric: str, stat: str, *, scope: str = "scenario", name: str = "", point: int = 0) -> Figure:
        """Return one figure of one point; `KeyError` when it was not measured."""
        summary = self.summaries.get(point)
        found = None if summary is None else find(summary.figures, scope, name, metric, stat)
        if found is None:
            raise KeyError(f"no figure {scope} {name} {metric} {stat} at point {point}")
        return found

    def unmeasured(self) -> list[dict[str, object]]:
        """Return the points without figures: their levels, whether impossible or failed, and why."""
        rows: list[dict[str, object]] = []
        for point in self.points:
            for status, reasons in (("impossible", self.impossible), ("failed", self.failed)):
                if point.index in reasons:
                    rows.append({**point.levels, "status": status, "reason": reasons[point.index]})
        return rows

    def overview(self) -> pd.DataFrame:
        """Return the scenario's own figures, a row a point: what a reader wants first."""
        frame = self.figures
        top = frame[(frame["scope"] == "scenario") & (frame["stat"] != "max")]
        labelled = top.assign(figure=top["metric"] + " " + top["stat"] + " [" + top["unit"] + "]")
        keys = list(point_keys(self.points))
        columns = list(dict.fromkeys(labelled["figure"]))
        if not keys:
            return labelled[["figure", "value", "ci_low", "ci_high"]].reset_index(drop=True)
        wide = labelled.pivot_table(index=keys, columns="figure", values="value", sort=False, dropna=False)
        return wide.reindex(columns=columns).dropna(how="all").reset_index()

    def _repr_html_(self) -> str:
        parts = [f"<h4>{html.escape(self.scenario.name)}</h4>"]
        if self.scenario.question:
            parts.append(f"<p>{html.escape(self.scenario.question)}</p>")
        parts.append(self.overview().to_html(index=False, float_format=lambda value: f"{value:.4g}", border=0))
        for row in self.unmeasured():
            where = " ".join(f"{key}={value}" for key, value in row.items() if key not in ("status", "reason"))
            sentence = f"{where} {row['status']}: {row['reason']}".strip()
            parts.append(f"<p>{html.escape(sentence)}</p>")
        if self.notes:
            items = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
            parts.append(f"<details><summary>{len(self.notes)} notes</summary><ul>{items}</ul></details>")
        return "".join(parts)
