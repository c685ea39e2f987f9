from __future__ import annotations

import math

import numpy as np
import pytest

from netsim.stats.estimates import Estimate, Replicated, from_replications
from netsim.stats.intervals import (
    batch_means,
    bootstrap_interval,
    independent_difference,
    independent_log_ratio,
    lag_one_correlation,
    paired_log_ratio,
)


def test_batch_means_charge_correlation() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=20_000)
    correlated = np.convolve(noise, np.full(50, 1 / math.sqrt(50)), mode="valid")
    naive = correlated.std() / math.sqrt(len(correlated))
    assert batch_means(correlated).se > 4 * naive
    assert batch_means(np.arange(10.0)).df == 0


def test_lag_one_correlation() -> None:
    assert lag_one_correlation([1.0, -1.0] * 50) == pytest.approx(-0.99)
    assert lag_one_correlation([2.0] * 5) == 0.0


def test_bootstrap_is_reproducible_and_near_the_t_interval() -> None:
    values = np.random.default_rng(2).normal(10.0, 1.0, 40).tolist()
    first, second = (bootstrap_interval(values, lambda x: float(np.mean(x))) for _ in range(2))
    assert first == second
    assert first.half_width == pytest.approx(from_replications(values).interval().half_width, rel=0.15)
    percentile = bootstrap_interval(values, lambda x: float(np.mean(x)), method="percentile")
    assert percentile.half_width == pytest.approx(first.half_width, rel=0.15)


def test_bootstrap_of_equal_and_of_single_values() -> None:
    assert bootstrap_interval([2.0, 2.0, 2.0], lambda x: float(np.mean(x))).half_width == 0.0
    assert math.isnan(bootstrap_interval([2.0], lambda x: float(np.mean(x))).low)


def test_pairs_cancel_what_they_share() -> None:
    shared = [1.0, 5.0, 2.0, 9.0, 3.0]
    ratio = paired_log_ratio([value * 1.05 for value in shared], shared)
    assert ratio.value == pytest.approx(math.log(1.05))
    assert ratio.se < 1e-12
    unknown = [math.nan] * len(shared)
    ours, theirs = Replicated([v * 1.05 for v in shared], unknown, 0), Replicated(shared, unknown, 0)
    independent = independent_log_ratio(ours, theirs)
    assert independent.value == pytest.approx(ratio.value)
    assert independent.se > 0.3


def test_welch_degrees_of_freedom() -> None:
    equal = independent_difference(Estimate(1.0, 0.1, 4), Estimate(2.0, 0.1, 4))
    assert equal.df == pytest.approx(8)
    assert equal.se == pytest.approx(math.hypot(0.1, 0.1))
    lopsided = independent_difference(Estimate(1.0, 1.0, 4), Estimate(2.0, 1e-6, 100))
    assert lopsided.df == pytest.approx(4, rel=1e-3)


def test_exact_and_unknown_errors() -> None:
    exact = independent_difference(Estimate(1.0, 0.0, 4), Estimate(2.0, 0.0, 4))
    assert (exact.se, exact.df) == (0.0, math.inf)
    unknown = independent_difference(Estimate(1.0, math.nan, 0), Estimate(2.0, 0.1, 4))
    assert unknown.df == 0


def test_tiny_errors_do_not_vanish_when_squared() -> None:
    tiny = independent_difference(Estimate(1.0, 1e-100, 4), Estimate(1.0, 1e-100, 4))
    assert tiny.df == pytest.approx(8)
