"""Service-level objectives against figures: met, missed, or open while the interval holds the limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netsim.errors import InputError
from netsim.scenario import Objective
from netsim.stats.estimates import Estimate, Interval
from netsim.stats.quantiles import parse_quantile
from netsim.study.figures import Figure, find

Verdict = Literal["met", "missed", "open"]
CENSORED = 0.01
"""A mean says nothing once this share of transactions is still under way at the end."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One objective on the figures of one point. ``strain`` is how much of the limit is used (1: all of it)."""

    objective: Objective
    interval: Interval
    verdict: Verdict

    @property
    def figure(self) -> str:
        """Name of the figure: ``latency p99``."""
        return figure_name(self.objective)

    @property
    def strain(self) -> float:
        """Share of the limit that is used; above 1 the objective is missed."""
        used, limit = self.interval.value, self.objective.limit
        if math.isnan(used):
            return math.inf
        if self.objective.upper:
            return used / limit if limit else math.inf
        return limit / used if used else math.inf

    @property
    def ratio_to_limit(self) -> float:
        """Half-width of the interval over the distance to the limit: above 1 the objective is open."""
        distance = abs(self.interval.value - self.objective.limit)
        return self.interval.half_width / distance if distance else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Return the objective as the JSON document has it."""
        value, low, high, _ = self.interval
        return {
            "figure": self.figure, "objective": self.objective.text, "value": plain(value), "ci_low": plain(low),
            "ci_high": plain(high), "met": {"met": True, "missed": False, "open": None}[self.verdict],
        }  # fmt: skip


def plain(value: float) -> float | None:
    """Return a number JSON can hold; what is unknown is null."""
    return value if math.isfinite(value) else None


def figure_name(objective: Objective) -> str:
    """Return the name of an objective's figure."""
    return f"{objective.metric} {objective.statistic}"


def verdict_of(objective: Objective, estimate: Estimate) -> Verdict:
    """Judge one estimate; without an interval the value alone decides."""
    value, low, high, _ = estimate.interval()
    if math.isnan(value):
        return "open"
    if math.isnan(low) or math.isnan(high):
        low = high = value
    if objective.upper:
        return "met" if high < objective.limit else "missed" if low >= objective.limit else "open"
    return "met" if low > objective.limit else "missed" if high <= objective.limit else "open"


def judge(objective: Objective, figures: Sequence[Figure]) -> Judged:
    """Judge an objective by a point's figures.

    A transaction still under way when the run ends counts as slower than any limit: the finished ones alone would
    make an overloaded network look fast.

    Raises
    ------
    InputError: nothing of this kind was measured.
    """
    figure = figure_of(objective, figures)
    if objective.upper and _censored(objective, figures):
        return Judged(objective, Interval(math.inf, math.nan, math.nan), "missed")
    return Judged(objective, figure.estimate.interval(), verdict_of(objective, figure.estimate))


def figure_of(objective: Objective, figures: Sequence[Figure]) -> Figure:
    """Return the figure an objective speaks of: the whole scenario's.

    For utilization that of the busiest kind of station; for recovery and convergence the longest of any fault.
    """
    if objective.metric in ("recovery", "convergence"):
        faults = [each for each in figures if each.key.scope == "fault" and each.key.metric == objective.metric]
        if faults:
            return max(faults, key=lambda figure: figure.estimate.value)
    if objective.metric == "utilization":
        busiest = [each for each in figures if each.key.scope == "scenario" and each.key.metric == "utilization"]
        if busiest:
            return max(busiest, key=lambda figure: figure.estimate.value)
    figure = find(figures, "scenario", "", objective.metric, objective.statistic)
    if figure is None:
        known = [f"{each.key.metric}.{each.key.stat}" for each in figures if each.key[:2] == ("scenario", "")]
        raise InputError("this scenario does not measure the objective's figure", got=objective.text,
                         allowed=", ".join(dict.fromkeys(known)))  # fmt: skip
    return figure


def _censored(objective: Objective, figures: Sequence[Figure]) -> bool:
    unfinished = find(figures, "scenario", "", "unfinished", "mean")
    if unfinished is None or objective.metric not in ("latency", "request", "connect", "dns"):
        return False
    tail = 1.0 - parse_quantile(objective.statistic) if objective.statistic.startswith("p") else CENSORED
    return unfinished.estimate.value >= tail
