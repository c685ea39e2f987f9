"""``netsim init``: a scenario to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from netsim.errors import InputError, Place


def command(
    directory: Annotated[Path, typer.Argument(help="folder to fill; made when missing")] = Path(),
    manifests: Annotated[
        Path | None, typer.Option("--manifests", help="manifests or dump the scenario should read")
    ] = None,
) -> None:
    """Write a commented scenario (and a small application, unless manifests are given) to start from."""
    templates = resources.files("netsim") / "data" / "init"
    wanted = ["scenario.yaml"] if manifests is not None else ["scenario.yaml", "app.yaml"]
    for name in wanted:
        if (directory / name).exists():
            raise InputError("already there; nothing was written", place=Place(str(directory / name)))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"not a folder that can be made: {error.strerror}", place=Place(str(directory))) from error
    for name in wanted:
        text = (templates / name).read_text(encoding="utf-8")
        if manifests is not None:
            # the shipped traffic names the shipped application's services; for others it is inferred
            text = text.split("\n# --- traffic", 1)[0].replace("app.yaml", str(manifests.resolve())) + "\n"
        (directory / name).write_text(text, encoding="utf-8")
        typer.echo(f"wrote {directory / name}")
    typer.echo(f"next: netsim run {directory / 'scenario.yaml'}")
