"""Intervals beyond the plain mean of replications: batch means, bootstrap, ratios of two systems."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netsim.stats.estimates import (
    LEVEL,
    Estimate,
    Interval,
    Replicated,
    difference_of_replicated,
    exact_mean,
    from_replications,
    squared_deviations,
    welch,
)
from netsim.stats.quantiles import Samples, sections

BATCHES = 20
"""Batches of one run: 10 to 30 lose little width and tolerate correlation best (Schmeiser, Operations Research 30)."""


def batch_means(series: Samples, batches: int = BATCHES) -> Estimate:
    """Estimate the mean of a stationary, correlated series from the means of ``batches`` stretches of it.

    Valid when a stretch is much longer than the correlation reaches; `lag_one_correlation` of the batch means tells.
    """
    if len(series) < 2 * batches:
        return Estimate(exact_mean(series.tolist()), math.nan, 0, len(series), 1)
    means = [exact_mean(part.tolist()) for part in sections(series, batches)]
    estimate = from_replications(means, n_samples=len(series))
    return estimate._replace(n_replications=1)


def lag_one_correlation(values: Sequence[float]) -> float:
    """Return the correlation of successive values; near 0 when batches are long enough."""
    centre = exact_mean(values)
    total = squared_deviations(values, centre)
    if total == 0.0:
        return 0.0
    return math.fsum((a - centre) * (b - centre) for a, b in pairwise(values)) / total


def bootstrap_interval(
    values: Sequence[float],
    statistic: Callable[[NDArray[np.float64]], float],
    *,
    level: float = LEVEL,
    resamples: int = 2000,
    seed: int = 0,
    method: Literal["BCa", "percentile"] = "BCa",
) -> Interval:
    """Bootstrap interval of a statistic of independent replications; for skewed figures and ratios.

    ``method`` is ``"BCa"`` or ``"percentile"``. The resamples come from ``seed`` alone, so the interval is
    reproducible. Identical values give an interval of width zero, fewer than two no limits.
    """
    from scipy import stats

    data = np.asarray(values, dtype=np.float64)
    value = float(statistic(data)) if len(data) else math.nan
    if len(data) < 2:
        return Interval(value, math.nan, math.nan, level)
    if np.all(data == data[0]):
        return Interval(value, value, value, level)
    result = stats.bootstrap(
        (data,), statistic, confidence_level=level, n_resamples=resamples, method=method,
        vectorized=False, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return Interval(value, float(result.confidence_interval.low), float(result.confidence_interval.high), level)


def paired_log_ratio(candidate: Sequence[float], baseline: Sequence[float]) -> Estimate:
    """Estimate ln(candidate/baseline) from replications that used common random numbers, pair by pair.

    What both members of a pair share cancels in the difference of logarithms. All values must be positive.
    """
    logs = [math.log(ours) - math.log(theirs) for ours, theirs in zip(candidate, baseline, strict=True)]
    return from_replications(logs)


def independent_log_ratio(candidate: Replicated, baseline: Replicated) -> Estimate:
    """Estimate ln(candidate/baseline) of two independent sets of positive replications.

    The value is the logarithm of the ratio of means; its error that of the difference of the mean logarithms, which is
    the same to first order (delta method).
    """
    logs = difference_of_replicated(*(_logarithms(side) for side in (candidate, baseline)))
    return logs._replace(value=math.log(exact_mean(candidate.values)) - math.log(exact_mean(baseline.values)))


def _logarithms(side: Replicated) -> Replicated:
    relative = [se / value for se, value in zip(side.within_se, side.values, strict=True)]
    return side._replace(values=[math.log(value) for value in side.values], within_se=relative)


def independent_difference(candidate: Estimate, baseline: Estimate) -> Estimate:
    """Estimate candidate - baseline of two independent estimates (Welch)."""
    return welch(candidate.value - baseline.value, (candidate, baseline))
