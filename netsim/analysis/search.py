"""Where along an axis objectives stop being met: bracketing by strides, then halving, with intervals.

The key is moved geometrically until the objectives break, then the bracket is halved (in the logarithm). A step counts
as met or missed only when the intervals are clear of the limits; otherwise replications are added up to the budget.
What stays open lies inside the bracket, which is then as narrow as the budget allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from netsim.analysis.axis import Axis, moved
from netsim.analysis.trials import Bench, Stop, Trial
from netsim.errors import InputError
from netsim.scenario import Scenario

LARGEST_STRIDE = 8.0
MOST_TRIALS = 40
"""Trials of one search: a few strides, then halvings; a search that needs more is not converging."""
NOISE = 4.0
"""Gaps beside an open trial are halved down to this part of the tolerance, then noise is all that is left."""
EXACT = 1e-3
"""Relative width at which the place of a hard limit counts as found."""

Outcome = Literal["bracketed", "never broken in the range", "cannot be met"]


@dataclass(frozen=True, slots=True)
class Found:
    """Where one search ended.

    Parameters
    ----------
    outcome: whether there is an end at all.
    value: best estimate of the last value that meets the objectives; NaN when none does.
    met, missed: the trials at the ends of the bracket; `None` where there is none.
    trials: everything that was tried, in order of the value.
    """

    outcome: Outcome
    value: float
    met: Trial | None
    missed: Trial | None
    trials: tuple[Trial, ...]


@dataclass(slots=True)
class Search:
    """One search along an axis.

    Positions are ``log(value)``, turned round for a resource: what lies further on strains the network more.

    Parameters
    ----------
    scenario, axis: what is moved. bench: runs the trials. tolerance: relative width of the bracket to reach.
    progress: called after every trial. done: the trials so far, by value.
    """

    scenario: Scenario
    axis: Axis
    bench: Bench
    tolerance: float
    progress: Callable[[Trial], None] | None = None
    done: dict[float, Trial] = field(default_factory=dict)

    def run(self) -> Found:
        """Bracket, narrow, and settle exactly where a hard limit ends it."""
        try:
            return self._run_all()
        finally:
            self.bench.close()

    def _run_all(self) -> Found:
        here = self.axis.snap(self.axis.present)
        verdict = self.at(here).verdict
        if verdict != "missed" and not self._walk(here, self.axis.hardest, "missed"):
            top = self._latest()
            return Found("never broken in the range", self.axis.hardest, top, None, self._ordered())
        if verdict != "met" and not self._walk(here, self.axis.easiest, "met"):
            return Found("cannot be met", math.nan, None, self._first_missed(), self._ordered())
        self._settle_limit()
        self._narrow()
        met, missed = self._latest(), self._first_missed()
        return Found("bracketed", self._estimate(met, missed), met, missed, self._ordered())

    def at(self, value: float) -> Trial:
        """Return the trial at a value, run once."""
        known = self.done.get(value)
        if known is None:
            known = self.done[value] = self._run(value)
            if self.progress is not None:
                self.progress(known)
        return known

    def _run(self, value: float) -> Trial:
        try:
            return self.bench.trial(moved(self.scenario, self.axis, value), value)
        except InputError as error:
            if value == self.axis.snap(self.axis.present):
                raise
            # the scenario is fine where it stands; at this value it cannot be built (no addresses left, say)
            return Trial(value, (Stop(error.message, error.message),))

    # ------------------------------------------------------------------------------------------ positions

    def _position(self, value: float) -> float:
        return math.log(value) if self.axis.loading else -math.log(value)

    def _value(self, position: float) -> float:
        return self.axis.snap(math.exp(position if self.axis.loading else -position))

    def _ordered(self) -> tuple[Trial, ...]:
        return tuple(self.done[value] for value in sorted(self.done))

    def _by_strain(self) -> list[Trial]:
        return sorted(self.done.values(), key=lambda trial: self._position(trial.value))

    def _first_missed(self) -> Trial:
        return next(trial for trial in self._by_strain() if trial.verdict == "missed")

    def _latest(self) -> Trial:
        """Return the hardest trial that is met below the first missed one."""
        latest: Trial | None = None
        for trial in self._by_strain():
            if trial.verdict == "missed":
                break
            if trial.verdict == "met" or latest is None:
                latest = trial
        assert latest is not None
        return latest

    # ------------------------------------------------------------------------------------------ steps

    def _walk(self, start: float, end: float, until: str) -> bool:
        """Go from ``start`` to ``end`` in growing strides until a trial has the verdict; tell whether one had."""
        direction = 1.0 if self._position(end) >= self._position(start) else -1.0
        position, stride = self._position(start), 2.0
        while self._value(position) != self.axis.snap(end):
            position += direction * math.log(stride)
            if direction * (position - self._position(end)) > 0.0:
                position = self._position(end)
            if self.at(self._value(position)).verdict == until:
                return True
            stride = min(2.0 * stride, LARGEST_STRIDE)
        return self.at(self.axis.snap(end)).verdict == until

    def _settle_limit(self) -> None:
        """Where a hard limit forbids the upper end, find its exact place without running anything, and try it."""
        met, missed = self._latest(), self._first_missed()
        if not missed.stops:
            return
        free, forbidden = met.value, missed.value
        while not self._adjacent(free, forbidden, EXACT):
            middle = self._value((self._position(free) + self._position(forbidden)) / 2.0)
            if middle in (free, forbidden):
                break
            if self._forbidden(middle):
                forbidden = middle
            else:
                free = middle
        self.at(forbidden)
        self.at(free)

    def _forbidden(self, value: float) -> bool:
        try:
            return bool(self.bench.stops(moved(self.scenario, self.axis, value)))
        except InputError:
            return True

    def _adjacent(self, a: float, b: float, tolerance: float) -> bool:
        if self.axis.whole and abs(a - b) <= 1.0:
            return True
        return abs(math.log(a / b)) <= math.log1p(tolerance)

    def _narrow(self) -> None:
        """Halve the widest gap beside what is open, until the bracket is narrow or only noise is left in it."""
        while len(self.done) < MOST_TRIALS:
            met, missed = self._latest(), self._first_missed()
            if missed.stops and self._adjacent(met.value, missed.value, EXACT):
                return
            if self._adjacent(met.value, missed.value, self.tolerance):
                return
            inside = self._between(met, missed)
            first, last = (inside[0], inside[-1]) if inside else (missed, met)
            gaps = [(met.value, first.value), (last.value, missed.value)]
            a, b = max(gaps, key=lambda gap: abs(math.log(gap[0] / gap[1])))
            if self._adjacent(a, b, self.tolerance / NOISE):
                return
            middle = self._value((self._position(a) + self._position(b)) / 2.0)
            if middle in self.done:
                return
            self.at(middle)

    def _between(self, met: Trial, missed: Trial) -> list[Trial]:
        low, high = self._position(met.value), self._position(missed.value)
        return [trial for trial in self._by_strain() if low < self._position(trial.value) < high]

    def _estimate(self, met: Trial, missed: Trial) -> float:
        """Interpolate where the tightest objective crosses its limit, in logarithms, between the ends' neighbours."""
        if self.axis.whole or missed.stops:
            return met.value
        low, high = self._position(met.value), self._position(missed.value)
        points = [
            (self._position(trial.value), math.log(trial.strain)) for trial in self._by_strain()
            if low <= self._position(trial.value) <= high and 0.0 < trial.strain < math.inf
        ]  # fmt: skip
        for (x0, y0), (x1, y1) in pairwise(points):
            if y0 <= 0.0 < y1:
                return self._value(x0 + (x1 - x0) * (-y0) / (y1 - y0))
        return self._value((low + high) / 2.0)
