"""A figure is an estimate: value, standard error, degrees of freedom; its interval follows from these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

LEVEL = 0.95
"""Confidence level of every interval netsim prints, unless asked otherwise."""


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """Return the quantile of Student's t with ``df`` degrees of freedom (``math.inf``: the normal's)."""
    from scipy import special

    if math.isinf(df):
        return float(special.ndtri(probability))
    return float(special.stdtrit(df, probability))


def t_upper_tail(statistic: float, df: float) -> float:
    """Return P(T > statistic) for Student's t; exact far into the tail, where family-wise levels live."""
    from scipy import special

    if math.isnan(statistic):
        return 1.0
    if math.isinf(df):
        return float(special.ndtr(-statistic))
    return float(special.stdtr(df, -statistic))


class Interval(NamedTuple):
    """A value with the limits of its confidence interval; the limits are NaN where the data carry none."""

    value: float
    low: float
    high: float
    level: float = LEVEL

    @property
    def half_width(self) -> float:
        """Half of the interval's width, in the value's unit."""
        return (self.high - self.low) / 2.0

    @property
    def relative_half_width(self) -> float:
        """Half width over the magnitude of the value; 0 for an exact value, infinite when unknown."""
        if math.isnan(self.half_width):
            return math.inf
        if self.half_width == 0.0:
            return 0.0
        return self.half_width / abs(self.value) if self.value else math.inf

    def contains(self, truth: float) -> bool:
        """Whether the interval covers ``truth``."""
        return self.low <= truth <= self.high


class Estimate(NamedTuple):
    """A value with its standard error.

    ``df`` are the degrees of freedom behind ``se`` (0: the error is unknown, infinite: known exactly); ``n_samples``
    counts the single observations, ``n_replications`` the independent runs.
    """

    value: float
    se: float
    df: float
    n_samples: int = 0
    n_replications: int = 0

    def interval(self, level: float = LEVEL) -> Interval:
        """Return value ± t·se. The limits are NaN while the error is unknown.

        Limits are rounded to 12 significant digits: the t quantile's last bits depend on the mathematics library, and
        tables are compared byte for byte.
        """
        if self.df <= 0 or math.isnan(self.se):
            return Interval(self.value, math.nan, math.nan, level)
        half = t_quantile(0.5 + level / 2.0, self.df) * self.se if self.se else 0.0
        return Interval(self.value, _rounded(self.value - half), _rounded(self.value + half), level)


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")


def exact_mean(values: Sequence[float]) -> float:
    """Return the mean from a correctly rounded sum, so that the order of the values does not matter; NaN when empty."""
    return math.fsum(values) / len(values) if values else math.nan


def squared_deviations(values: Sequence[float], centre: float) -> float:
    """Return Σ (x - centre)² from a correctly rounded sum."""
    return math.fsum((value - centre) ** 2 for value in values)


def from_replications(values: Sequence[float], *, n_samples: int = 0) -> Estimate:
    """Estimate a mean from independent replications: standard error s/√n with n-1 degrees of freedom.

    One replication gives a value without an interval.
    """
    n, value = len(values), exact_mean(values)
    if n < 2:
        return Estimate(value, math.nan, 0, n_samples, n)
    se = math.sqrt(squared_deviations(values, value) / (n - 1) / n)
    return Estimate(value, se, n - 1, n_samples, n)


def sometimes_pooled(values: Sequence[float], within_se: Sequence[float], within_df: float) -> Estimate:
    """Estimate a mean from replications, using the variation *inside* them too where both agree.

    ``values`` are the replications' estimates, ``within_se`` the standard error each one saw between its own sections
    (NaN: unknown), ``within_df`` their degrees of freedom (sections - 1). If the variance between replications does not
    exceed the one within at the preliminary level 0.25, both are pooled, which multiplies the degrees of freedom;
    otherwise something differs from replication to replication (a placement, a hash), and only the variance between
    counts. This is Bancroft's "sometimes pool" rule (Biometrics 20, 1964), with his level.
    """
    plain = from_replications(values)
    n = len(values)
    usable = within_df > 0 and n >= 1 and all(math.isfinite(se) for se in within_se)
    if not usable:
        return plain
    within = math.fsum(se * se for se in within_se) / n
    if n == 1:
        return plain._replace(se=math.sqrt(within), df=within_df)
    between = squared_deviations(values, plain.value) / (n - 1)
    if between > within * _f_quantile(0.75, n - 1, n * within_df):
        return plain
    df = (n - 1) + n * within_df
    pooled = ((n - 1) * between + n * within_df * within) / df
    return plain._replace(se=math.sqrt(pooled / n), df=df)


@lru_cache(maxsize=1024)
def _f_quantile(probability: float, df1: float, df2: float) -> float:
    from scipy import special

    return float(special.fdtri(df1, df2, probability))
