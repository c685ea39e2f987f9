"""The application object and its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.cli import baseline, calibrate, capacity, compare, init, inspect, report, run, schema, sweep, validate

app = typer.Typer(
    name="netsim",
    help="How fast is the network of this Kubernetes cluster, what limits it, and what happens when it grows?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(inspect.app, name="inspect", help="questions about a cluster that need no simulation")
app.add_typer(baseline.app, name="baseline", help="small reviewed files with the figures a change must not worsen")
for module in (run, sweep, capacity, compare, report, init, schema, calibrate, validate):
    app.command(name=module.__name__.rpartition(".")[2])(module.command)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False) -> None:
    if version:
        import netsim

        typer.echo(f"netsim {netsim.__version__}")
        raise typer.Exit
