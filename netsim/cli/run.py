"""``netsim run``: one scenario, its figures."""

from __future__ import annotations

from netsim.cli.options import (
    CostsOption,
    Format,
    FormatOption,
    OutOption,
    PluginOption,
    PrecisionOption,
    ProxyOption,
    ScenarioPath,
    SeedOption,
    SetOption,
    UncertaintyOption,
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
    plugin: PluginOption = None,
    proxy: ProxyOption = None,
    costs: CostsOption = None,
    workers: WorkersOption = None,
    uncertainty: UncertaintyOption = 0,
    output: FormatOption = Format.TEXT,
) -> None:
    """Run one scenario (without its sweep) and print throughput and latency with their intervals.

    Exit 1 when an objective is missed, the combination cannot exist, or the run failed.
    """
    from netsim.scenario import load
    from netsim.study.points import single

    changes = assignments(set_, seed=seed, precision=precision, plugin=plugin, proxy=proxy, costs=costs)
    asked = load(scenario, changes)
    # a result's manifest stands for the study that wrote it, sweep included
    chosen = asked if scenario.name == "manifest.json" else single(asked)
    finish(perform(chosen, out=out, workers=workers, resume=False, draws=uncertainty), output)
