"""Uncertain costs: Latin hypercube draws over their ranges, prediction intervals, and the costs an answer depends on.

Each figure of a cost profile has a value with a low and a high end. A draw takes every figure from its own range; the
range is read as the middle 90 % of what the figure may be on another machine of the profile's kind, and the logarithm
is interpolated linearly on both sides of the value, so that half of the draws lie below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

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

    ``share`` is the part of the answer's spread (of ranks) that the cost explains beyond those named before; ``low``
    and ``high`` are the relative change of the answer in the lowest and the highest fifth of the cost's draws. Of
    several answers, which may move in opposite directions, they are the mean size of changes below and above zero.
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
    seed: of the permutations. Each figure has a stream of its own by its name, so a further figure moves no other's.
    excluded: sources that may not be used.
    """
    spans = {key: spread_of(figure, excluded) for key, figure in figures.items()}
    keys = tuple(sorted(key for key, (low, _, high) in spans.items() if low < high))
    unit = np.empty((draws, len(keys)))
    for column, key in enumerate(keys):
        random = np.random.Generator(np.random.PCG64([seed, crc32(key.encode())]))
        unit[:, column] = (random.permutation(draws) + random.random(draws)) / draws
    values = np.array([[quantile_of(*spans[key], share) for key, share in zip(keys, row, strict=True)] for row in unit])
    return Draws(keys, unit, values.reshape(draws, len(keys)))


def draws_of(
    profile: CostProfile, draws: int, *, seed: int = 1, excluded: Collection[str] = (), used: Collection[str] = ()
) -> Draws:
    """Return draws of a profile's figures, all of them or the ``used`` ones; see `latin_hypercube`."""
    figures = {key: figure for key, figure in profile.figures.items() if not used or key in used}
    return latin_hypercube(figures, draws, seed=seed, excluded=excluded)


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
    """Return the costs that answers depend on most, one after the other.

    Each next cost is the one that explains most of what those before leave over (forward selection on ranks): with few
    draws of many costs, some correlate with a strong one by chance, and would be named for its effect.

    Parameters
    ----------
    table: the draws.
    answers: logarithms of answers over their central value, one row an answer and one column a draw (or one row).
    count: how many costs to name.
    """
    answers = np.atleast_2d(answers)
    if not table.keys or answers.size == 0:
        return ()
    moving = answers[answers.std(axis=1) > 0]
    if not len(moving):
        return ()
    columns = _normalised(np.argsort(np.argsort(table.unit, axis=0), axis=0).T)
    left = _normalised(np.argsort(np.argsort(moving, axis=1), axis=1))
    weight = moving.std(axis=1) / moving.std(axis=1).sum()
    found = []
    for _ in range(min(count, len(table.keys))):
        explained = weight @ (left @ columns.T) ** 2
        best = min(range(len(table.keys)), key=lambda column: (-explained[column], table.keys[column]))
        found.append(_influence(table, moving, weight, best, float(explained[best])))
        chosen = columns[best].copy()
        left -= np.outer(left @ chosen, chosen)
        columns = _normalised(columns - np.outer(columns @ chosen, chosen))
    return tuple(found)


def _normalised(rows: npt.NDArray[Any]) -> Array:
    """Return rows without their mean and of length one; rows that have nothing left become zero."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    result: Array = np.divide(centred, length, out=np.zeros_like(centred, dtype=float), where=length > TINY_LENGTH)
    return result


TINY_LENGTH = 1e-6
"""Of a vector of ranks that only rounding has left."""


def _influence(table: Draws, answers: Array, weight: Array, column: int, share: float) -> Influence:
    unit = table.unit[:, column]

    def change(chosen: npt.NDArray[np.bool_], sign: float) -> float:
        if not chosen.any():
            return 0.0
        moved = answers[:, chosen].mean(axis=1)
        return float(np.expm1(moved[0])) if len(answers) == 1 else sign * float(np.expm1(weight @ np.abs(moved)))

    return Influence(table.keys[column], share, change(unit < 0.2, -1.0), change(unit > 0.8, 1.0))
