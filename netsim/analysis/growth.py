"""How figures and parts of a transaction grow with size: the exponent of a power law, with its interval.

Over sizes n the exponent is the slope of log(value) against log(n), by least squares for every replication apart; the
spread of the replications' slopes gives the interval. A figure that is a constant plus a linear term has an overall
slope between 0 and 1 that says little; the slope over the last step of sizes says where it is going.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.errors import InputError, Place
from netsim.stats.estimates import Interval, from_replications
from netsim.study.bands import band_of
from netsim.study.figures import find
from netsim.study.points import Point
from netsim.study.result import StudyResult

FLAT = 0.1
"""A slope below this is called flat: a tenfold size adds less than 26 %."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How one value grows.

    Parameters
    ----------
    name: of the figure or part. sizes, values: what was measured, sizes ascending.
    overall, last: exponent over all sizes, and over the last step.
    """

    name: str
    sizes: tuple[float, ...]
    values: tuple[float, ...]
    overall: Interval
    last: Interval

    @property
    def order(self) -> str:
        """The growth in words, by the last step; "unclear" where the interval reaches over a whole class."""
        value, low, high, _ = self.last
        if not math.isnan(low) and _class(high) - _class(low) > 1:
            return "unclear"
        return CLASSES[_class(value)]


CLASSES = ("flat", "slower than size", "in proportion to size", "faster than size")


def _class(exponent: float) -> int:
    return sum(exponent >= limit for limit in (FLAT, 1.0 - FLAT, 1.0 + FLAT))


def growth(
    result: StudyResult, metric: str, stat: str, *, over: str, where: Mapping[str, Any] | None = None,
    scope: str = "scenario", name: str = "",
) -> Growth:  # fmt: skip
    """Return how a figure grows along a factor of a sweep.

    Parameters
    ----------
    result: a sweep. metric, stat, scope, name: of the figure. over: the numeric factor.
    where: levels of the other factors.

    Raises
    ------
    InputError: fewer than two sizes have a positive value of this figure.
    """
    series = []
    for size, point in _points(result, over, where or {}):
        figure = find(result.summaries[point.index].figures, scope, name, metric, stat)
        if figure is not None:
            series.append((size, figure.values))
    return _growth(" ".join(part for part in (name, metric, stat) if part), series)


def growth_of_parts(
    result: StudyResult, *, over: str, where: Mapping[str, Any] | None = None, stat: str = "mean"
) -> tuple[Growth, ...]:
    """Return how each part of a transaction's time grows, the largest at the last size first.

    ``stat`` is ``mean`` or a quantile the study reports: the parts of transactions about there, over all phases. Parts
    that some size does not have, or that take no time, are left out.
    """
    band = "scenario", "", band_of(stat)
    found: dict[str, list[tuple[float, list[float]]]] = {}
    for size, point in _points(result, over, where or {}):
        runs = list(result.runs[point.index].values())
        own: dict[str, list[float]] = {}
        for number, run in enumerate(runs):
            for part in run.parts:
                if part[:3] == band:
                    own.setdefault(part.key.what, [0.0] * len(runs))[number] += part.seconds
        for part_name, values in own.items():
            found.setdefault(part_name, []).append((size, values))
    grown = [_growth(part, series) for part, series in found.items() if _complete(series)]
    return tuple(sorted(grown, key=lambda each: (-each.values[-1], each.name)))


def _points(result: StudyResult, over: str, where: Mapping[str, Any]) -> Iterator[tuple[float, Point]]:
    """Yield size and point of the measured points at these levels, sizes ascending."""
    chosen = []
    for point in result.points:
        if over not in point.levels:
            raise InputError("not a factor of the sweep", place=Place(field=over), allowed=", ".join(point.levels))
        size = point.levels[over]
        fits = all(point.levels.get(key) == level for key, level in where.items())
        if fits and point.index in result.summaries and isinstance(size, int | float):
            chosen.append((float(size), point))
    yield from sorted(chosen, key=lambda item: item[0])


def _complete(series: Sequence[tuple[float, Sequence[float]]]) -> bool:
    return len(series) >= 2 and all(size > 0.0 and values and min(values) > 0.0 for size, values in series)


def _growth(name: str, series: Sequence[tuple[float, Sequence[float]]]) -> Growth:
    if not _complete(series):
        raise InputError("growth needs at least two sizes with a value above zero", place=Place(field=name))
    sizes = tuple(size for size, _ in series)
    count = min(len(values) for _, values in series)
    runs = [[values[number] for _, values in series] for number in range(count)]
    overall = from_replications([_slope(sizes, values) for values in runs]).interval()
    last = from_replications([_slope(sizes[-2:], values[-2:]) for values in runs]).interval()
    means = tuple(math.fsum(values) / len(values) for _, values in series)
    return Growth(name, sizes, means, overall, last)


def _slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the least-squares slope of log(value) against log(size)."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    centre_x, centre_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    across = math.fsum((a - centre_x) * (b - centre_y) for a, b in zip(x, y, strict=True))
    return across / math.fsum((a - centre_x) ** 2 for a in x)
