"""When enough replications have been run: sequential precision with a budget."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from netsim.stats.estimates import LEVEL, Estimate

MINIMUM = 5
"""Replications before the first decision: a variance from fewer stops too early too often."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Run until every wanted figure's interval is narrow enough.

    Decisions are taken between rounds only, on complete rounds, and depend on the figures alone: the number of
    workers cannot change them. Stopping when the interval *happens* to be narrow biases coverage downwards; what bounds
    this is the first round of at least five, the target ``relative/(1 + relative)`` that Law (Simulation Modeling and
    Analysis, 9.4.1) derives for relative precision, and rounds that at most double what is there.

    Parameters
    ----------
    relative: wanted half-width of the interval over the value, for example 0.05.
    budget: largest number of replications.
    level: confidence level of the intervals.
    """

    relative: float
    budget: int
    level: float = LEVEL

    def first(self, planned: int) -> int:
        """Return the replications of the first round."""
        return min(max(planned, MINIMUM), max(self.budget, 1))

    def more(self, done: int, wanted: Iterable[Estimate]) -> int:
        """Return how many replications to add after ``done``; 0 when precise enough or the budget is spent."""
        target = self.relative / (1.0 + self.relative)
        need = done
        for estimate in wanted:
            width = estimate.interval(self.level).relative_half_width
            if width <= target:
                continue
            need = max(need, 2 * done if math.isinf(width) else math.ceil(done * (width / target) ** 2))
        return max(min(need, 2 * done, self.budget) - done, 0)


def replications_needed(estimate: Estimate, relative: float, level: float = LEVEL) -> int:
    """Predict the replications at which the interval reaches ``relative``: n·(now/wanted)², rounded up."""
    width = estimate.interval(level).relative_half_width
    if math.isinf(width):
        raise ValueError("an estimate without an interval predicts nothing")
    return max(math.ceil(estimate.n_replications * (width / relative) ** 2), estimate.n_replications)
