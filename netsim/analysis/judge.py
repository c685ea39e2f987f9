"""One figure against its baseline: ratio, interval, and how surely it is worse or better than tolerated."""

from __future__ import annotations

import math
from typing import NamedTuple

from netsim.analysis.side import FigureKey, Recorded
from netsim.scenario.spec import ToleranceSpec
from netsim.stats.estimates import (
    LEVEL,
    Estimate,
    difference_of_replicated,
    from_replications,
    t_quantile,
    t_upper_tail,
)
from netsim.stats.intervals import independent_log_ratio, paired_log_ratio

HIGHER_IS_BETTER = frozenset({"throughput", "goodput"})
GATED_METRICS = frozenset({"latency", "connect", "dns", "request", "throughput", "goodput", "loss", "failed"})
GATED_SCOPES = frozenset({"scenario", "edge"})
SHARES = frozenset({"loss", "failed", "unfinished", "utilization"})
SHARE_FLOOR = 1e-4
"""A share may move by this much however small it was: a tolerance relative to zero would be zero."""


class Judgement(NamedTuple):
    """What the data say about one figure.

    ``ratio`` is candidate over baseline with its interval (NaN where the baseline is zero); ``p_worse`` and
    ``p_better`` the probabilities of data like these if the figure had moved by no more than the tolerance; ``se`` and
    ``df`` belong to the change on its scale, ``tolerated`` is the change allowed on that scale; ``known`` is False
    when neither side says how uncertain it is.
    """

    ratio: float
    ci_low: float
    ci_high: float
    p_worse: float
    p_better: float
    se: float
    df: float
    tolerated: float
    known: bool = True

    def detectable(self, level: float, power: float = 0.95) -> float:
        """Return the change (of the ratio, or of the share) that would be found at ``level`` with this power."""
        if not self.known:
            return math.inf
        if self.se == 0.0:
            return self.tolerated
        return self.tolerated + (t_quantile(1.0 - level, self.df) + t_quantile(power, self.df)) * self.se


def tolerance_of(key: FigureKey, tolerances: ToleranceSpec) -> float:
    """Return the tolerated relative change: of ``metric.stat``, of the metric, or the default."""
    metrics = tolerances.metrics
    return metrics.get(f"{key.metric}.{key.stat}", metrics.get(key.metric, tolerances.default))


def is_gated(key: FigureKey, tolerances: ToleranceSpec) -> bool:
    """Whether a figure can fail a comparison: what users feel, and whatever the tolerances name.

    A maximum is no estimate of anything and never gates.
    """
    if key.stat == "max":
        return False
    if key.metric in tolerances.metrics or f"{key.metric}.{key.stat}" in tolerances.metrics:
        return True
    return key.scope in GATED_SCOPES and key.metric in GATED_METRICS


def judge(key: FigureKey, baseline: Recorded, candidate: Recorded, tolerance: float, *, same_seed: bool) -> Judgement:
    """Compare a figure with its baseline.

    Positive figures are compared by the logarithm of their ratio, figures that may be zero by their difference. With
    equal seeds replications used common random numbers and are compared pair by pair, or as independent ones where that
    is the sharper test; the p-values then pay for the choice between the two.
    """
    positive = min((*baseline.values, *candidate.values)) > 0.0
    pair = _common(baseline, candidate) if same_seed else None
    if positive:
        changes = [independent_log_ratio(candidate.replicated, baseline.replicated)]
        if pair is not None:
            changes.append(paired_log_ratio(*pair))
        up, down = math.log1p(tolerance), -math.log1p(-tolerance)
    else:
        changes = [difference_of_replicated(candidate.replicated, baseline.replicated)]
        if pair is not None:
            changes.append(from_replications([ours - theirs for ours, theirs in zip(*pair, strict=True)]))
        up = down = max(tolerance * abs(baseline.mean), SHARE_FLOOR if key.metric in SHARES else 0.0)
    known = [change for change in changes if change.df > 0 and not math.isnan(change.se)]
    change = min(known, key=lambda each: each.se, default=changes[0])
    grows, shrinks = (
        min(1.0, len(known) * _tail(excess, change)) if known else 1.0
        for excess in (change.value - up, -change.value - down)
    )
    ratio, low, high = _ratio(change, baseline, candidate, logarithmic=positive)
    worse, better, tolerated = (shrinks, grows, down) if key.metric in HIGHER_IS_BETTER else (grows, shrinks, up)
    return Judgement(ratio, low, high, worse, better, change.se, change.df, tolerated, bool(known) or change.value == 0)


def _common(baseline: Recorded, candidate: Recorded) -> tuple[list[float], list[float]] | None:
    """Return (candidate, baseline) values of the replications both sides have."""
    theirs = dict(zip(baseline.replications, baseline.values, strict=True))
    ours = dict(zip(candidate.replications, candidate.values, strict=True))
    shared = [number for number in ours if number in theirs]
    if len(shared) < 2:
        return None
    return [ours[number] for number in shared], [theirs[number] for number in shared]


def _ratio(
    change: Estimate, baseline: Recorded, candidate: Recorded, *, logarithmic: bool
) -> tuple[float, float, float]:
    """Return candidate over baseline with its interval; NaN where the baseline is zero and the candidate is not."""
    _, low, high, _ = change.interval(LEVEL)
    if logarithmic:
        return math.exp(change.value), math.exp(low), math.exp(high)
    base = baseline.mean
    if base == 0.0:
        return (1.0 if change.value == 0.0 else math.nan), math.nan, math.nan
    return candidate.mean / base, (base + low) / base, (base + high) / base


def _tail(excess: float, change: Estimate) -> float:
    """Return the probability of an excess over the tolerance this large by chance."""
    if change.se == 0.0:
        return 0.0 if excess > 1e-12 else 1.0
    return t_upper_tail(excess / change.se, change.df)
