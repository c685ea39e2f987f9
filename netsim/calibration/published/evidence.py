"""What a case's baseline rows say about drawn costs, and the interval that is left.

A draw takes every cost from its own range. Some draws contradict what the publication measured on its bare machine;
they weigh less (importance weights, as in generalised likelihood uncertainty estimation, Beven and Binley 1992). Only
baseline rows are looked at, never targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.machine_factor import surprise
from netsim.calibration.published.services import stated_percentile

Array = npt.NDArray[np.float64]
MISFIT = 0.11
"""Scale of the model's errors (logarithm): its median error over all tables was 7.4 % when it was set, 0.67 of it."""
FREEDOM = 3
"""Degrees of freedom of the t distribution of errors: a row that something unstated decides (idle states, the tool's
own limit) has no say, instead of all of it."""
REPEATABILITY = 0.08
"""Half of the 90 % interval of a figure measured once (logarithm): 1.645 times its standard deviation of 0.048, which
eleven configurations show that were measured on two equal workers each (krd, `vm-overlays`). However well its costs
are known, no measurement is known better."""


class Discrepancy(NamedTuple):
    """Half of the 90 % interval (logarithm) of what the model itself has wrong, whatever its costs.

    Kennedy and O'Hagan (2001) call it model inadequacy. ``measured``: where the hosts' own baseline rows hold the
    model, or one core's step or a count is asked for. ``unmeasured``: of traffic on hosts whose bare traffic nobody
    measured.
    """

    measured: float = 0.0
    unmeasured: float = 0.0

    def of(self, *, measured: bool) -> float:
        """Return the one that applies."""
        return self.measured if measured else self.unmeasured


DISCREPANCY = Discrepancy(measured=0.09, unmeasured=0.4)
"""The first holds more than 85 % of the shipped tables' points. It follows from errors, so its honesty is checked with
each case left out of its choice, and on tables that had no part in the model, for which it is far too small. The second
holds 90 % of the shipped tables' baseline rows, predicted as if nothing had been measured
(`experiments/prediction-coverage`)."""


def misfits(bench: Bench) -> dict[str, list[float]]:
    """Return measured over modelled time of baseline rows, as logarithms, by kind of question.

    The model's time is the one without that row: prices and machine factor k alone. Percentiles say more of a
    distribution's shape than of its costs, and stay out; so do the rows that k comes from.
    """
    fitted = bench.fitted
    found: dict[str, list[float]] = {}
    for row, question in bench.baselines():
        if row.id in fitted or stated_percentile(row) is not None or not question.informs(bench, row):
            continue
        cost = question.cost(bench, row.setting)
        modelled = cost.waiting + bench.factor * bench.contention(question, row.setting) * cost.work
        measured = question.seconds(bench, row)
        if modelled > 0 and measured > 0:
            found.setdefault(question.kind, []).append(math.log(measured / modelled))
    if fitted:
        # prices that only a most unusual machine makes agree with the rows that k comes from are unlikely too
        found["machine factor"] = [MISFIT * surprise(bench)]
    return found


def weights(draws: Sequence[Iterable[Mapping[str, Sequence[float]]]]) -> Array:
    """Return how much each draw counts, 1 for the likeliest: from the misfits of its machines.

    Rows of one kind share what the model leaves out, so together they have one voice: the mean of their likelihoods'
    logarithms.
    """
    logarithms = np.array([math.fsum(_voices(machines)) for machines in draws])
    likely: Array = np.exp(logarithms - logarithms.max()) if len(logarithms) else logarithms
    return likely


def _voices(machines: Iterable[Mapping[str, Sequence[float]]]) -> Iterable[float]:
    for kinds in machines:
        for errors in kinds.values():
            yield math.fsum(map(_likelihood, errors)) / len(errors)


def _likelihood(error: float) -> float:
    return -(FREEDOM + 1) / 2 * math.log1p((error / MISFIT) ** 2 / FREEDOM)


def quantile(samples: Sequence[float], weight: Array, share: float) -> float:
    """Return a quantile of weighted samples."""
    values = np.array(samples)
    order = np.argsort(values, kind="stable")
    sorted_weight = weight[order]
    middle = (np.cumsum(sorted_weight) - sorted_weight / 2) / sorted_weight.sum()
    return float(np.interp(share, middle, values[order]))


def interval(
    value: float,
    samples: Sequence[float],
    weight: Array,
    *,
    noise: float,
    level: float,
    discrepancy: float = DISCREPANCY.measured,
) -> tuple[float, float]:
    """Return the interval of a prediction: what costs leave open, and around the prediction what else may be wrong.

    It holds the prediction itself: ranges that reach further to one side can move nearly all draws to one side of it.

    Parameters
    ----------
    value: the prediction.
    samples, weight: its value for each draw of the costs, and how much each counts; none leaves the noise alone.
    noise: of the publication's figures, as a fraction. Where costs decide, `REPEATABILITY` is the least.
    level: probability.
    discrepancy: what the model itself may have wrong, where costs decide.
    """
    tail = (1 - level) / 2
    low = high = value
    moved = bool(samples) and max(samples) > min(samples)
    if moved:
        low, high = (quantile(samples, weight, share) for share in (tail, 1 - tail))
        noise = max(noise, REPEATABILITY)
    else:
        discrepancy = 0.0
    beside = math.hypot(math.log1p(noise), discrepancy)
    return _widened(min(low, value), value, beside, -1), _widened(max(high, value), value, beside, 1)


def _widened(end: float, value: float, beside: float, sign: int) -> float:
    """Return an end of an interval with what else may be wrong (a logarithm); independent, so in squares."""
    if end <= 0 or value <= 0:
        return end
    return value * math.exp(sign * math.hypot(math.log(end / value), beside))
