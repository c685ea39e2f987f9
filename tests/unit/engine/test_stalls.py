"""The probability of a DNS stall: computed from the datagrams of a look-up, seen in runs, and carried by figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import netsim
from netsim.report import Result
from netsim.scenario import build


def run(loss: float, *, transactions: int = 200, replications: int = 3, **changes: Any) -> Result:
    document: dict[str, Any] = {
        "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 3, "services": 2, "namespaces": 1}},
        "network": {"plugin": "kubenet"},
        "dns": {"loss": loss, "fqdn": True},
        "traffic": [{"from": "all", "to": "service-1", "rate": "50/s"}],
        "run": {"replications": replications, "transactions": transactions},
        "slo": ["p99.9<1s"],
        **changes,
    }
    return netsim.run(build(document))


def value(result: Result, metric: str, stat: str, scope: str = "scenario", name: str = "") -> float:
    return result.figure(metric, stat, scope=scope, name=name).estimate.value


EDGE = ("edge", "all->service-1")


def test_probability_of_a_full_name_is_that_of_four_datagrams() -> None:
    """A and AAAA, query and answer each."""
    result = run(1e-5)
    expected = 1.0 - (1.0 - 1e-5) ** 4
    assert value(result, "dns", "stall_probability", *EDGE) == pytest.approx(expected)
    assert value(result, "latency", "stall_probability") == pytest.approx(expected)
    assert value(result, "dns", "stall_time", *EDGE) == 5.0


def test_a_search_list_takes_more_datagrams_and_a_node_cache_passes_few_on() -> None:
    searched = value(run(1e-5, dns={"loss": 1e-5, "ndots": 5}), "dns", "stall_probability", *EDGE)
    assert searched > 1.5 * (1.0 - (1.0 - 1e-5) ** 4) or searched == pytest.approx(4e-5, rel=0.01)
    cached = value(run(1e-5, dns={"loss": 1e-5, "fqdn": True, "node_local": True}), "dns", "stall_probability", *EDGE)
    assert cached * 1.0001 >= 4e-5
    assert cached < 8e-5


def test_runs_that_are_long_enough_show_the_computed_probability() -> None:
    result = run(0.01, transactions=1500, replications=2)
    probability = value(result, "dns", "stall_probability", *EDGE)
    looked = np.concatenate([run.times["dns"] for run in result.runs[0].values()])
    seen = float(np.mean(looked >= 5.0))
    assert abs(seen - probability) < 4.0 * math.sqrt(probability * (1.0 - probability) / len(looked))


def test_a_stall_nobody_saw_is_in_the_mean_and_in_the_quantile_it_decides() -> None:
    without, with_ = run(0.0), run(5e-4)
    probability = value(with_, "latency", "stall_probability")
    assert probability == pytest.approx(2e-3, rel=0.01)
    moved = value(with_, "latency", "mean") - value(without, "latency", "mean")
    assert moved == pytest.approx(5.0 * probability, rel=0.02)
    assert value(with_, "latency", "p99.9") == pytest.approx(5.0, abs=0.1)
    assert value(with_, "latency", "p99") < 0.1
    assert any("too rare for so few samples" in note for note in with_.notes)
    assert not any("too rare" in note for note in without.notes)
    assert without.figure("latency", "mean").estimate.value < 0.01


def test_musl_waits_half_as_long() -> None:
    assert value(run(1e-4, dns={"loss": 1e-4, "resolver": "musl"}), "dns", "stall_time", *EDGE) == 2.5


def test_without_losses_nothing_is_added() -> None:
    result = run(0.0)
    assert all("stall" not in figure.key.stat for figure in result.summaries[0].figures)


def test_calls_of_servers_count_for_their_users() -> None:
    traffic = [{"from": "app-2", "to": "service-1", "rate": "50/s", "then": [
        {"to": "service-2", "connection": "per-request", "count": 2}]}]  # fmt: skip
    result = run(1e-5, traffic=traffic)
    own = value(result, "dns", "stall_probability", "edge", "app-2->service-1")
    assert value(result, "latency", "stall_probability") == pytest.approx(3.0 * own, rel=0.05)
