"""Intervals beyond the plain mean of replications: batch means, bootstrap, ratios of two systems."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netsim.stats.estimates import LEVEL, Estimate, Interval, exact_mean, from_replications, squared_deviations
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


def independent_log_ratio(candidate: Estimate, baseline: Estimate) -> Estimate:
    """Estimate ln(candidate/baseline) of two independent positive estimates.

    Delta method for the logarithm's error, Welch and Satterthwaite for the degrees of freedom.
    """
    value = math.log(candidate.value) - math.log(baseline.value)
    relative = [(side.se / side.value, side.df) for side in (candidate, baseline)]
    return _welch(value, relative, candidate, baseline)


def independent_difference(candidate: Estimate, baseline: Estimate) -> Estimate:
    """Estimate candidate - baseline of two independent estimates (Welch); for figures that may be zero."""
    errors = [(side.se, side.df) for side in (candidate, baseline)]
    return _welch(candidate.value - baseline.value, errors, candidate, baseline)


def _welch(value: float, errors: Sequence[tuple[float, float]], candidate: Estimate, baseline: Estimate) -> Estimate:
    samples = candidate.n_samples + baseline.n_samples
    replications = min(candidate.n_replications, baseline.n_replications)
    if any(df <= 0 or math.isnan(se) for se, df in errors):
        return Estimate(value, math.nan, 0, samples, replications)
    variance = math.fsum(se * se for se, _ in errors)
    if variance == 0.0:
        return Estimate(value, 0.0, math.inf, samples, replications)
    # Divided before squaring: a subnormal variance squared would vanish.
    weights = math.fsum((se * se / variance) ** 2 / df for se, df in errors)
    return Estimate(value, math.sqrt(variance), 1.0 / weights if weights else math.inf, samples, replications)
