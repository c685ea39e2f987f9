"""Exponents of growth, parts of the time, and Kubernetes' indicators, on a study whose figures follow formulas."""

from __future__ import annotations

import pytest
from formula_runner import formula_point

from netsim import InputError
from netsim.analysis.bottleneck import utilisation
from netsim.analysis.growth import growth, growth_of_parts
from netsim.analysis.indicators import indicators
from netsim.report.bottlenecks import growth_rows, indicator_rows, split_rows
from netsim.report.frame import frame_of
from netsim.scenario import build
from netsim.study import StudyResult, run_study


@pytest.fixture(scope="module")
def study() -> StudyResult:
    scenario = build(
        {
            "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 4, "services": 1}},
            "network": {"plugin": "flannel-vxlan"},
            "traffic": [{"from": "all", "to": "service-1", "rate": "10/s"}],
            "run": {"replications": 4},
            "sweep": {"network.proxy": ["iptables", "ipvs"], "traffic.rate": ["10/s", "1000/s", "100000/s"]},
        }
    )
    return run_study(scenario, runner=formula_point)


@pytest.fixture(scope="module")
def sized(study: StudyResult) -> StudyResult:
    """The same with a numeric factor."""
    document = {**study.scenario.document, "sweep": {"network.proxy": ["iptables", "ipvs"],
                                                     "cluster.machine.mtu": [1400, 1500, 9000]}}  # fmt: skip
    return run_study(build(document), runner=formula_point)


def test_exponents_over_all_sizes_and_over_the_last_step(sized: StudyResult) -> None:
    found = growth(sized, "latency", "p50", over="cluster.machine.mtu", where={"network.proxy": "ipvs"})
    assert found.sizes == (1400.0, 1500.0, 9000.0)
    assert found.last.value == pytest.approx(-0.12454, abs=1e-4)  # ln 0.8 / ln 6
    # common random numbers leave no luck in the exponent
    assert (found.last.low, found.last.high) == pytest.approx((found.last.value, found.last.value))
    assert found.order == "flat"
    parts = growth_of_parts(sized, over="cluster.machine.mtu", where={"network.proxy": "ipvs"})
    assert [part.name for part in parts] == ["application", "socket.send"]


def test_growth_needs_a_numeric_factor_of_the_sweep(study: StudyResult) -> None:
    with pytest.raises(InputError, match="not a factor"):
        growth(study, "latency", "p50", over="cluster.nodes")
    with pytest.raises(InputError, match="at least two sizes"):
        growth(study, "latency", "p50", over="network.proxy")
    with pytest.raises(InputError, match="at least two sizes"):
        growth(study, "loss", "mean", over="traffic.rate")


def test_stations_are_ranked(study: StudyResult) -> None:
    ranked = utilisation(study, 2)
    assert [load.name for load in ranked] == ["node-1/core0", "node-1/up"]
    assert ranked[0].utilization.value == 1.0 and ranked[0].kind == "core"


def test_indicators_have_their_names_and_objectives(study: StudyResult) -> None:
    network, dns, programming = indicators(study)
    assert [item.name for item in (network, dns, programming)] == [
        "In-cluster network latency", "In-cluster DNS latency", "Network programming latency",
    ]  # fmt: skip
    assert network.p99_s.value == pytest.approx(3.1e-3 * 1.0233, rel=0.01)  # a normal spread of 1 %
    assert network.objective_s is None and network.met is None
    assert dns.to_dict()["p99_s"] is None
    assert programming.objective_s == 30.0 and programming.met is True
    assert 0.99 < programming.p99_s.value < 1.1  # kube-proxy waits up to minSyncPeriod, 1 s


def test_an_ipvs_proxy_starts_to_write_at_once(study: StudyResult) -> None:
    assert 0.0 < indicators(study, 3)[2].p99_s.value < 0.99  # processes and netlink calls, no minSyncPeriod


def test_rows_of_a_report(sized: StudyResult) -> None:
    frame = frame_of(sized)
    columns, rows = split_rows(sized, frame)
    assert len(columns) == 6 and rows[0][:4] == ["iptables at 9000", "mean", "request", "application"]
    columns, rows = growth_rows(sized, frame)
    assert {row[0] for row in rows} == {"iptables", "ipvs"} and all(len(row) == len(columns) for row in rows)
    _, rows = indicator_rows(sized, frame)
    assert len(rows) == 6
