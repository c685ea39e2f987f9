"""``netsim baseline update|check``: reviewed figures that a change must not worsen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netsim.cli.compare import (
    AllOption,
    ExactOption,
    JunitOption,
    MarkdownOption,
    ToleranceOption,
    deliver,
    runner,
)
from netsim.cli.options import Format, FormatOption, WorkersOption, assignments

app = typer.Typer(no_args_is_help=True)

DIRECTORY = Path("results/baseline")
DirectoryOption = Annotated[Path, typer.Option("--dir", help="where baselines are kept")]


@app.command()
def update(
    scenarios: Annotated[
        list[Path] | None, typer.Argument(help="scenario files; default: those of the baselines that exist")
    ] = None,
    directory: DirectoryOption = DIRECTORY,
    workers: WorkersOption = None,
) -> None:
    """Run scenarios and write their figures as baselines, one small file each; review and commit them."""
    from netsim.analysis.baseline import source_of, write_baseline
    from netsim.analysis.side import from_study
    from netsim.scenario import load

    run = runner(workers)
    sources = {source: directory / f"{_name(source)}.json" for source in scenarios or []}
    if not scenarios:
        sources = {source_of(path): path for path in _existing(directory)}
    for source, path in sources.items():
        write_baseline(from_study(run(load(source))), path, source=source)
        typer.echo(f"written: {path}")


@app.command()
def check(
    baselines: Annotated[
        list[Path] | None, typer.Argument(help="baseline files; default: all in the directory")
    ] = None,
    directory: DirectoryOption = DIRECTORY,
    tolerance: ToleranceOption = None,
    exact: ExactOption = False,
    everything: AllOption = False,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    workers: WorkersOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Run the scenario behind every baseline again and compare. Exit 1 when a figure is worse or missing."""
    from netsim.analysis.baseline import read_baseline, source_of
    from netsim.analysis.compare import compare
    from netsim.analysis.side import from_study
    from netsim.analysis.states import tolerances_for
    from netsim.scenario import load

    run, overrides = runner(workers), assignments(tolerance)
    comparisons = []
    for path in baselines or _existing(directory):
        baseline, source = read_baseline(path), source_of(path)
        candidate = from_study(run(load(source)), str(source))
        allowed = tolerances_for(baseline, candidate, overrides=overrides)
        comparisons.append(compare(baseline, candidate, allowed, exact=exact))
    deliver(comparisons, output, everything=everything, markdown=markdown, junit=junit)


def _existing(directory: Path) -> list[Path]:
    from netsim.errors import InputError, Place

    found = sorted(directory.glob("*.json"))
    if not found:
        raise InputError(
            "no baselines", place=Place(str(directory)), allowed="files written by netsim baseline update SCENARIO"
        )
    return found


def _name(source: Path) -> str:
    """Name a baseline after its scenario; a file called scenario.yaml after its folder."""
    return source.resolve().parent.name if source.stem == "scenario" else source.stem
