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


class Replicated(NamedTuple):
    """One system's replications, for a test.

    ``within_se`` are the standard errors each saw within itself (NaN: unknown), ``within_df`` their degrees of freedom.
    """

    values: Sequence[float]
    within_se: Sequence[float]
    within_df: float


UNLIKE = 0.01
"""Preliminary level at which two systems' variances count as different."""


def difference_of_replicated(ours: Replicated, theirs: Replicated) -> Estimate:
    """Estimate the difference of two systems' means, ours less theirs, from independent replications.

    Two states of the same system mostly vary alike. Unless the variances between their replications differ at the
    level `UNLIKE`, one common variance is estimated from both, as in Student's test of two samples, and pooled with the
    one within as in `sometimes_pooled`. Otherwise each side has its own (Welch).
    """
    sides = (ours, theirs)
    apart = [sometimes_pooled(*side) for side in sides]
    value = apart[0].value - apart[1].value
    n = tuple(len(side.values) for side in sides)
    common = _common_variance(sides) if min(n) >= 2 else None
    if common is None:
        return welch(value, apart)
    variance, df = common
    return Estimate(value, math.sqrt(variance * (1.0 / n[0] + 1.0 / n[1])), df, 0, min(n))


def welch(value: float, sides: Sequence[Estimate]) -> Estimate:
    """Return a sum or difference of independent estimates: degrees of freedom by Welch and Satterthwaite."""
    samples, replications = sum(side.n_samples for side in sides), min(side.n_replications for side in sides)
    if any(side.df <= 0 or math.isnan(side.se) for side in sides):
        return Estimate(value, math.nan, 0, samples, replications)
    variance = math.fsum(side.se * side.se for side in sides)
    if variance == 0.0:
        return Estimate(value, 0.0, math.inf, samples, replications)
    # Divided before squaring: a subnormal variance squared would vanish.
    weights = math.fsum((side.se * side.se / variance) ** 2 / side.df for side in sides)
    return Estimate(value, math.sqrt(variance), 1.0 / weights if weights else math.inf, samples, replications)


def _common_variance(sides: Sequence[Replicated]) -> tuple[float, float] | None:
    """Return the variance of one replication and its degrees of freedom; None where the sides differ in it."""
    squares = [squared_deviations(side.values, exact_mean(side.values)) for side in sides]
    degrees = [len(side.values) - 1 for side in sides]
    low, high = sorted(zip([a / b for a, b in zip(squares, degrees, strict=True)], degrees, strict=True))
    if high[0] > low[0] * _f_quantile(1.0 - UNLIKE / 2.0, high[1], low[1]):
        return None
    df = float(sum(degrees))
    between = math.fsum(squares) / df
    errors = [se for side in sides for se in side.within_se]
    within_df = math.fsum(side.within_df * len(side.values) for side in sides)
    if not (within_df > 0 and all(math.isfinite(se) for se in errors)):
        return between, df
    within = math.fsum(se * se for se in errors) / len(errors)
    if between > within * _f_quantile(0.75, df, within_df):
        return between, df
    return (df * between + within_df * within) / (df + within_df), df + within_df


@lru_cache(maxsize=1024)
def _f_quantile(probability: float, df1: float, df2: float) -> float:
    from scipy import special

    return float(special.fdtri(df1, df2, probability))
