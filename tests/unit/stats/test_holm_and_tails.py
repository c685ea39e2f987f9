from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.stats.holm import holm_adjusted
from netsim.stats.tails import Stratum, stratified_mean, stratified_quantile, tail_support, with_stall


def test_holm_by_hand() -> None:
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_keeps_order_and_never_helps(p_values: list[float]) -> None:
    adjusted = holm_adjusted(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    ranked = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert all(adjusted[a] <= adjusted[b] for a, b in pairwise(ranked))


def test_family_wise_rate_of_many_true_nulls() -> None:
    rng = np.random.default_rng(8)
    alarms = sum(min(holm_adjusted(rng.random(40).tolist())) <= 0.05 for _ in range(2000))
    assert 0.035 < alarms / 2000 < 0.065


def test_a_rare_stall_shows_in_mean_and_tail() -> None:
    samples = np.random.default_rng(1).exponential(1e-3, 4000)
    strata = with_stall(samples, 1e-4, 5.0)
    assert stratified_mean(strata).value == pytest.approx(samples.mean() + 5e-4)
    assert stratified_quantile(strata, 0.99) < 0.01
    assert stratified_quantile(strata, 0.99995) > 5.0
    assert tail_support(strata) == pytest.approx(1e-4 / 4000)


def test_equal_strata_give_the_plain_quantile() -> None:
    samples = np.arange(1.0, 101.0)
    strata = (Stratum(0.5, samples[:50]), Stratum(0.5, samples[50:]))
    assert stratified_quantile(strata, 0.9) == 90.0
    assert stratified_mean(strata).value == pytest.approx(50.5)


def test_probabilities_and_samples_must_fit() -> None:
    with pytest.raises(ValueError, match="add up"):
        stratified_quantile((Stratum(0.5, np.arange(3.0)),), 0.5)
    with pytest.raises(ValueError, match="no samples"):
        stratified_mean((Stratum(0.5, np.arange(3.0)), Stratum(0.5, np.empty(0))))
    with pytest.raises(ValueError, match="not a probability"):
        with_stall(np.arange(3.0), 1.5, 5.0)
    assert stratified_quantile(with_stall(np.arange(3.0), 0.0, 5.0), 1.0) == 2.0
