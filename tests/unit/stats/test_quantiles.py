from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.stats.quantiles import (
    TooFewSamples,
    error_within,
    order_interval,
    parse_quantile,
    quantile_name,
    required_samples,
    sectioned_quantile,
    sections,
    sorted_quantile,
)


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 36), (0.99, 368), (0.999, 3688)])
def test_samples_a_quantile_needs(q: float, n: int) -> None:
    assert required_samples(q) == n
    assert max(q, 1 - q) ** n <= 0.025 < max(q, 1 - q) ** (n - 1)


@pytest.mark.parametrize(("q", "name"), [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")])
def test_names(q: float, name: str) -> None:
    assert quantile_name(q) == name
    assert parse_quantile(name) == q


@pytest.mark.parametrize("name", ["mean", "p0", "p100", "p-3", "99", "px"])
def test_what_is_not_a_quantile(name: str) -> None:
    with pytest.raises(ValueError, match=r"quantile|could not convert"):
        parse_quantile(name)


def test_too_few_samples_names_the_number() -> None:
    with pytest.raises(TooFewSamples, match=r"p99\.9 needs 3,688 samples; there are 400"):
        sectioned_quantile([np.arange(200.0), np.arange(200.0)], 0.999)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_the_quantile_agrees_with_numpy(values: list[float], q: float) -> None:
    ordered = np.sort(np.array(values))
    assert sorted_quantile(ordered, q) == pytest.approx(float(np.quantile(ordered, q)), rel=1e-9, abs=1e-9)


def test_sections_are_in_time_order_and_equal() -> None:
    parts = sections(np.arange(23.0), 4)
    assert [part.tolist() for part in parts] == [
        [3, 4, 5, 6, 7], [8, 9, 10, 11, 12], [13, 14, 15, 16, 17], [18, 19, 20, 21, 22],
    ]  # fmt: skip


def test_sectioning_pools_the_value_and_takes_the_error_from_the_runs() -> None:
    rng = np.random.default_rng(1)
    runs = [rng.exponential(1.0, 2000) for _ in range(5)]
    estimate = sectioned_quantile(runs, 0.9)
    assert estimate.value == float(np.quantile(np.concatenate(runs), 0.9))
    assert estimate.df == 4
    assert estimate.interval().contains(math.log(10))


def test_a_run_without_samples_is_left_out() -> None:
    estimate = sectioned_quantile([np.arange(100.0), np.empty(0), np.arange(100.0)], 0.5)
    assert estimate.n_replications == 2


def test_order_interval_brackets_the_quantile() -> None:
    interval = order_interval(np.arange(1000.0), 0.5)
    assert interval.low < 499.5 < interval.high
    # binomial(1000, 1/2): two standard deviations are 31.6 ranks
    assert interval.half_width == pytest.approx(31, abs=1.5)


def test_the_error_within_a_run_is_that_of_theory() -> None:
    """Independent samples: sqrt(q(1-q)/n) over the density at the quantile; the median of 200 runs' errors."""
    n, q = 2000, 0.99
    theory = math.sqrt(q * (1 - q) / n) / (1 - q)  # of an exponential distribution, whose density there is 1 - q
    rng = np.random.default_rng(4)
    found = sorted(error_within(rng.exponential(1.0, n), q, 10) for _ in range(200))
    assert found[100] == pytest.approx(theory, rel=0.1)


def test_the_error_within_a_run_charges_correlation() -> None:
    steps = np.repeat(np.random.default_rng(5).exponential(1.0, 100), 100)  # as good as 100 samples, not 10,000
    alone = np.random.default_rng(5).exponential(1.0, 10_000)
    assert error_within(steps, 0.5, 10) > 4 * error_within(alone, 0.5, 10)
    assert math.isnan(error_within(np.arange(30.0), 0.99, 10))  # q + error is beyond the largest sample
