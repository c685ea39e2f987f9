"""The capacity search against queues whose answer is known in closed form."""

from __future__ import annotations

import math

import pytest
from queue_runner import queue_point
from scipy.optimize import brentq

from netsim.analysis.capacity import capacity
from netsim.scenario import build

WORK_S = 10e-3


def question(servers: int, **run: object):
    return build(
        {
            "name": "queue",
            "cluster": {"synthetic": {"nodes": 1, "pods_per_node": 2, "services": 1}},
            "dns": {"workers": servers},
            "traffic": [
                {
                    "from": "all",
                    "to": "service-1",
                    "rate": "20/s",
                    "work": {"exponential": "10ms"},
                    "connection": "keep-alive",
                }
            ],
            "run": run,
        }
    )


def mean_sojourn(rate: float, servers: int) -> float:
    """Erlang C: mean wait C(c, a)/(c mu - lambda), plus the service."""
    offered = rate * WORK_S
    below = math.fsum(offered**k / math.factorial(k) for k in range(servers))
    last = offered**servers / math.factorial(servers) / (1.0 - offered / servers)
    return last / (below + last) / (servers / WORK_S - rate) + WORK_S


@pytest.mark.parametrize("servers", [1, 2, 8])
def test_load_at_which_the_mean_reaches_its_limit(servers: int) -> None:
    limit = 25e-3
    truth = brentq(lambda rate: mean_sojourn(rate, servers) - limit, 1.0, servers / WORK_S * 0.9999)
    answer = capacity(question(servers), ["mean<25ms"], runner=queue_point, tolerance=0.03, budget=192)
    assert answer.found.outcome == "bracketed"
    document = answer.to_dict()
    assert document["low"] <= truth <= document["high"] <= 1.03 * document["low"] * (1 + 1e-6)
    assert document["value"] == pytest.approx(truth, rel=0.015)
    assert document["limited_by"]["kind"] == "pool"
    assert document["headroom"] == pytest.approx(document["value"] / 20.0)


def test_load_at_which_a_quantile_reaches_its_limit() -> None:
    """M/M/1: the sojourn is exponential with rate mu - lambda, so p99 is ln(100)/(mu - lambda)."""
    truth = 100.0 - math.log(100.0) / 100e-3
    answer = capacity(question(1), ["p99<100ms"], runner=queue_point, tolerance=0.03, budget=192)
    document = answer.to_dict()
    assert document["low"] <= truth <= document["high"] <= 1.03 * document["low"] * (1 + 1e-6)


def test_next_bottleneck_of_a_queue_is_found_with_more_workers() -> None:
    answer = capacity(question(1), ["mean<25ms"], runner=queue_point, tolerance=0.1, span=(1.0, 1000.0))
    assert answer.following is not None
    assert answer.following.found.outcome == "never broken in the range"
    assert "workers" in answer.following.how


def test_smallest_number_of_workers_for_a_load() -> None:
    """A resource is sought downwards: 350/s of 10 ms need at least 4 servers, and 5 for a mean below 13 ms."""
    needed = next(c for c in range(4, 20) if mean_sojourn(350.0, c) < 13e-3)
    asked = question(8)
    asked = build({**asked.document, "traffic": [{**asked.document["traffic"][0], "rate": "350/s"}]})
    answer = capacity(asked, ["mean<13ms"], over="dns.workers", runner=queue_point, budget=96, following=False)
    assert answer.found.value == needed
    assert answer.to_dict()["sought"] == "smallest"
    assert answer.headroom == pytest.approx(8 / needed)


def test_what_cannot_be_met_and_what_is_never_broken() -> None:
    below_the_work = capacity(question(1), ["mean<9ms"], runner=queue_point, following=False)
    assert below_the_work.found.outcome == "cannot be met"
    assert below_the_work.to_dict()["value"] is None
    assert below_the_work.to_dict()["slo"][0]["met"] is False
    lenient = capacity(question(8), ["mean<1s"], runner=queue_point, span=(1.0, 100.0), following=False)
    assert lenient.found.outcome == "never broken in the range"
    assert lenient.to_dict()["value"] == 100.0 and lenient.to_dict()["high"] is None


def test_steps_share_their_random_numbers_and_are_counted() -> None:
    answer = capacity(question(2), ["mean<25ms"], runner=queue_point, following=False)
    again = capacity(question(2), ["mean<25ms"], runner=queue_point, following=False)
    assert answer.to_dict() == again.to_dict()
    assert answer.replications == sum(len(trial.runs) for trial in answer.found.trials)
