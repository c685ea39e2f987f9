"""Trying a scenario until its objectives are decided: replications with common random numbers, within a budget."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from netsim.analysis.objectives import Judged, Verdict, judge
from netsim.datapath.build import impossible
from netsim.errors import InputError
from netsim.inspect import limits
from netsim.scenario import Objective, Scenario
from netsim.study.executor import Executor, Job, ProcessExecutor, SerialExecutor, Unit
from netsim.study.figures import Figure, summarise
from netsim.study.outcome import Failed, Impossible, Measured, PointRunner
from netsim.study.selection import quantiles_of

FIRST = 3
"""Replications of the first look; a value far from its limit needs no more."""
BUDGET = 48
"""Replications a trial may take unless the scenario allows fewer (``run.max_replications``)."""


class RunFailedError(Exception):
    """A replication broke: a defect, not a mistake of the user's."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A hard limit that forbids a value: its name, what is used of what, and where that was read."""

    name: str
    text: str
    used: float | None = None
    limit: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found at one value of the key.

    Parameters
    ----------
    value: of the key. stops: hard limits that forbid it; nothing was run then.
    judged: the objectives. figures: of all replications together. runs: the replications.
    open_loop: all traffic comes at a rate of its own, whether answered or not.
    """

    value: float
    stops: tuple[Stop, ...] = ()
    judged: tuple[Judged, ...] = ()
    figures: tuple[Figure, ...] = ()
    runs: tuple[Measured, ...] = ()
    open_loop: bool = True

    @property
    def verdict(self) -> Verdict:
        """Met when all objectives are, missed when one is or a limit forbids the value or a station is overloaded."""
        if self.stops or self.overloaded or any(item.verdict == "missed" for item in self.judged):
            return "missed"
        return "met" if all(item.verdict == "met" for item in self.judged) else "open"

    @property
    def overloaded(self) -> bool:
        """Whether a station is asked for more than it can serve: no figure of such a run is one of a steady state.

        Closed loops and streams take what there is; a station they keep busy all the time is no overload.
        """
        if not self.open_loop:
            return False
        busy = [each for each in self.figures if each.key.metric == "utilization"]
        return any(each.estimate.interval().low >= 1.0 for each in busy)

    def hopeless(self, budget: int) -> bool:
        """Tell whether the whole budget would not bring the intervals clear of the limits, by a wide margin.

        Half-widths shrink with the root of the replications; the first few looks say too little about them.
        """
        reach = budget / max(1, len(self.runs))
        return len(self.runs) >= 4 * FIRST and all(item.ratio_to_limit > 2.0 * math.sqrt(reach) for item in self.open)

    @property
    def open(self) -> tuple[Judged, ...]:
        """Objectives whose interval holds the limit."""
        return tuple(item for item in self.judged if item.verdict == "open")

    @property
    def strain(self) -> float:
        """Share of the tightest objective's limit that is used."""
        return max((item.strain for item in self.judged), default=0.0)


class Bench:
    """Runs trials of one scenario and keeps count.

    All trials use the same seeds, so that two values differ by what they change and not by luck.

    Parameters
    ----------
    objectives: what has to hold. runner: runs a replication. workers: processes.
    ignored: names of limits that are taken as lifted.
    budget: replications a trial may take.
    """

    def __init__(
        self, objectives: Sequence[Objective], *, runner: PointRunner, workers: int = 1, budget: int = BUDGET,
        ignored: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.objectives, self.runner, self.budget, self.ignored = tuple(objectives), runner, budget, ignored
        self._executor: Executor = ProcessExecutor(workers, keep=True) if workers > 1 else SerialExecutor()
        self.replications = 0

    def close(self) -> None:
        """End worker processes."""
        if isinstance(self._executor, ProcessExecutor):
            self._executor.close()

    def stops(self, scenario: Scenario) -> tuple[Stop, ...]:
        """Return the hard limits the scenario exceeds."""
        return tuple(stop for stop in hard_limits_of(scenario) if stop.name not in self.ignored)

    def trial(self, scenario: Scenario, value: float = 0.0) -> Trial:
        """Run replications until every objective is decided or the budget is spent.

        Raises
        ------
        InputError: the scenario says something wrong. RunFailedError: a replication broke.
        """
        stops = self.stops(scenario)
        if stops:
            return Trial(value, stops)
        runs: dict[int, Measured] = {}
        count = min(FIRST, self.budget)
        while True:
            forbidden = self._more(scenario, runs, count)
            if forbidden is not None:
                return Trial(value, (Stop(forbidden, forbidden),))
            found = self._judged(scenario, runs, value)
            if found.verdict != "open" or count >= self.budget or found.hopeless(self.budget):
                return found
            count = min(2 * count, self.budget)

    def measure(self, scenario: Scenario, count: int) -> dict[int, Measured] | str:
        """Run exactly ``count`` replications; the reason where the scenario cannot exist."""
        runs: dict[int, Measured] = {}
        return self._more(scenario, runs, count) or runs

    def _judged(self, scenario: Scenario, runs: dict[int, Measured], value: float) -> Trial:
        figures = summarise(runs, quantiles_of(scenario)).figures
        judged = tuple(judge(objective, figures) for objective in self.objectives)
        open_loop = all(entry.closed is None and entry.kind != "stream" for entry in scenario.traffic)
        return Trial(value, (), judged, figures, tuple(runs.values()), open_loop)

    def _more(self, scenario: Scenario, runs: dict[int, Measured], count: int) -> str | None:
        """Add replications up to ``count``; return why the scenario cannot exist, if so."""
        queue = deque(Job(Unit(0, number), scenario, scenario.run.seed) for number in range(len(runs), count))
        found: dict[int, Measured] = {}
        for unit, outcome in self._executor.run(self.runner, queue):
            if isinstance(outcome, Impossible):
                queue.clear()
                return outcome.reason
            if isinstance(outcome, Failed):
                raise InputError(outcome.reason) if outcome.input_error else RunFailedError(outcome.reason)
            found[unit.replication] = outcome
            self.replications += 1
        runs.update((number, found[number]) for number in sorted(found))
        return None


def hard_limits_of(scenario: Scenario) -> tuple[Stop, ...]:
    """Return the known limits a scenario exceeds, those first that make it impossible.

    Tables that fill over minutes (conntrack, ports in TIME_WAIT) are judged by Little's law from the rates, which no
    simulation of seconds could reach.
    """
    reasons = impossible(scenario)
    if reasons:
        return tuple(Stop(reason.limit_name or reason.text, reason.text, limit=reason.limit) for reason in reasons)
    return tuple(
        Stop(use.name, f"{use.name}: {use.then}" if use.then else use.name, use.used, use.limit, use.source)
        for use in limits(scenario, growth=False).uses
        if use.exceeded
    )
