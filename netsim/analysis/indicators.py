"""Kubernetes' service-level indicators of networking, by their names, from a study's figures.

Definitions: kubernetes/community, sig-scalability/slos (network_latency.md, dns_latency.md,
network_programming_latency.md). All three are "WIP" there and state their objectives with open figures (X, Y); the one
figure that is tested is the network programming latency of clusterloader2 (kubernetes/perf-tests): p99 of at most 30 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netsim.analysis.objectives import plain
from netsim.datapath.build import cluster_of, profile_of, proxy_of
from netsim.datapath.pacing import FULL_SYNC_PERIOD_S, Pace, waits
from netsim.datapath.programming import programming
from netsim.scenario import Scenario
from netsim.stats.estimates import Interval
from netsim.stats.quantiles import TooFewSamples, sectioned_quantile
from netsim.study.outcome import Measured
from netsim.study.result import StudyResult
from netsim.study.selection import selections

PROGRAMMING_S = 30.0
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator: its p99 in seconds, the objective where one has a figure, and how it was found."""

    name: str
    p99_s: Interval
    objective_s: float | None
    how: str

    @property
    def met(self) -> bool | None:
        """Whether the objective is met; `None` where it has no figure or nothing was measured."""
        if self.objective_s is None or np.isnan(self.p99_s.value):
            return None
        return self.p99_s.value <= self.objective_s

    def to_dict(self) -> dict[str, Any]:
        """Return the indicator as plain values."""
        value, low, high, _ = self.p99_s
        return {
            "name": self.name, "p99_s": plain(value), "ci_low": plain(low), "ci_high": plain(high),
            "objective_s": self.objective_s, "met": self.met, "how": self.how,
        }  # fmt: skip


def indicators(result: StudyResult, point: int = 0) -> tuple[Indicator, ...]:
    """Return the three indicators of one point of a study.

    The probers of the definitions ask a "null service" once a second; here every user transaction is a probe, so the
    figures hold the servers' work too where the scenario has any.
    """
    runs = tuple(result.runs.get(point, {}).values())
    return (
        Indicator("In-cluster network latency", _p99(runs, _without_dns), None,
                  "connection and request of users' transactions, without the look-up"),
        Indicator("In-cluster DNS latency", _p99(runs, _dns), None, "look-ups of users' transactions"),
        _programming(result.points[point].scenario),
    )  # fmt: skip


def _users(run: Measured) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return next(selections(run.edges)).mask(run.edge)


def _without_dns(run: Measured) -> Any:
    dns = run.times.get("dns")
    latency = run.times["latency"]
    return (latency if dns is None else latency - np.nan_to_num(dns))[_users(run)]


def _dns(run: Measured) -> Any:
    dns = run.times.get("dns", np.empty(0))
    chosen = dns[_users(run)] if len(dns) else dns
    return chosen[~np.isnan(chosen)]


def _p99(runs: tuple[Measured, ...], samples: Any) -> Interval:
    try:
        return sectioned_quantile([samples(run) for run in runs], 0.99).interval()
    except TooFewSamples:
        return UNKNOWN


def _programming(scenario: Scenario) -> Indicator:
    """A change waits for the proxy's next sync (`netsim.datapath.pacing`), a partial one of the largest Service."""
    proxy = proxy_of(scenario)
    cluster = cluster_of(scenario)
    largest = max(cluster.services, key=lambda service: len(cluster.endpoints(service.key)), default=None)
    prices = profile_of(scenario).prices()
    if cluster.nodes:
        prices = prices.at_clock(cluster.nodes[0].machine.clock_ghz)
    pace = programming(cluster, proxy, [] if largest is None else [largest.key], prices)
    how = (
        f"wait for the next sync of {proxy} and a partial write of the largest Service ({pace.sync_s:.2g} s; all of "
        f"them, after a restart, {pace.full_s:.2g} s); API and watch left out"
    )
    value = float(waits(Pace(pace.min_sync_s, pace.sync_s, pace.full_s, FULL_SYNC_PERIOD_S), (0.99,))[0])
    return Indicator("Network programming latency", Interval(value, value, value), PROGRAMMING_S, how)
