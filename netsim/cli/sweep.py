"""``netsim sweep``: every combination of a scenario's levels."""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.cli.options import (
    Format,
    FormatOption,
    OutOption,
    PrecisionOption,
    ScenarioPath,
    SeedOption,
    SetOption,
    WorkersOption,
    assignments,
)
from netsim.cli.study import finish, perform


def command(
    scenario: ScenarioPath,
    out: OutOption = None,
    seed: SeedOption = None,
    set_: SetOption = None,
    precision: PrecisionOption = None,
    workers: WorkersOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue an interrupted sweep in its folder")] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Run every point of a scenario's sweep on all cores, stream the results, write the report.

    Points that cannot exist are answers with their reason. Exit 1 when a point failed or an objective is missed
    everywhere.
    """
    from pathlib import Path

    from netsim.scenario import load

    asked = load(scenario, assignments(set_, seed=seed, precision=precision))
    folder = out or Path("results") / asked.name
    finish(perform(asked, out=folder, workers=workers, resume=resume), output)
