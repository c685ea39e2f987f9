"""``netsim validate``: predictions against published tables, or against this machine's kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Format, FormatOption, WorkersOption, print_json
from netsim.cli.tables import print_table
from netsim.errors import InputError

if TYPE_CHECKING:
    from netsim.calibration.published import Validation

KERNEL = "kernel"


def command(
    cases: Annotated[
        list[str] | None,
        typer.Argument(help=f"shipped cases, folders with a published.csv, or `{KERNEL}`; default: all shipped cases"),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=0, help="draws of the costs for prediction intervals")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the draws, or of the kernel's paths")] = 1,
    page: Annotated[Path | None, typer.Option("--page", help="also write the page of results (Markdown)")] = None,
    plots: Annotated[Path | None, typer.Option("--plots", help="also draw every case into this folder")] = None,
    workers: WorkersOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Predict published measurements without their own source's costs, and say how far off that is.

    A folder of your own needs `published.csv` (id, metric, configuration, value, unit, role) and may state hardware in
    `case.yaml`. `netsim validate kernel` predicts random paths on this machine's kernel, then measures them (as root).
    """
    if cases and KERNEL in cases:
        _kernel(cases, seed, output)
        return
    from netsim.calibration.published import validate
    from netsim.cli.progress import shown

    with shown() as progress:
        result = validate(
            cases or (), draws=draws, seed=seed, workers=workers or os.cpu_count() or 1, progress=progress
        )
    if page is not None:
        from netsim.calibration.published.render import page as text_of

        asked = " ".join(["netsim validate", *cases] if cases else ["netsim validate"])
        page.write_text(text_of(result, f"{asked} --page {page}", shipped=not cases), encoding="utf-8")
    if plots is not None:
        from netsim.calibration.published.plots import draw

        draw(result, plots)
    if output is Format.JSON:
        print_json(result.to_dict())
        return
    _show(result, named=bool(cases))


def _show(result: Validation, *, named: bool) -> None:
    from netsim.calibration.published.render import HEADER, details, summary

    for case in result.cases:
        if named:
            columns = ("row", "metric", "published", "predicted", "low", "high", "error")
            rows = [
                (p.id, p.metric, f"{p.published:.4g} {p.unit}", *(f"{x:.4g}" for x in (p.predicted, p.low, p.high)),
                 f"{p.error * 100:+.1f} %")
                for p in (*case.points, *case.ranges, *case.trivial)
            ]  # fmt: skip
            print_table(case.case.title, columns, rows)
        for line in details(case):
            typer.echo(line)
        typer.echo()
    print_table("Error against published measurements", HEADER, summary(result))


def _kernel(cases: list[str], seed: int, output: Format) -> None:
    if len(cases) > 1:
        raise InputError("kernel is validated alone", got=" ".join(cases))
    from netsim.calibration.kernel.validate import validate_kernel
    from netsim.cli.progress import shown

    with shown() as progress:
        result = validate_kernel(seed, progress=progress)
    if output is Format.JSON:
        print_json(result.to_dict())
    else:
        document = result.to_dict()
        rows = document["rows"]
        columns = list(rows[0]) if rows else []
        print_table("Random paths on this kernel", columns, [[_cell(row[name]) for name in columns] for row in rows])
        for skipped in document["skipped"]:
            typer.echo(f"skipped {skipped['path']}: {skipped['reason']}")
        mean, worst, bias = (value * 100 for value in (result.mean, result.worst, result.bias))
        typer.echo(f"mean error {mean:.1f} %, worst {worst:.1f} %, bias {bias:+.1f} %")
    if not result.passed:
        raise typer.Exit(1)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
