"""What to change first: alternatives of a scenario, one at a time, ranked by their effect on an objective's figure.

Every alternative runs with the seeds of the scenario as it is, so that luck cancels in the ratio. The ratio's interval
comes from the paired logarithms of the replications' own figures; where a figure may be zero (loss), from differences.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netsim.analysis.axis import OPEN
from netsim.analysis.objectives import figure_of, plain
from netsim.analysis.trials import Bench, RunFailedError
from netsim.datapath.build import proxy_of
from netsim.errors import InputError, Place
from netsim.scenario import Objective, Scenario, parse_objective, with_values
from netsim.stats.estimates import Interval, from_replications
from netsim.stats.intervals import paired_log_ratio
from netsim.study.figures import Figure, summarise
from netsim.study.outcome import Measured, PointRunner
from netsim.study.points import single
from netsim.study.runner import run_point
from netsim.study.selection import quantiles_of

REPLICATIONS = 5
"""Pairs behind every ratio unless the scenario asks for more."""


@dataclass(frozen=True, slots=True)
class Change:
    """One alternative: dotted keys with their values, and how it is called."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Effect:
    """What one change does to one figure.

    ``ratio`` is figure with the change over figure without (below 1: smaller), NaN where the figure is zero;
    ``difference`` is with minus without, in the figure's unit. ``verdict`` is ``same`` while the interval of the
    difference holds zero.
    """

    change: Change
    figure: str
    ratio: Interval
    difference: Interval
    verdict: Literal["better", "worse", "same"]

    def to_dict(self) -> dict[str, Any]:
        """Return the effect as the JSON document has it."""
        value, low, high, _ = self.ratio
        return {
            "change": self.change.name, "figure": self.figure, "ratio": plain(value), "ci_low": plain(low),
            "ci_high": plain(high), "difference": plain(self.difference.value), "verdict": self.verdict,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An alternative that cannot be tried, with the reason."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """All alternatives: ``effects`` ranked, the best first, for each objective in turn; and those left out."""

    effects: tuple[Effect, ...]
    left_out: tuple[LeftOut, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the two lists of the JSON document."""
        return {
            "what_if": [effect.to_dict() for effect in self.effects],
            "left_out": [{"change": each.change.name, "reason": each.reason} for each in self.left_out],
        }


def what_if(
    scenario: Scenario,
    objectives: Sequence[str] = (),
    *,
    changes: Sequence[Change] | None = None,
    replications: int | None = None,
    runner: PointRunner | None = None,
    workers: int = 1,
    progress: Callable[[Change], None] | None = None,
) -> WhatIf:
    """Try alternatives one at a time and rank them.

    Parameters
    ----------
    scenario: the question as it is; its sweep is left out.
    objectives: whose figures are compared; the scenario's own, or ``p99`` of latency where there are none.
    changes: what to try; the scenario's ``what_if``, or a standard list (`standard_changes`).
    replications: pairs behind every ratio. runner, workers, progress: as for `netsim.analysis.capacity.capacity`.

    Raises
    ------
    InputError: a mistake in the scenario itself.
    """
    texts = list(objectives) or list(scenario.slo) or ["p99<1s"]
    asked = with_values(single(scenario), {"slo": texts})
    parsed = [parse_objective(text) for text in texts]
    tried = tuple(changes) if changes is not None else stated_changes(asked) or standard_changes(asked)
    count = replications or max(REPLICATIONS, asked.run.replications)
    bench = Bench(parsed, runner=runner or run_point, workers=workers, budget=count)
    try:
        return _compared(asked, tried, bench, count, progress)
    finally:
        bench.close()


def _compared(
    scenario: Scenario,
    changes: Sequence[Change],
    bench: Bench,
    count: int,
    progress: Callable[[Change], None] | None,
) -> WhatIf:
    objectives = bench.objectives
    before = bench.measure(scenario, count)
    if isinstance(before, str):
        raise InputError("the scenario cannot exist as it is", place=Place(scenario.file), got=before)
    baseline = _figures(scenario, before, objectives)
    effects: list[list[Effect]] = [[] for _ in objectives]
    left_out = []
    for change in changes:
        after = _measured(scenario, change, bench, count)
        if isinstance(after, str):
            left_out.append(LeftOut(change, after))
        else:
            for found, old, new, objective in zip(effects, baseline, after, objectives, strict=True):
                found.append(_effect(change, objective, old, new))
        if progress is not None:
            progress(change)
    ranked = [
        effect
        for found, objective in zip(effects, objectives, strict=True)
        for effect in sorted(found, key=lambda effect: _rank(effect, objective.upper))
    ]
    return WhatIf(tuple(ranked), tuple(left_out))


def _measured(scenario: Scenario, change: Change, bench: Bench, count: int) -> list[Figure] | str:
    """Return the figures with the change, or why it cannot be made here."""
    try:
        changed = with_values(scenario, change.settings)
        runs = bench.measure(changed, count)
        return runs if isinstance(runs, str) else _figures(changed, runs, bench.objectives)
    except InputError as error:
        return error.message if error.got is None else f"{error.message}: {error.got}"
    except RunFailedError as error:
        return f"the run failed: {error}"


def _figures(scenario: Scenario, runs: Mapping[int, Measured], objectives: Sequence[Objective]) -> list[Figure]:
    figures = summarise(runs, quantiles_of(scenario)).figures
    return [figure_of(objective, figures) for objective in objectives]


def _effect(change: Change, objective: Objective, old: Figure, new: Figure) -> Effect:
    differences = [after - before for after, before in zip(new.values, old.values, strict=True)]
    difference = from_replications(differences).interval()
    ratio = Interval(math.nan, math.nan, math.nan)
    if min(*new.values, *old.values) > 0.0:
        value, low, high, level = paired_log_ratio(new.values, old.values).interval()
        ratio = Interval(math.exp(value), math.exp(low), math.exp(high), level)
    name = f"{objective.metric} {objective.statistic}"
    return Effect(change, name, ratio, difference, _verdict(difference, objective.upper))


def _verdict(difference: Interval, smaller_is_better: bool) -> Literal["better", "worse", "same"]:
    if not (difference.low > 0.0 or difference.high < 0.0):
        return "same"
    return "better" if (difference.value < 0.0) == smaller_is_better else "worse"


def _rank(effect: Effect, smaller_is_better: bool) -> tuple[float, str]:
    """Order by how much better a change makes the figure; equal ones by name."""
    change = math.log(effect.ratio.value) if effect.ratio.value > 0.0 else effect.difference.value
    return (change if smaller_is_better else -change), effect.change.name


# ------------------------------------------------------------------------------------------------ what to try


def stated_changes(scenario: Scenario) -> tuple[Change, ...]:
    """Return the alternatives a scenario states under ``what_if``; levels it already has are no alternatives."""
    now = dict(scenario)  # the fields alone: equal questions may be written differently
    return tuple(
        _set(key, level)
        for key, levels in scenario.what_if.items()
        for level in levels
        if dict(with_values(scenario, {key: level})) != now
    )


PROXIES = ("iptables", "ipvs", "nftables", "ebpf")
PLUGINS = (
    "kubenet", "flannel-host-gw", "flannel-vxlan", "calico-bgp", "calico-ipip", "calico-ebpf", "cilium-native",
    "cilium-vxlan", "antrea-geneve",
)  # fmt: skip
"""One shipped plugin of every kind: bridge and cloud routes, host routes, overlays, eBPF, flow tables."""
JUMBO = 9000
MORE = 4
"""By how much resources grow in an alternative."""


def standard_changes(scenario: Scenario) -> tuple[Change, ...]:
    """Return what a planner would try first, without what the scenario already has."""
    return tuple(_standard(scenario))


def _standard(scenario: Scenario) -> Iterator[Change]:
    network, machine = scenario.network, scenario.cluster.machine
    proxy = proxy_of(scenario)
    yield from (_set("network.proxy", mode) for mode in PROXIES if mode != proxy)
    # a proxy stated for one plugin may be impossible with another: let each bring its usual one
    usual: dict[str, Any] = {} if network.proxy is None else {"network.proxy": None}
    yield from (
        Change(f"network.plugin={name}", {"network.plugin": name, **usual})
        for name in PLUGINS
        if name != network.plugin
    )
    yield from _dns_changes(scenario)
    if any(entry.connection == "per-request" for entry in scenario.traffic if entry.kind == "rpc"):
        yield _set("traffic.connection", "keep-alive")
    if machine.mtu < JUMBO:
        yield _set("cluster.machine.mtu", JUMBO)
    yield _set("cluster.machine.nic", f"{MORE * machine.nic / 1e9:g}Gbit/s")
    if machine.queues is not None and machine.queues < machine.cores:
        yield _set("cluster.machine.queues", machine.cores)
        if not machine.rps:
            yield _set("cluster.machine.rps", True)
    yield _set("cluster.machine.cores", 2 * machine.cores)
    entries = network.conntrack_max or OPEN["network.conntrack_max"](scenario)
    yield _set("network.conntrack_max", MORE * entries)


def _dns_changes(scenario: Scenario) -> Iterator[Change]:
    dns = scenario.dns
    if dns.lookups == "none":
        return
    yield _set("dns.replicas", 2 * (dns.replicas or OPEN["dns.replicas"](scenario)))
    if not dns.node_local:
        yield _set("dns.node_local", True)
    if not dns.fqdn:
        yield _set("dns.fqdn", True)
        if dns.ndots != 1:
            yield _set("dns.ndots", 1)


def _set(key: str, value: Any) -> Change:
    return Change(f"{key}={value if isinstance(value, str) else json.dumps(value)}", {key: value})
