"""Stalls too rare for a short run: computed into mean and quantiles, against the mixture itself."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.stats.tails import Stall, united

STALL = Stall(1e-3, 5.0)


@pytest.fixture(scope="module")
def plain() -> np.ndarray:
    return np.random.default_rng(1).exponential(1e-3, 200_000)


@pytest.fixture(scope="module")
def mixed() -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.exponential(1e-3, 2_000_000) + np.where(rng.random(2_000_000) < 1e-3, 5.0, 0.0)


def test_the_mean_holds_it(plain: np.ndarray, mixed: np.ndarray) -> None:
    assert STALL.mean(plain.mean()) == pytest.approx(plain.mean() + 5e-3)
    assert STALL.mean(plain.mean()) == pytest.approx(mixed.mean(), rel=0.05)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99, 0.998, 0.9995, 0.9999])
def test_quantiles_on_both_sides_of_it(q: float, plain: np.ndarray, mixed: np.ndarray) -> None:
    inner, added = STALL.place(q)
    assert (added == 5.0) == (q > 0.999)
    assert np.quantile(plain, inner) + added == pytest.approx(np.quantile(mixed, q), rel=0.03)


def test_samples_that_show_it_are_left_alone() -> None:
    assert STALL.is_rare(1000)
    assert not STALL.is_rare(10_000)
    assert not Stall(0.05, 5.0).is_rare(10)
    assert not Stall(0.0, 0.0).is_rare(10)


def test_what_happened_is_taken_out_and_parts_add_up() -> None:
    assert STALL.without(np.array([1e-3, 5.001, 2e-3])).tolist() == [1e-3, 2e-3]
    both = united([(STALL, 2.0), (Stall(2e-3, 2.5), 0.5)])
    assert both == Stall(pytest.approx(3e-3), 5.0)
    assert united([]).probability == 0.0
