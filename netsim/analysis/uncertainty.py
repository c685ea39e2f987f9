"""Uncertain costs: Latin hypercube draws over their ranges, prediction intervals, and the costs an answer depends on.

Each figure of a cost profile has a value with a low and a high end. A draw takes every figure from its own range; the
range is read as the middle 90 % of what the figure may be on another machine of the profile's kind, and the logarithm
is interpolated linearly on both sides of the value, so that half of the draws lie below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netsim.datapath.costs import CostProfile, Figure

Array = npt.NDArray[np.float64]
TAIL = 0.05
"""Share of a figure's values beyond each end of its range."""


@dataclass(frozen=True)
class Draws:
    """A table of draws, one row each: ``unit`` uniform in (0, 1), a column for each figure; ``values`` the costs."""

    keys: tuple[str, ...]
    unit: Array
    values: Array

    def draws(self) -> Iterator[dict[str, float]]:
        """Yield each draw as a mapping, ready for ``CostProfile.prices(overrides=...)``."""
        for row in self.values:
            yield dict(zip(self.keys, (float(value) for value in row), strict=True))


@dataclass(frozen=True, slots=True)
class Influence:
    """How much of an answer's spread one cost explains.

    ``share`` is the squared rank correlation of cost and answer, ``low`` and ``high`` the relative change of the answer
    between the lowest and the highest fifth of the cost's draws and its middle: the bars of a tornado plot.
    """

    figure: str
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A prediction interval: where the answer lies with probability ``level``, as far as the costs are known."""

    value: float
    low: float
    high: float
    level: float = 0.9


def spread_of(figure: Figure, excluded: Collection[str] = ()) -> tuple[float, float, float]:
    """Return low end, value and high end of the estimate that is used without some sources."""
    chosen = figure.chosen(excluded)
    return chosen.low, chosen.value, chosen.high


def quantile_of(low: float, value: float, high: float, share: float) -> float:
    """Return a figure's quantile: log-linear from ``low`` (5 %) over ``value`` (50 %) to ``high`` (95 %).

    Where the low end is zero the interpolation is linear. The ends are not exceeded.
    """
    share = min(1 - TAIL, max(TAIL, share))
    one, other = (low, value) if share <= 0.5 else (value, high)
    part = (share - TAIL) / (0.5 - TAIL) if share <= 0.5 else (share - 0.5) / (0.5 - TAIL)
    if one <= 0:
        return one + (other - one) * part
    return one * math.pow(other / one, part)


def latin_hypercube(
    figures: Mapping[str, Figure], draws: int, *, seed: int = 1, excluded: Collection[str] = ()
) -> Draws:
    """Return draws of all figures that have a range.

    Every figure's range is cut into as many equal shares as there are draws, and each share is drawn from once (McKay,
    Beckman and Conover 1979), so few draws cover all ranges evenly.

    Parameters
    ----------
    figures: costs by key, as in a profile.
    draws: number of draws.
    seed: of the permutations.
    excluded: sources that may not be used.
    """
    spans = {key: spread_of(figure, excluded) for key, figure in figures.items()}
    keys = tuple(sorted(key for key, (low, _, high) in spans.items() if low < high))
    random = np.random.Generator(np.random.PCG64(seed))
    unit = np.empty((draws, len(keys)))
    for column in range(len(keys)):
        unit[:, column] = (random.permutation(draws) + random.random(draws)) / draws
    values = np.array([[quantile_of(*spans[key], share) for key, share in zip(keys, row, strict=True)] for row in unit])
    return Draws(keys, unit, values.reshape(draws, len(keys)))


def draws_of(profile: CostProfile, draws: int, *, seed: int = 1, excluded: Collection[str] = ()) -> Draws:
    """Return draws of a whole profile; see `latin_hypercube`."""
    return latin_hypercube(profile.figures, draws, seed=seed, excluded=excluded)


def interval(value: float, samples: Sequence[float], level: float = 0.9) -> Interval:
    """Return the interval of an answer from its samples, one for each draw."""
    low, high = np.quantile(np.array(samples, dtype=float), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


def uncertain(
    profile: CostProfile,
    answer: Callable[[Mapping[str, float]], float],
    *,
    draws: int = 100,
    seed: int = 1,
    level: float = 0.9,
) -> tuple[Interval, tuple[Influence, ...]]:
    """Return the prediction interval of any answer that depends on costs, and the three costs that matter most.

    Parameters
    ----------
    profile: whose figures are drawn.
    answer: gives the answer for values of figures, as ``CostProfile.prices(overrides=...)`` takes them; an empty
        mapping asks for the most trusted ones. A simulation should use one seed, so that only costs differ.
    draws, seed: of the costs.
    level: probability of the interval.
    """
    value = answer({})
    table = draws_of(profile, draws, seed=seed)
    samples = [answer(draw) for draw in table.draws()]
    relative = np.log(np.maximum(np.array(samples) / value, TINY)) if value > 0 else np.zeros(len(samples))
    return interval(value, samples, level), influences(table, relative)


TINY = 1e-12
"""Stands for answers of zero where a logarithm is taken."""


def influences(table: Draws, answers: Array, count: int = 3) -> tuple[Influence, ...]:
    """Return the costs that answers depend on most.

    Parameters
    ----------
    table: the draws.
    answers: logarithms of answers over their central value, one row an answer and one column a draw (or one row).
    count: how many costs to name.
    """
    answers = np.atleast_2d(answers)
    if not table.keys or answers.size == 0:
        return ()
    ranks = np.argsort(np.argsort(table.unit, axis=0), axis=0).astype(float)
    ranks -= ranks.mean(axis=0)
    moving = answers[answers.std(axis=1) > 0]
    if not len(moving):
        return ()
    order = np.argsort(np.argsort(moving, axis=1), axis=1).astype(float)
    order -= order.mean(axis=1, keepdims=True)
    correlation = order @ ranks / np.sqrt(np.outer((order**2).sum(axis=1), (ranks**2).sum(axis=0)))
    weight = moving.std(axis=1) / moving.std(axis=1).sum()
    shares = weight @ correlation**2
    best = sorted(range(len(table.keys)), key=lambda column: (-shares[column], table.keys[column]))[:count]
    return tuple(_influence(table, moving, weight, column, float(shares[column])) for column in best)


def _influence(table: Draws, answers: Array, weight: Array, column: int, share: float) -> Influence:
    unit = table.unit[:, column]

    def change(chosen: npt.NDArray[np.bool_]) -> float:
        return float(np.expm1(weight @ np.abs(answers[:, chosen].mean(axis=1)))) if chosen.any() else 0.0

    return Influence(table.keys[column], share, -change(unit < 0.2), change(unit > 0.8))
