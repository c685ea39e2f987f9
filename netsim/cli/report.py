"""``netsim report``: write a result folder's report again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(directory: Annotated[Path, typer.Argument(help="result folder", metavar="DIR")]) -> None:
    """Write report.html and report.md of a result folder again, from its stored replications."""
    from netsim.report import answer_of, write_report
    from netsim.study.reopen import open_study

    result = open_study(directory)
    path = write_report(result)
    for line in answer_of(result):
        typer.echo(line)
    typer.echo(f"report: {path}")
