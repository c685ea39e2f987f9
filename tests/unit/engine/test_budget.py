"""Which edges are followed where there are too many: known chances, a bounded number, figures that stay unbiased."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import numpy as np
import pytest

from netsim.engine.background.budget import Share, drawn, shares
from netsim.engine.background.sampling import Plan, plan
from netsim.engine.randomness.streams import Streams
from netsim.scenario import build
from netsim.study.figures import Key, PointFigures, summarise
from netsim.study.outcome import Edge, Measured
from netsim.study.runner import model_of, run_point
from netsim.study.selection import selections

CLIENTS = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55] * 6
RATES = [count * rate for count, rate in zip(CLIENTS, [0.1, 1.0, 10.0, 100.0, 1000.0] * 12, strict=True)]
BUDGET = 200
DRAWS = 2000


def test_the_expected_number_of_clients_is_the_budget() -> None:
    planned = shares(CLIENTS, RATES, BUDGET)
    assert all(0.0 < each.chance <= 1.0 and 1 <= each.clients <= n for each, n in zip(planned, CLIENTS, strict=True))
    # certain edges round their clients up
    certain = sum(each.chance == 1.0 for each in planned)
    assert BUDGET - 1e-6 <= math.fsum(each.chance * each.clients for each in planned) <= BUDGET + certain


def test_a_budget_for_all_follows_all() -> None:
    assert shares([3, 9, 1], [1.0, 2.0, 300.0], 13) == (Share(3, 1.0), Share(9, 1.0), Share(1, 1.0))


def test_alike_edges_count_alike_and_a_transaction_never_counts_more_than_four_times() -> None:
    even = [each.chance * each.clients / n for each, n in zip(shares([4] * 50, [40.0] * 50, 40), [4] * 50, strict=True)]
    assert even == pytest.approx([0.2] * 50)
    found = [each.chance * each.clients / n for each, n in zip(shares(CLIENTS, RATES, BUDGET), CLIENTS, strict=True)]
    assert 1.0 / min(found) <= 4.0 * sum(CLIENTS) / BUDGET


def test_edges_are_drawn_with_their_own_chance_and_in_a_bounded_number() -> None:
    planned, labels = shares(CLIENTS, RATES, BUDGET), [f"edge-{index}" for index in range(len(CLIENTS))]
    draws = [drawn(planned, labels, Streams(1, replication)) for replication in range(DRAWS)]
    found = Counter(index for draw in draws for index in draw)
    for index, each in enumerate(planned):
        error = math.sqrt(each.chance * (1.0 - each.chance) / DRAWS)
        assert abs(found[index] / DRAWS - each.chance) <= 4.5 * error
    expected = math.fsum(each.chance for each in planned)
    assert {len(draw) for draw in draws} <= {math.floor(expected), math.ceil(expected)}
    assert drawn(planned, labels, Streams(1, 3)) == draws[3]
    assert max(sum(planned[index].clients for index in draw) for draw in draws) <= BUDGET + 20


def test_figures_over_several_edges_count_each_edge_by_its_part() -> None:
    edge = np.repeat(np.array([0, 1], np.int32), 1000)[np.argsort(np.tile(np.arange(1000), 2), kind="stable")]
    whole, first, second, service = selections([Edge("a", "x", True, 0.25), Edge("b", "x", True, 1.0)])
    for pooled in (whole, service):
        assert Counter(edge[pooled.mask(edge)].tolist()) == {0: 250, 1: 1000}
    assert [int(each.mask(edge).sum()) for each in (first, second)] == [1000, 1000]


# ------------------------------------------------------------------------------------------------ runs

REPLICATIONS = 4


@cache
def _figures(clients: str, followed_clients: int) -> tuple[PointFigures, tuple[Measured, ...], Plan]:
    """Run 60 edges whose rates, sizes and clients differ: fast ones carry small answers, slow ones large ones."""
    traffic = [
        {
            "from": f"app-{1 + index % 20}", "to": f"service-{1 + (7 * index + 3) % 20}", "name": f"edge-{index}",
            "rate": f"{(1, 5, 25)[index % 3]}/s", "response": ("256KiB", "16KiB", "200B")[index % 3],
            "work": ("2ms", "300us", "20us")[index % 3],
        }
        for index in range(60)
    ]  # fmt: skip
    scenario = build({
        "cluster": {"synthetic": {"nodes": 10, "pods_per_node": 12, "services": 20, "namespaces": 1}},
        "dns": {"lookups": "none"},
        "traffic": traffic,
        "run": {"clients": clients, "followed_clients": followed_clients, "duration": "1 s", "warmup": "0 s"},
    })  # fmt: skip
    found = [run_point(scenario, seed=5, replication=index) for index in range(REPLICATIONS)]
    runs = {index: run for index, run in enumerate(found) if isinstance(run, Measured)}
    assert len(runs) == REPLICATIONS
    return summarise(runs, (0.5, 0.9)), tuple(runs.values()), plan(model_of(scenario)[0], Streams(5, 0))


def _all() -> PointFigures:
    return _figures("all", 1000)[0]


@pytest.mark.parametrize(
    ("metric", "stat"),
    [("throughput", "mean"), ("goodput", "mean"), ("latency", "mean"), ("latency", "p50"), ("latency", "p90"),
     ("connect", "mean"), ("request", "mean"), ("failed", "mean")],
)  # fmt: skip
def test_a_sample_of_the_edges_speaks_for_all(metric: str, stat: str) -> None:
    def of(figures: PointFigures) -> tuple[float, float]:
        found = {figure.key[:4]: figure.estimate for figure in figures.figures}["scenario", "", metric, stat]
        return found.value, found.se

    (full, full_se), (some, some_se) = of(_all()), of(_figures("auto", 100)[0])
    assert abs(some - full) <= 3.2 * math.hypot(full_se, some_se)  # t, 2.5 % with some 3 degrees of freedom
    assert some_se <= 0.35 * some or full == some  # few edges carry most of the bytes


def test_no_more_is_followed_than_the_budget_allows() -> None:
    _, runs, chosen = _figures("auto", 100)
    followed = [len(each) for each in chosen.followed]
    assert 90 <= sum(followed) <= 110
    assert sum(count > 0 for count in followed) < 60
    assert [share > 0.0 for share in chosen.share] == [count > 0 for count in followed]
    assert any("of 60 edges drawn" in note for note in runs[0].notes)


def test_only_followed_edges_have_figures_of_their_own() -> None:
    figures, runs, _ = _figures("auto", 100)
    seen = {run.edges[index].name for run in runs for index in run.edge.tolist()}
    told: set[Key] = {figure.key for figure in figures.figures if figure.key.scope == "edge"}
    assert seen <= {key.name for key in told} < {f"edge-{index}" for index in range(60)} | seen
    assert not [figure for figure in figures.figures if math.isinf(figure.estimate.value)]


def test_edges_that_fit_are_all_followed_whatever_the_budget() -> None:
    assert not _figures("auto", 1000)[2].drawn
    assert _figures("auto", 1000)[2] == _figures("auto", 5000)[2]


def _followed(rate: str, **run: object) -> int:
    """Return how many clients a run follows of 160 edges of 8 clients each."""
    traffic = [
        {"from": f"app-{1 + index % 20}", "to": f"service-{1 + (index + index // 20) % 20}", "name": f"edge-{index}",
         "rate": rate}
        for index in range(160)
    ]  # fmt: skip
    scenario = build({
        "cluster": {"synthetic": {"nodes": 10, "pods_per_node": 16, "services": 20, "namespaces": 1}},
        "dns": {"lookups": "none"}, "traffic": traffic, "run": run,
    })  # fmt: skip
    return sum(map(len, plan(model_of(scenario)[0], Streams(5, 0)).followed))


def test_by_default_drawn_edges_bring_what_is_wanted_and_little_more() -> None:
    assert abs(_followed("10/s") - 250) <= 8  # 2,000 transactions and a quarter for the warm-up, in a second
    assert abs(_followed("4/s") - 625) <= 8
    assert abs(_followed("1/s") - 1000) <= 8
    assert abs(_followed("4/s", duration="10 s") - 250) <= 8
    assert abs(_followed("10/s", followed_clients=800) - 800) <= 8
    assert _followed("10/s", followed_clients=2000) == 1280
