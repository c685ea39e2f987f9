"""Capacity: where a search ends, what stops it, hard limits, documents."""

from __future__ import annotations

import json
from functools import partial

import pytest
from formula_runner import formula_point

from netsim import InputError
from netsim.analysis.bottleneck import lift_of, station_kind, time_split
from netsim.analysis.capacity import capacity
from netsim.analysis.objectives import judge, verdict_of
from netsim.analysis.trials import Bench, Trial, hard_limits_of
from netsim.scenario import build, parse_objective
from netsim.stats.estimates import Estimate
from netsim.study.executor import ProcessExecutor, SerialExecutor
from netsim.study.figures import summarise
from netsim.study.runner import run_point

search = partial(capacity, runner=formula_point, following=False)


def scenario(**changes: object):
    document: dict[str, object] = {
        "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 2, "services": 1}},
        "dns": {"lookups": "none"},
        "traffic": [{"from": "all", "to": "service-1", "rate": "10/s", "connection": "keep-alive"}],
    }
    return build({**document, **changes})


def test_the_bracket_holds_the_answer_and_is_as_narrow_as_asked() -> None:
    """p50 = 3 ms + 10 us a 1/s reaches 5 ms at 200/s."""
    answer = search(scenario(), ["p50<5ms"], tolerance=0.02)
    document = answer.to_dict()
    assert document["low"] <= 200.0 <= document["high"] <= 1.02 * document["low"] * (1 + 1e-6)
    assert document["value"] == pytest.approx(200.0, rel=0.01)
    assert document["headroom"] == pytest.approx(20.0, rel=0.01)
    assert document["settings"] == {"traffic[0].rate": {"per_pod": f"{document['value']!r}/s"}}
    json.dumps(document, allow_nan=False)


def test_a_present_value_that_misses_is_searched_downwards() -> None:
    asked = scenario(traffic=[{"from": "all", "to": "service-1", "rate": "800/s", "connection": "keep-alive"}])
    answer = search(asked, ["p50<5ms"])
    assert answer.found.outcome == "bracketed"
    assert answer.headroom == pytest.approx(0.25, rel=0.03)
    assert answer.to_dict()["now"][0]["met"] is False


def test_several_objectives_all_have_to_hold() -> None:
    both = search(scenario(), ["p50<5ms", "mean<4ms"], tolerance=0.02)
    assert both.found.value == pytest.approx(100.0, rel=0.01)
    assert [item.figure for item in both.judged] == ["latency p50", "latency mean"]


def test_a_slow_part_is_the_cause_where_no_station_is_busy() -> None:
    answer = search(scenario(), ["p50<5ms"])
    assert answer.cause is not None
    assert (answer.cause.kind, answer.cause.name) == ("part", "request: application")
    assert lift_of(answer.cause) is None


def test_a_station_that_is_asked_for_too_much_ends_the_search() -> None:
    answer = search(scenario(), ["p50<1s"])
    assert answer.found.value == pytest.approx(2000.0, rel=0.06)
    assert answer.cause is not None
    assert (answer.cause.kind, answer.cause.name) == ("core", "node-1/core0")
    lift = lift_of(answer.cause)
    assert lift is not None and lift.free_cores


def test_closed_loops_may_keep_a_station_busy() -> None:
    figures = summarise({0: formula_point(scenario(), seed=1, replication=0)}, (0.5,)).figures
    assert not Trial(1.0, figures=figures, open_loop=False).overloaded


def test_the_route_table_of_the_cloud_is_an_exact_end_without_running_anything_there() -> None:
    """Kubenet: one route a node, 400 in the table."""
    asked = scenario(
        cluster={"synthetic": {"nodes": 50, "pods_per_node": 1, "services": 1}, "provider": "azure"},
        network={"plugin": "kubenet"},
    )
    answer = search(asked, ["p50<5ms"], over="cluster.nodes")
    assert answer.found.value == 400.0
    assert (answer.to_dict()["low"], answer.to_dict()["high"]) == (400.0, 401.0)
    assert answer.cause is not None and answer.cause.kind == "limit"
    assert "400" in answer.cause.text


def test_conntrack_fills_by_littles_law() -> None:
    """Two ends, 120 s: 4 pods on 2 nodes fill 65,536 entries at 65536 / (2 * 120 * 4 / 2) a pod."""
    asked = scenario(
        network={"plugin": "flannel-host-gw", "conntrack_max": 65536},
        traffic=[{"from": "all", "to": "service-1", "rate": "10/s"}],
    )
    answer = search(asked, ["p50<5ms"])
    assert answer.found.value == pytest.approx(65536 / (120.0 * 2 * 4 / 2), rel=2e-3)
    assert answer.cause is not None and answer.cause.name == "conntrack entries"


def test_a_limit_that_holds_everywhere_means_it_cannot_be_met() -> None:
    asked = scenario(network={"plugin": "kubenet", "proxy": "ebpf"})
    assert hard_limits_of(asked)
    answer = search(asked, ["p50<5ms"])
    assert answer.found.outcome == "cannot be met"
    assert answer.to_dict()["value"] is None and answer.judged == ()


def test_the_next_bottleneck_goes_on_from_the_first() -> None:
    asked = scenario(
        network={"plugin": "flannel-host-gw", "conntrack_max": 65536},
        traffic=[{"from": "all", "to": "service-1", "rate": "10/s"}],
    )
    answer = capacity(asked, ["p50<5ms"], runner=formula_point)
    assert answer.following is not None
    assert answer.following.found.value == pytest.approx(200.0, rel=0.05)
    assert "conntrack entries" in answer.following.how
    assert answer.to_dict()["next"]["limited_by"]["kind"] == "part"


def test_mistakes_are_told() -> None:
    with pytest.raises(InputError, match="needs an objective"):
        search(scenario())
    with pytest.raises(InputError, match="not an objective"):
        search(scenario(), ["p99<5parsecs"])
    with pytest.raises(InputError, match="does not measure"):
        search(scenario(), ["dns.p99<5ms"])


def test_the_scenarios_own_objectives_are_used() -> None:
    answer = search(scenario(slo=["p50<4ms"]))
    assert answer.found.value == pytest.approx(100.0, rel=0.03)


def test_verdicts_need_an_interval_clear_of_the_limit() -> None:
    limit = parse_objective("p99<5ms")
    assert verdict_of(limit, Estimate(4e-3, 1e-4, 9)) == "met"
    assert verdict_of(limit, Estimate(4.9e-3, 1e-4, 9)) == "open"
    assert verdict_of(limit, Estimate(6e-3, 1e-4, 9)) == "missed"
    assert verdict_of(parse_objective("goodput>1Gbit/s"), Estimate(2e9, 1e6, 9)) == "met"
    assert verdict_of(limit, Estimate(float("nan"), float("nan"), 0)) == "open"


def test_unfinished_transactions_count_as_slower_than_any_limit() -> None:
    from dataclasses import replace

    from netsim.study.outcome import Scalar

    run = formula_point(scenario(), seed=1, replication=0)
    stuck = replace(run, scalars=(*run.scalars, Scalar("scenario", "", "unfinished", "mean", 0.02, "1")))
    figures = summarise({0: stuck}, (0.5, 0.99)).figures
    assert judge(parse_objective("p99<1s"), figures).verdict == "missed"
    assert judge(parse_objective("p50<1s"), figures).verdict == "met"


def test_recovery_is_that_of_the_fault_it_takes_longest() -> None:
    from dataclasses import replace

    from netsim.study.outcome import Scalar

    run = formula_point(scenario(), seed=1, replication=0)
    faults = (Scalar("fault", name, "recovery", "max", value, "s") for name, value in (("a", 0.2), ("b", 1.5)))
    figures = summarise({0: replace(run, scalars=(*run.scalars, *faults))}, (0.5,)).figures
    assert judge(parse_objective("recovery<1s"), figures).verdict == "missed"
    assert judge(parse_objective("recovery.max<2s"), figures).verdict == "met"
    with pytest.raises(InputError, match="does not measure"):
        judge(parse_objective("convergence<1s"), figures)
    with pytest.raises(ValueError, match="no statistic"):
        parse_objective("recovery.p99<1s")


def test_utilization_is_that_of_the_busiest_kind() -> None:
    answer = search(scenario(), ["utilization<50%"], tolerance=0.02)
    assert answer.found.value == pytest.approx(1000.0, rel=0.02)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("node-3/core12", "core"),
        ("node-1/up", "link"),
        ("leaf0/spine1/down", "link"),
        ("kube-system/coredns-0", "pool"),
    ],
)
def test_kinds_of_stations(name: str, kind: str) -> None:
    assert station_kind(name) == kind


def test_parts_add_up() -> None:
    runs = [formula_point(scenario(), seed=1, replication=number) for number in range(4)]
    parts = time_split(runs)
    assert [part.key.phase for part in parts] == ["request", "connect"]
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    assert parts[0].seconds.low < parts[0].seconds.value < parts[0].seconds.high


def test_workers_are_kept_between_trials_and_change_nothing() -> None:
    objectives = [parse_objective("p50<5ms")]
    alone = Bench(objectives, runner=formula_point)
    several = Bench(objectives, runner=formula_point, workers=2)
    assert isinstance(alone._executor, SerialExecutor) and isinstance(several._executor, ProcessExecutor)
    try:
        first = several.measure(scenario(), 4)
        pool = several._executor._idle
        assert pool is not None
        second = several.measure(scenario(), 4)
        assert several._executor._idle is pool
    finally:
        several.close()
    mine = alone.measure(scenario(), 4)
    assert not isinstance(first, str) and not isinstance(second, str) and not isinstance(mine, str)
    for runs in (first, second):
        assert [run.times["latency"].tolist() for run in runs.values()] == [
            run.times["latency"].tolist() for run in mine.values()
        ]


@pytest.mark.slow
def test_by_the_engine_a_core_saturates_and_lifting_it_leads_further() -> None:
    """One client keeps a server's core at 1 ms a request: 1,000/s at most, M/M/1 with a mean of 1 / (mu - lambda)."""
    asked = build(
        {
            "cluster": {
                "synthetic": {"nodes": 2, "pods_per_node": 1, "services": 1, "endpoints_per_service": 1,
                              "namespaces": 1},
                "machine": {"cores": 4},
            },
            "dns": {"lookups": "none"},
            "traffic": [
                {"from": "client-1", "to": "service-1", "rate": "200/s", "connection": "keep-alive", "pool": 64,
                 "work": {"exponential": "1ms"}, "request": "100B", "response": "100B"},
            ],
            "run": {"transactions": 4000},
        }
    )  # fmt: skip
    answer = capacity(asked, ["mean<4ms"], tolerance=0.06)
    # the path and the packets' own work add some 40 us to each of them
    assert answer.found.value == pytest.approx(1.0 / (1e-3 + 20e-6) - 1.0 / 3.95e-3, rel=0.05)
    assert answer.cause is not None and answer.cause.kind == "core"
    assert answer.following is not None
    assert answer.following.found.value > 10.0 * answer.found.value or answer.following.found.outcome != "bracketed"


def test_the_engine_lifts_cores_and_limits() -> None:
    asked = scenario(run={"transactions": 50})
    usual = run_point(asked, seed=1, replication=0)
    free = run_point(asked, seed=1, replication=0, free_cores=True)
    assert free.times["latency"].mean() < 0.5 * usual.times["latency"].mean()  # type: ignore[union-attr]
