"""Quantiles: what samples can carry, and intervals from order statistics and from sections."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.stats.estimates import LEVEL, Estimate, Interval, exact_mean, from_replications, squared_deviations

Samples = NDArray[np.float64]


class TooFewSamples(Exception):  # noqa: N818 - the name says what happened
    """A quantile was asked of fewer samples than can carry it. ``needed`` says how many would do."""

    def __init__(self, q: float, got: int, needed: int) -> None:
        self.q, self.got, self.needed = q, got, needed
        super().__init__(f"{quantile_name(q)} needs {needed:,} samples; there are {got:,}")


def quantile_name(q: float) -> str:
    """Return the column spelling: 0.5 is ``p50``, 0.999 is ``p99.9``."""
    return f"p{round(100.0 * q, 10):g}"


def parse_quantile(name: str) -> float:
    """Return the probability behind ``p99.9``; `ValueError` for anything else."""
    if not name.startswith("p"):
        raise ValueError(f"not a quantile: {name!r}")
    q = round(float(name[1:]) / 100.0, 12)
    if not 0.0 < q < 1.0:
        raise ValueError(f"not a quantile between 0 and 100: {name!r}")
    return q


def required_samples(q: float, level: float = LEVEL) -> int:
    """Return the smallest n whose order statistics bracket the q-quantile with confidence ``level``.

    The chance that all n samples fall on one side of it must not exceed (1 - level)/2 on either side: max(q, 1-q)ⁿ ≤
    (1 - level)/2. At 95 %: 6 for the median, 36 for p90, 368 for p99, 3,688 for p99.9.
    """
    return math.ceil(math.log((1.0 - level) / 2.0) / math.log(max(q, 1.0 - q)))


def demand(q: float, n: int, level: float = LEVEL) -> None:
    """Raise `TooFewSamples` when ``n`` samples cannot carry the q-quantile."""
    needed = required_samples(q, level)
    if n < needed:
        raise TooFewSamples(q, n, needed)


def sorted_quantile(ordered: Samples, q: float) -> float:
    """Return the q-quantile of samples in ascending order, interpolated linearly at (n-1)·q; NaN when empty."""
    n = len(ordered)
    if n == 0:
        return math.nan
    rank = (n - 1) * q
    below = int(rank)
    low = float(ordered[below])
    if below + 1 >= n:
        return low
    return low + (rank - below) * (float(ordered[below + 1]) - low)


def order_interval(samples: Samples, q: float, level: float = LEVEL) -> Interval:
    """Return a distribution-free interval of the q-quantile from *independent* samples.

    The ranks come from the binomial distribution of the number of samples below the quantile (David & Nagaraja, Order
    Statistics, 7.1), so coverage is at least ``level``. Raises `TooFewSamples`.
    """
    from scipy import special

    n = len(samples)
    demand(q, n, level)
    alpha = (1.0 - level) / 2.0
    ordered = np.sort(samples)
    counts = np.arange(n + 1, dtype=np.float64)
    below = special.bdtr(counts, n, q)  # P(number of samples below the quantile <= k)
    low = max(int(np.searchsorted(below, alpha, side="right")) - 1, 0)
    high = min(int(np.searchsorted(below, 1.0 - alpha, side="left")), n - 1)
    return Interval(sorted_quantile(ordered, q), float(ordered[low]), float(ordered[high]), level)


def sections(samples: Samples, count: int) -> list[Samples]:
    """Cut a series in time order into ``count`` stretches of equal length; a remainder at the front is left out."""
    size = len(samples) // count
    start = len(samples) - size * count
    return [samples[start + size * i : start + size * (i + 1)] for i in range(count)]


def sectioned_quantile(runs: Sequence[Samples], q: float) -> Estimate:
    """Estimate the q-quantile of all runs' samples together, with an error from the runs' own quantiles.

    Sectioning (Asmussen & Glynn, Stochastic Simulation, III.5): the value is the quantile of the pooled samples, whose
    bias shrinks with all of them; the error is the deviation of each run's quantile from that value, which charges the
    bias of small runs to the interval. Runs may be replications or stretches of one run. Raises `TooFewSamples`.
    """
    filled = [run for run in runs if len(run)]
    pooled = np.sort(np.concatenate(filled)) if filled else np.empty(0)
    demand(q, len(pooled))
    value = sorted_quantile(pooled, q)
    n = len(filled)
    if n < 2:
        return Estimate(value, math.nan, 0, len(pooled), n)
    own = [sorted_quantile(np.sort(run), q) for run in filled]
    se = math.sqrt(squared_deviations(own, value) / (n - 1) / n)
    return Estimate(value, se, n - 1, len(pooled), n)


def error_within(samples: Samples, q: float, count: int) -> float:
    """Return the standard error of one run's q-quantile, from ``count`` stretches of the run; NaN where it has none.

    The share of samples up to the quantile is a mean, whose error the stretches' own shares tell, correlation included;
    the run's quantile function turns an error of the share into one of the quantile: half of Q(q + e) - Q(q - e), as
    quantile and share move together (Bahadur, Annals of Mathematical Statistics 37, 1966). The stretches' own quantiles
    would do only where each reaches far beyond q: with two samples there, their spread is half too wide.
    """
    ordered = np.sort(samples)
    value = sorted_quantile(ordered, q)
    shares = [exact_mean((part <= value).astype(np.float64).tolist()) for part in sections(samples, count)]
    error = from_replications(shares).se
    if not 0.0 <= q - error <= q + error <= 1.0:
        return math.nan
    return (sorted_quantile(ordered, q + error) - sorted_quantile(ordered, q - error)) / 2.0
