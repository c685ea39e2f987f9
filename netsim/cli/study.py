"""What ``run`` and ``sweep`` share: progress while it works, the answer when it is done."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netsim.cli.options import Format, print_json
from netsim.cli.tables import print_table

if TYPE_CHECKING:
    from netsim.scenario import Scenario
    from netsim.study import Progress, StudyResult
    from netsim.study.study import ProgressCallback
    from netsim.study.tables import Table

SECONDS_BETWEEN_LINES = 10.0


def perform(
    scenario: Scenario, *, out: Path | None, workers: int | None, resume: bool, draws: int = 0
) -> StudyResult:
    """Run a study; mistakes are told before it starts, progress on standard error while it works.

    ``draws`` of the costs add prediction intervals.
    """
    from netsim.analysis.prediction import check_draws, predicted
    from netsim.study import run_study
    from netsim.study.preflight import check

    if draws:
        check_draws(draws)
    for warning in check(scenario):
        typer.echo(f"warning: {warning}", err=True)
    processes = workers or os.cpu_count() or 1
    with _bar() if sys.stderr.isatty() else nullcontext(_lines()) as show:
        result = run_study(scenario, out=out, workers=processes, resume=resume, progress=show)
        return predicted(result, draws, workers=processes, progress=show) if draws else result


@contextmanager
def _bar() -> Iterator[ProgressCallback]:
    """Show a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("starting", total=None, left="")
        yield lambda now: bar.update(
            task, completed=now.done, total=now.total, left=_left(now), description=now.point[:60] or "run"
        )


def _lines() -> ProgressCallback:
    """Say now and then how far it is, where nobody watches a bar (logs of a CI)."""
    last = time.monotonic()

    def show(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            typer.echo(f"{now.done} of {now.total} replications, {_left(now)}", err=True)

    return show


def _left(now: Progress) -> str:
    return "" if now.left_s is None else f"about {_clock(now.left_s)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def finish(result: StudyResult, output: Format) -> None:
    """Write the report, print the answer, set the exit code."""
    from netsim.report import write_report
    from netsim.report.objectives import missed

    report = write_report(result) if result.folder is not None else None
    if output is Format.JSON:
        print_json(_document(result))
    else:
        _print(result, report)
    if result.failed or not result.summaries or missed(result):
        raise typer.Exit(1)


def _print(result: StudyResult, report: Path | None) -> None:
    from netsim.report import answer_of, summary_rows
    from netsim.report.sureness import sureness

    columns, rows = summary_rows(result)
    if len(result.points) == 1 or report is None:
        print_table(result.scenario.name, columns, rows)
    for reason in result.failed.values():
        typer.echo(f"failed: {reason}", err=True)
    for note in result.notes if report is None else ():
        typer.echo(note if note.startswith("warning: ") else f"note: {note}", err=True)
    for line in (*answer_of(result), *sureness(result)):
        typer.echo(line)
    if report is not None:
        typer.echo(f"report: {report}")


def _document(result: StudyResult) -> dict[str, Any]:
    """Return the study as one JSON document: figures as rows, points without figures with their reason."""
    return {
        "scenario": result.scenario.name,
        "figures": _records(result.tables["figures"]),
        "unmeasured": result.unmeasured(),
        "notes": list(result.notes),
        **{name: _records(result.tables[name]) for name in ("uncertainty", "influence") if name in result.tables},
    }


def _records(table: Table) -> list[dict[str, Any]]:
    rows = zip(*table.columns.values(), strict=True)
    return [{key: _plain(value) for key, value in zip(table.columns, row, strict=True)} for row in rows]


def _plain(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
