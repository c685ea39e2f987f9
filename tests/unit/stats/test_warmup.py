from __future__ import annotations

import numpy as np

from netsim.stats.warmup import mser5, welch_curve


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(10.0, 1.0, n)


def test_a_transient_is_cut_and_little_more() -> None:
    series = noise(4000) + 50.0 * np.exp(-np.arange(4000) / 40.0)
    warmup = mser5(series)
    assert 80 <= warmup.dropped <= 600
    assert warmup.settled
    assert warmup.drift_p > 0.001


def test_a_stationary_series_loses_little() -> None:
    assert np.median([mser5(noise(2000, seed)).dropped for seed in range(30)]) < 200


def test_a_growing_series_never_settles() -> None:
    growing = noise(2000) + np.arange(2000) * 0.1
    warmup = mser5(growing)
    assert not warmup.settled
    assert warmup.drift > 0.05
    assert warmup.drift_p < 0.001


def test_constant_and_short_series() -> None:
    assert mser5(np.full(100, 3.0)).dropped == 0
    assert mser5(np.full(100, 3.0)).settled
    assert mser5(np.arange(12.0)) == (0, False, 0.0, 1.0)


def test_welch_curve_averages_and_smooths() -> None:
    runs = [np.array([4.0, 2.0, 2.0, 2.0, 2.0]), np.array([8.0, 2.0, 2.0, 2.0, 2.0, 7.0])]
    assert welch_curve(runs, window=1).tolist() == [6.0, 10 / 3, 2.0, 2.0]
    assert len(welch_curve([], 3)) == 0
