from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.stats.estimates import (
    Estimate,
    Replicated,
    difference_of_replicated,
    from_replications,
    sometimes_pooled,
    t_quantile,
    t_upper_tail,
)

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


def test_the_interval_of_a_textbook_example() -> None:
    # Law, Simulation Modeling and Analysis, example 4.27: ten values, mean 1.34, variance 0.17, 90 % interval ±0.24
    values = [1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09]
    interval = from_replications(values).interval(0.90)
    assert interval.value == pytest.approx(1.343)
    assert interval.half_width == pytest.approx(0.24, abs=0.005)


def test_one_replication_has_a_value_and_no_interval() -> None:
    estimate = from_replications([3.0])
    assert estimate.value == 3.0
    assert math.isnan(estimate.interval().low)
    assert estimate.interval().relative_half_width == math.inf


def test_no_replication_is_not_a_number() -> None:
    assert math.isnan(from_replications([]).value)


def test_equal_values_are_exact() -> None:
    interval = from_replications([2.5] * 4).interval()
    assert (interval.low, interval.high, interval.relative_half_width) == (2.5, 2.5, 0.0)


@given(VALUES)
def test_the_order_of_replications_does_not_matter(values: list[float]) -> None:
    assert from_replications(values) == from_replications(values[::-1])


def test_quantiles_and_tails_agree_and_reach_far() -> None:
    assert t_quantile(0.975, 4) == pytest.approx(2.776445)
    assert t_quantile(0.975, math.inf) == pytest.approx(1.959964)
    assert t_upper_tail(t_quantile(0.999, 7), 7) == pytest.approx(0.001)
    assert 0.0 < t_upper_tail(30.0, math.inf) < 1e-190
    assert t_upper_tail(math.nan, 3) == 1.0


def test_agreeing_sources_of_error_are_pooled() -> None:
    estimate = sometimes_pooled([10.0, 10.2, 9.9, 10.1, 9.8], [0.15] * 5, 9)
    assert estimate.df == 4 + 5 * 9
    assert estimate.value == pytest.approx(10.0)


def test_replications_that_differ_more_than_their_insides_count_alone() -> None:
    estimate = sometimes_pooled([10.0, 12.0, 9.0, 11.0, 8.0], [0.1] * 5, 9)
    assert estimate == from_replications([10.0, 12.0, 9.0, 11.0, 8.0])


def test_a_single_replication_borrows_the_error_inside_it() -> None:
    estimate = sometimes_pooled([10.0], [0.5], 9)
    assert (estimate.se, estimate.df) == (0.5, 9)
    assert sometimes_pooled([10.0, 11.0], [math.nan, 0.1], 9) == from_replications([10.0, 11.0])


UNKNOWN = (math.nan,) * 5
STEADY = (10.0, 10.2, 9.9, 10.1, 9.8)


def test_two_systems_that_vary_alike_share_their_variance() -> None:
    """Student's test of two samples by hand: pooled variance 0.025, 8 degrees of freedom."""
    found = difference_of_replicated(Replicated([v + 1 for v in STEADY], UNKNOWN, 0), Replicated(STEADY, UNKNOWN, 0))
    assert found.value == pytest.approx(1.0)
    assert found.se == pytest.approx(math.sqrt(0.025 * 2 / 5))
    assert found.df == 8
    within = Replicated(STEADY, [0.16] * 5, 9)
    assert difference_of_replicated(within, within).df == 8 + 10 * 9


def test_two_systems_of_unlike_variance_keep_their_own() -> None:
    wild = Replicated([8.0, 14.0, 2.0, 11.0, 15.0], UNKNOWN, 0)
    found = difference_of_replicated(wild, Replicated(STEADY, UNKNOWN, 0))
    assert found.df == pytest.approx(4, rel=1e-2)  # Welch: the wild side's alone
    assert found.se == pytest.approx(math.sqrt(from_replications(wild.values).se ** 2 + 0.025 / 5))


def test_equal_replications_are_exact_and_single_ones_rest_on_what_they_saw() -> None:
    same = Replicated([2.0] * 3, [math.nan] * 3, 0)
    assert difference_of_replicated(same, same).se == 0.0
    one = Replicated([2.0], [0.1], 9)
    assert difference_of_replicated(one, one).df == pytest.approx(18)
    assert difference_of_replicated(one, Replicated([2.0], [math.nan], 0)).df == 0


def test_limits_are_rounded_to_twelve_digits() -> None:
    interval = Estimate(1.0, 0.1, 4).interval()
    assert interval.high == float(f"{interval.high:.12g}")
