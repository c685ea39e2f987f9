"""``netsim calibrate``: the cost profile of this machine's kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Format, FormatOption, print_json
from netsim.errors import InputError, Place

if TYPE_CHECKING:
    from netsim.calibration.kernel.derive import Calibration


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="cost profile to write")] = Path("costs.yaml"),
    full: Annotated[
        bool,
        typer.Option("--full", help="ten minutes instead of two: larger tables, more rounds, the tools of proxies"),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="order of measuring")] = 1,
    output: FormatOption = Format.TEXT,
) -> None:
    """Measure this machine's kernel in network namespaces and write its cost profile (root on Linux).

    Traffic runs only between namespaces made for it. They belong to this process alone, so they are gone when it ends,
    however it ends.
    """
    from netsim.calibration.kernel.profile import write_profile
    from netsim.calibration.kernel.session import calibrate
    from netsim.calibration.kernel.syncs import measure_syncs
    from netsim.cli.progress import shown

    if not out.parent.is_dir():
        raise InputError("no such folder", place=Place(str(out.parent)))
    try:
        with shown() as progress:
            calibration = calibrate("full" if full else "quick", seed, progress)
            syncs, missing = measure_syncs(progress) if full else ({}, ())
    except KeyboardInterrupt:
        typer.echo("netsim: stopped; nothing was written, and the namespaces are gone", err=True)
        raise typer.Exit(130) from None
    profile = write_profile(calibration, out, syncs)
    if output is Format.JSON:
        tools = {key: price.to_dict() for key, price in syncs.items()}
        found = {**calibration.to_dict(), "syncs": tools}
        print_json({**found, "profile": str(out), "clock_hz": profile.clock_ghz * 1e9})
        return
    for line in _lines(calibration):
        typer.echo(line)
    for key, price in syncs.items():
        typer.echo(f"{key:<27} {price.value:12.1f}   {price.low:.1f} to {price.high:.1f}")
    for reason in missing:
        typer.echo(f"skipped: {reason}")
    typer.echo(f"wrote {out}; use it with network.costs: {out} and cluster.machine.clock: {profile.clock_ghz}GHz")


def _lines(calibration: Calibration) -> list[str]:
    from netsim.calibration.kernel.measure import by_reason

    measurement, width = calibration.measurement, max(map(len, calibration.prices))
    lines = [f"{'nanoseconds':<{width}}      cost   90 % interval"]
    lines += [
        f"{key:<{width}} {price.value:9.2f}   {price.low:.2f} to {price.high:.2f}"
        for key, price in calibration.prices.items()
    ]
    lines.append(f"a mechanism that the same packet meets again costs {calibration.repeat:.0%} of the first time")
    lines += [f"skipped, {reason}: {paths}" for reason, paths in by_reason(measurement.skipped).items()]
    lines.append(f"{len(measurement.samples)} exchanges timed in {measurement.seconds:.0f} s")
    return lines
