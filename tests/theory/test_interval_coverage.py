"""A short form of experiments/interval-coverage: the coverage of 95 % intervals within a binomial bound."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from netsim.stats.intervals import batch_means
from netsim.stats.quantiles import order_interval

sys.path.insert(0, str(Path(__file__).parents[2]))
study = importlib.import_module("experiments.interval-coverage.coverage")  # the checkout's folder

TRIALS = 200


def within_bound(share: float, trials: int, truth: float = 0.95) -> bool:
    """Three and a half standard errors of a share: one false alarm in 2,000."""
    return abs(share - truth) <= 3.5 * math.sqrt(truth * (1 - truth) / trials)


@pytest.mark.parametrize("queue", study.QUEUES, ids=lambda queue: queue.name)
def test_replication_intervals_cover(queue: object) -> None:
    for share in study.coverage(queue, TRIALS).values():
        assert within_bound(share, TRIALS)


def test_batch_means_of_one_long_run_cover() -> None:
    queue = study.QUEUES[0]
    hits = 0
    for trial in range(TRIALS):
        run = study.times_in_system(queue, np.random.default_rng([trial, 99]), 20_000, 500)
        hits += batch_means(run).interval().contains(queue.mean)
    assert within_bound(hits / TRIALS, TRIALS)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_order_statistic_intervals_cover_at_least(q: float) -> None:
    truth = -math.log(1 - q)
    rng = np.random.default_rng(5)
    intervals = [order_interval(rng.exponential(1.0, 1000), q) for _ in range(TRIALS)]
    hits = sum(interval.contains(truth) for interval in intervals)
    assert hits / TRIALS >= 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / TRIALS)
