"""Warm-up: where a series stops remembering its start, by MSER-5, with a check and the data of Welch's plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from netsim.stats.estimates import t_upper_tail
from netsim.stats.intervals import batch_means, independent_difference
from netsim.stats.quantiles import Samples

BATCH = 5
"""MSER's batch: White, Cobb & Spratt (WSC 2000) found 5 to serve best."""


class Warmup(NamedTuple):
    """How many observations to drop, and whether the rest looks stationary.

    ``settled`` is False when the rule wanted to drop more than half of the series: the run was too short, or the
    system never settles (load above capacity). ``drift`` is the relative difference between the means of the second
    and the first half of what is kept, ``drift_p`` the two-sided probability of a difference that large without drift.
    """

    dropped: int
    settled: bool
    drift: float
    drift_p: float


def mser5(series: Samples) -> Warmup:
    """Find the truncation point that minimises the squared standard error of what remains.

    The series is cut into means of 5; for every number d of dropped means, MSER(d) = Σ_{j>d} (y_j - ȳ_d)² / (n - d)²
    (White, Simulation 69, 1997). The search ends at half of the series, as usual: with little data left the statistic
    is erratic.
    """
    count = len(series) // BATCH
    if count < 4:
        return Warmup(0, False, 0.0, 1.0)
    means = series[: count * BATCH].reshape(count, BATCH).mean(axis=1)
    centred = means - means.mean()
    tail_sum = np.cumsum(centred[::-1])[::-1]
    tail_square = np.cumsum((centred * centred)[::-1])[::-1]
    left = np.arange(count, 0, -1, dtype=np.float64)
    errors = (tail_square - tail_sum * tail_sum / left) / (left * left)
    searched = errors[: count // 2 + 1]
    best = int(np.argmin(searched))
    settled = best < count // 2 or bool(np.ptp(means) == 0.0)
    dropped = best * BATCH
    drift, p = _drift(series[dropped:])
    return Warmup(dropped, settled, drift, p)


def _drift(kept: Samples) -> tuple[float, float]:
    """Compare the halves of what is kept, each with its batch-means error."""
    half = len(kept) // 2
    first, second = batch_means(kept[:half], 10), batch_means(kept[half:], 10)
    difference = independent_difference(second, first)
    relative = difference.value / abs(first.value) if first.value else 0.0
    if difference.df <= 0:
        return relative, 1.0
    if difference.se == 0.0:
        return relative, 1.0 if difference.value == 0.0 else 0.0
    return relative, 2.0 * t_upper_tail(abs(difference.value) / difference.se, difference.df)


def welch_curve(runs: Sequence[Samples], window: int = 50) -> Samples:
    """Return the data of Welch's plot: the mean over replications, observation by observation, smoothed.

    The moving average spans ``2·window + 1`` observations and shrinks towards the start, as Welch's does (Law,
    Simulation Modeling and Analysis, 9.5.1). The curve ends where the shortest run ends, less the window.
    """
    length = min((len(run) for run in runs), default=0)
    if length == 0:
        return np.empty(0)
    mean = np.stack([run[:length] for run in runs]).mean(axis=0)
    window = min(window, (length - 1) // 2)
    total = np.concatenate(([0.0], np.cumsum(mean)))
    at = np.arange(length - window)
    reach = np.minimum(at, window)
    return np.asarray((total[at + reach + 1] - total[at - reach]) / (2 * reach + 1))
