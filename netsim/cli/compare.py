"""``netsim compare``: whether a change moved a figure, by how much, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Format, FormatOption, SetOption, WorkersOption, assignments, print_json

if TYPE_CHECKING:
    from netsim.analysis.compare import Comparison
    from netsim.analysis.side import Side
    from netsim.scenario import Scenario
    from netsim.study import StudyResult

    Run = Callable[[Scenario], StudyResult]

SidesArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="BASELINE CANDIDATE; with --manifests SCENARIO; with --git PATH [SCENARIO]", metavar="SIDES"),
]
ManifestsOption = Annotated[
    tuple[Path, Path] | None, typer.Option("--manifests", help="two states of the manifests", metavar="OLD NEW")
]
GitOption = Annotated[str | None, typer.Option("--git", help="PATH at two revisions", metavar="OLD..NEW")]
ToleranceOption = Annotated[
    list[str] | None,
    typer.Option("--tolerance", help="tolerated change: latency=5%", metavar="METRIC=SHARE"),
]
ExactOption = Annotated[bool, typer.Option("--exact", help="any difference fails, to the last bit")]
AllOption = Annotated[bool, typer.Option("--all", help="list figures that stayed the same, too")]
MarkdownOption = Annotated[Path | None, typer.Option("--markdown", help="append Markdown to this file (job summary)")]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="write JUnit XML to this file")]


def command(
    sides: SidesArgument = None,
    manifests: ManifestsOption = None,
    git: GitOption = None,
    set_: SetOption = None,
    tolerance: ToleranceOption = None,
    exact: ExactOption = False,
    everything: AllOption = False,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    workers: WorkersOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Compare two sides figure by figure: result folders, baseline files, or scenarios, which are run.

    Exit 1 when a figure is worse than tolerated, or missing.
    """
    from netsim.analysis.compare import compare
    from netsim.analysis.states import tolerances_for

    changes, run = assignments(set_), runner(workers)
    if manifests is not None:
        baseline, candidate = _manifests(sides or [], manifests, changes, run)
    elif git is not None:
        baseline, candidate = _revisions(sides or [], git, changes, run)
    else:
        baseline, candidate = _paths(sides or [], changes, run)
    allowed = tolerances_for(baseline, candidate, overrides=assignments(tolerance))
    comparison = compare(baseline, candidate, allowed, exact=exact)
    deliver([comparison], output, everything=everything, markdown=markdown, junit=junit)


def runner(workers: int | None) -> Run:
    """Return what runs a side that is a scenario, with progress."""
    from netsim.cli.study import perform

    return lambda scenario: perform(scenario, out=None, workers=workers, resume=False)


def deliver(
    comparisons: Sequence[Comparison], output: Format, *, everything: bool, markdown: Path | None, junit: Path | None
) -> None:
    """Print comparisons and write them to the files asked for; exit 1 when one fails."""
    from netsim.report.comparison import to_junit, to_markdown, to_text

    if output is Format.JSON:
        documents = [comparison.to_dict() for comparison in comparisons]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        typer.echo("\n".join(to_text(comparison, everything=everything) for comparison in comparisons), nl=False)
    if markdown is not None:
        with markdown.open("a", encoding="utf-8") as stream:
            stream.write("\n".join(to_markdown(comparison, everything=everything) for comparison in comparisons))
    if junit is not None:
        junit.write_text(to_junit(*comparisons), encoding="utf-8")
    if not all(comparison.ok for comparison in comparisons):
        raise typer.Exit(1)


def _paths(given: list[Path], changes: dict[str, Any], run: Run) -> tuple[Side, Side]:
    from netsim.analysis.states import load_side

    _expect(len(given) == 2, given, "BASELINE CANDIDATE")
    return load_side(given[0], run, changes), load_side(given[1], run, changes)


def _manifests(given: list[Path], states: tuple[Path, Path], changes: dict[str, Any], run: Run) -> tuple[Side, Side]:
    from netsim.analysis.states import manifest_sides
    from netsim.scenario import load

    _expect(len(given) == 1, given, "--manifests OLD NEW SCENARIO")
    return manifest_sides(load(given[0], changes), *states, run=run)


def _revisions(given: list[Path], revisions: str, changes: dict[str, Any], run: Run) -> tuple[Side, Side]:
    from netsim.analysis.states import git_states, load_side, manifest_sides
    from netsim.scenario import load

    _expect(len(given) in (1, 2), given, "--git OLD..NEW PATH [SCENARIO]")
    with ExitStack() as stack:
        old, new, labels = stack.enter_context(git_states(revisions, given[0]))
        if len(given) == 2:
            return manifest_sides(load(given[1], changes), old, new, run=run, labels=labels)
        return load_side(old, run, changes, label=labels[0]), load_side(new, run, changes, label=labels[1])


def _expect(right: bool, given: list[Path], usage: str) -> None:
    from netsim.errors import InputError

    if not right:
        raise InputError("not the paths this comparison takes", got=" ".join(map(str, given)), allowed=usage)
