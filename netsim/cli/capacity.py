"""``netsim capacity``: how far a load or a size can go, what stops it, and what to change."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import (
    CostsOption,
    Format,
    FormatOption,
    PluginOption,
    ProxyOption,
    ScenarioPath,
    SeedOption,
    SetOption,
    WorkersOption,
    assignments,
    print_json,
)
from netsim.cli.tables import print_table

if TYPE_CHECKING:
    from netsim.analysis.capacity import Capacity
    from netsim.analysis.objectives import Judged
    from netsim.analysis.search import Found
    from netsim.analysis.whatif import WhatIf

SloOption = Annotated[
    list[str] | None,
    typer.Option("--slo", help="objective to hold: 'p99<5ms', 'dns.p99<20ms', 'loss<0.1%'; default: the scenario's"),
]
OverOption = Annotated[str, typer.Option("--over", help="numeric key to move: traffic.rate, cluster.nodes, …")]
RangeOption = Annotated[
    str | None, typer.Option("--range", help="LOW:HIGH of the search; either end may be left out", metavar="LOW:HIGH")
]
PrecisionOption = Annotated[str, typer.Option("--precision", help="width of the bracket to reach")]
BudgetOption = Annotated[int | None, typer.Option("--budget", min=2, help="replications one step may take")]


def command(
    scenario: ScenarioPath,
    slo: SloOption = None,
    over: OverOption = "traffic.rate",
    range_: RangeOption = None,
    what_if: Annotated[bool, typer.Option("--what-if", help="also rank alternatives, one at a time")] = False,
    precision: PrecisionOption = "5%",
    budget: BudgetOption = None,
    seed: SeedOption = None,
    set_: SetOption = None,
    plugin: PluginOption = None,
    proxy: ProxyOption = None,
    costs: CostsOption = None,
    workers: WorkersOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Find the largest load at a size, or the largest size at a load, that meets the objectives.

    Says what stops it (a station, a table, a limit), the headroom now, and what comes next once that is lifted. Exit 1
    when the objectives cannot be met; never broken in the range is exit 0.
    """
    from netsim.analysis.capacity import capacity
    from netsim.analysis.trials import RunFailedError, Trial
    from netsim.analysis.whatif import what_if as alternatives
    from netsim.scenario import load

    asked = load(scenario, assignments(set_, seed=seed, plugin=plugin, proxy=proxy, costs=costs))
    processes = workers or os.cpu_count() or 1

    def told(trial: Trial) -> None:
        if sys.stderr.isatty():
            typer.echo(f"  {over} = {trial.value:g}: {trial.verdict}", err=True)

    try:
        answer = capacity(
            asked, slo or (), over=over, span=_span(range_), tolerance=_share(precision), budget=budget,
            workers=processes, progress=told,
        )  # fmt: skip
        ranked = alternatives(asked, slo or (), workers=processes) if what_if else None
    except RunFailedError as error:
        typer.echo(f"netsim: a replication failed: {error}", err=True)
        raise typer.Exit(1) from error
    document: dict[str, Any] = {**answer.to_dict(), **({} if ranked is None else ranked.to_dict())}
    if output is Format.JSON:
        print_json({"what_if": [], **document})
    else:
        _print(answer, ranked)
    if answer.found.outcome == "cannot be met":
        raise typer.Exit(1)


def _span(text: str | None) -> tuple[float | None, float | None]:
    """Read ``LOW:HIGH``; plain numbers in the key's own unit."""
    from netsim.errors import InputError, Place

    if text is None:
        return None, None
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return (float(low) if low.strip() else None), (float(high) if high.strip() else None)
    except ValueError as error:
        raise InputError(
            "not a range", place=Place(field="--range"), got=text, allowed="LOW:HIGH, as in 1:500"
        ) from error


def _share(text: str) -> float:
    from netsim.errors import InputError, Place

    try:
        share = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
        if 0.0 < share < 1.0:
            return share
    except ValueError:
        pass
    raise InputError("not a share", place=Place(field="--precision"), got=text, allowed="5% or 0.05")


# ------------------------------------------------------------------------------------------------ text


def _print(answer: Capacity, ranked: WhatIf | None) -> None:
    for line in _sentences(answer):
        typer.echo(line)
    typer.echo("")
    print_table("objectives now", *_objective_rows(answer.present_trial.judged))
    if answer.found.outcome != "cannot be met":
        print_table(f"objectives at {_number(_shown(answer.found))}", *_objective_rows(answer.judged))
    if ranked is not None:
        _print_what_if(ranked)
    for note in answer.notes:
        typer.echo(f"note: {note}", err=True)


def _sentences(answer: Capacity) -> list[str]:
    """Say the answer: the end, its bracket, what stops it, the headroom, what comes next."""
    word = "largest" if answer.loading else "smallest"
    lines = [f"{answer.key}, {word} that meets the objectives: {_end(answer.found)}."]
    if answer.cause is not None:
        lines.append(f"Stopped by: {answer.cause.text}.")
    if answer.found.outcome != "cannot be met":
        lines.append(f"Headroom now: {answer.headroom:.3g} times the present {_number(answer.present)}.")
    if answer.following is not None:
        after = answer.following
        stop = "" if after.cause is None else f"; stopped by: {after.cause.text}"
        lines.append(f"Next, {after.how}: {_end(after.found)}{stop}.")
    lines.append(f"{answer.replications} replications in all, at most {answer.budget} a step.")
    return lines


def _end(found: Found) -> str:
    if found.outcome == "cannot be met":
        return "none; the objectives cannot be met in the range"
    if found.outcome != "bracketed" or found.met is None or found.missed is None:
        return f"never broken in the range, up to {_number(found.value)}"
    return f"{_number(found.value)} ({_number(found.met.value)} meets them, {_number(found.missed.value)} does not)"


def _shown(found: Found) -> float:
    return found.value if found.met is None else found.met.value


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and abs(value) < 1e9 else f"{value:,.4g}"


def _objective_rows(judged: tuple[Judged, ...]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for item in judged:
        value, low, high, _ = item.interval
        rows.append([item.objective.text, item.figure, f"{value:.4g}", f"{low:.4g} to {high:.4g}", item.verdict])
    return ["objective", "figure", "value", "95 % interval", ""], rows


def _print_what_if(ranked: WhatIf) -> None:
    rows = []
    for effect in ranked.effects:
        value, low, high, _ = effect.ratio
        ratio = ["–", ""] if value != value else [f"× {value:.3g}", f"{low:.3g} to {high:.3g}"]  # noqa: PLR0124 - NaN
        rows.append([effect.change.name, effect.figure, *ratio, effect.verdict])
    print_table("what if, best first (figure with the change over figure now)",
                ["change", "figure", "ratio", "95 % interval", ""], rows)  # fmt: skip
    for item in ranked.left_out:
        typer.echo(f"left out: {item.change.name}: {item.reason}")
