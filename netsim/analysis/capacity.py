"""The largest load a network carries, or the largest size it can have, within its objectives; and what stops it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from netsim.analysis.axis import Axis, axis_of
from netsim.analysis.bottleneck import Cause, cause_of, lift_of
from netsim.analysis.objectives import Judged, plain
from netsim.analysis.search import Found, Search
from netsim.analysis.trials import BUDGET, Bench, Trial
from netsim.errors import InputError, Place
from netsim.scenario import Scenario, parse_objective, with_values
from netsim.study.outcome import PointRunner
from netsim.study.points import single
from netsim.study.runner import run_point

TOLERANCE = 0.05
"""Width of the bracket, relative to its lower end, at which a search ends."""


@dataclass(frozen=True, slots=True)
class Next:
    """What comes after the first bottleneck: ``how`` says what was lifted for the second search."""

    how: str
    found: Found
    cause: Cause | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The answer of a capacity search.

    Parameters
    ----------
    key: what was moved; ``loading`` is False for a resource, of which the least sufficient is sought.
    present: its value in the scenario. present_trial: how the objectives stand there.
    found: where the objectives end. cause: what stops it. following: the next bottleneck once that one is lifted.
    settings: dotted keys to set for the found value.
    replications, budget: what was spent in all, and what one step may spend.
    """

    key: str
    loading: bool
    present: float
    present_trial: Trial
    found: Found
    cause: Cause | None
    following: Next | None
    settings: Mapping[str, Any]
    replications: int
    budget: int
    notes: tuple[str, ...] = ()

    @property
    def headroom(self) -> float:
        """Capacity over present value (for a resource the inverse); NaN when the objectives cannot be met."""
        ratio = self.found.value / self.present
        return ratio if self.loading else 1.0 / ratio

    @property
    def judged(self) -> tuple[Judged, ...]:
        """The objectives at the last value that meets them; where none does, at the easiest one tried."""
        shown = self.found.met
        if shown is None:
            tried = [trial for trial in self.found.trials if trial.judged]
            shown = min(tried, key=lambda trial: trial.strain) if tried else None
        return () if shown is None else shown.judged

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of ``netsim capacity``."""
        return {
            "key": self.key, **_ends(self.found), "slo": [item.to_dict() for item in self.judged],
            "limited_by": None if self.cause is None else self.cause.to_dict(),
            "next": None if self.following is None else _next_document(self.following),
            "outcome": self.found.outcome, "present": self.present, "headroom": plain(self.headroom),
            "sought": "largest" if self.loading else "smallest", "settings": dict(self.settings),
            "now": [item.to_dict() for item in self.present_trial.judged],
            "steps": [_step(trial) for trial in self.found.trials],
            "replications": self.replications, "budget": self.budget, "notes": list(self.notes),
        }  # fmt: skip


def _ends(found: Found) -> dict[str, float | None]:
    """Return value and bracket; an end that does not exist is null."""
    ends = sorted(trial.value for trial in (found.met, found.missed) if trial is not None)
    if found.outcome != "bracketed":
        known = plain(found.value)
        return {"value": known, "low": known, "high": None}
    return {"value": found.value, "low": ends[0], "high": ends[-1]}


def _next_document(following: Next) -> dict[str, Any]:
    return {
        "how": following.how, **_ends(following.found), "outcome": following.found.outcome,
        "limited_by": None if following.cause is None else following.cause.to_dict(),
    }  # fmt: skip


def _step(trial: Trial) -> dict[str, Any]:
    return {
        "value": trial.value, "verdict": trial.verdict, "replications": len(trial.runs),
        "stops": [stop.text for stop in trial.stops],
        "figures": {item.figure: plain(item.interval.value) for item in trial.judged},
    }  # fmt: skip


def capacity(
    scenario: Scenario,
    objectives: Sequence[str] = (),
    *,
    over: str = "traffic.rate",
    span: tuple[float | None, float | None] = (None, None),
    tolerance: float = TOLERANCE,
    budget: int | None = None,
    runner: PointRunner | None = None,
    workers: int = 1,
    following: bool = True,
    progress: Callable[[Trial], None] | None = None,
) -> Capacity:
    """Find how far ``over`` can go before an objective is missed or a hard limit is reached.

    Parameters
    ----------
    scenario: the question; its sweep is left out.
    objectives: ``p99<5ms``, ``loss<0.1%``; the scenario's own by default.
    over: a numeric dotted key; a key under ``traffic`` moves all entries in proportion.
    span: range of the search, `None` for the default (`axis_of`).
    tolerance: relative width of the bracket to reach.
    budget: replications a step may take; ``run.max_replications`` or 48 by default, whichever is smaller.
    runner: runs a replication; the engine by default.
    workers: processes; results do not depend on it.
    following: also look for the next bottleneck.
    progress: called after every step.

    Raises
    ------
    InputError: no objective, an unknown key, or a mistake in the scenario.
    RunFailedError: a replication broke.
    """
    asked = _asked(scenario, objectives)
    axis = axis_of(asked, over, span)
    spend = budget or min(BUDGET, asked.run.max_replications)
    quest = _Quest(asked, axis, tolerance, spend, workers, progress)
    first = quest.search(asked, axis, runner or run_point)
    found = first.run()
    cause = None if found.missed is None else cause_of(found.missed)
    spent, after = first.bench.replications, None
    if following and cause is not None:
        after, more = quest.following(found, cause, runner)
        spent += more
    settings = axis.settings(found.value) if math.isfinite(found.value) else {}
    return Capacity(
        over, axis.loading, axis.present, first.at(axis.snap(axis.present)), found, cause, after, settings, spent,
        spend, _notes(axis, found, tolerance),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Quest:
    """What both searches of a capacity share."""

    scenario: Scenario
    axis: Axis
    tolerance: float
    budget: int
    workers: int
    progress: Callable[[Trial], None] | None

    def search(self, scenario: Scenario, axis: Axis, runner: PointRunner, ignored: tuple[str, ...] = ()) -> Search:
        objectives = [parse_objective(text) for text in scenario.slo]
        bench = Bench(objectives, runner=runner, workers=self.workers, budget=self.budget, ignored=ignored)
        return Search(scenario, axis, bench, self.tolerance, self.progress)

    def following(self, found: Found, cause: Cause, runner: PointRunner | None) -> tuple[Next | None, int]:
        """Lift the first bottleneck and search on from where it was; also return the replications this took."""
        lift = lift_of(cause)
        if lift is None or (runner is not None and lift.free_cores):
            return None, 0
        engine = partial(run_point, free_cores=lift.free_cores, lifted=lift.limits)
        start = found.value if math.isfinite(found.value) else self.axis.snap(self.axis.present)
        eased = with_values(self.scenario, lift.settings)
        search = self.search(eased, self.axis.from_(start), runner or engine, lift.limits)
        after = search.run()
        return Next(
            lift.how, after, None if after.missed is None else cause_of(after.missed)
        ), search.bench.replications


def _asked(scenario: Scenario, objectives: Sequence[str]) -> Scenario:
    """Return the scenario without its sweep and with the objectives to hold."""
    texts = list(objectives) or list(scenario.slo)
    if not texts:
        raise InputError("a capacity needs an objective to hold", place=Place(scenario.file, field="slo"),
                         allowed="--slo 'p99<5ms', or slo: [...] in the scenario")  # fmt: skip
    for text in texts:
        try:
            parse_objective(text)
        except ValueError as error:
            message, _, allowed = str(error).partition("|")
            raise InputError(message, place=Place(field="slo"), allowed=allowed or None) from error
    return with_values(single(scenario), {"slo": texts})


def _notes(axis: Axis, found: Found, tolerance: float) -> tuple[str, ...]:
    notes = []
    if len(axis.spots) > 1:
        entries = ", ".join(f"{spot.key} {spot.value:g}" for spot in axis.spots)
        notes.append(f"{axis.key} stands for several entries, which keep their proportions; values are their mean "
                     f"({entries} now)")  # fmt: skip
    opened = [trial.value for trial in found.trials if trial.verdict == "open"]
    if found.met is not None and found.missed is not None and not found.missed.stops:
        width = abs(math.log(found.missed.value / found.met.value))
        if opened and width > math.log1p(tolerance) * (1 + 1e-9):
            notes.append("the bracket stays wider than asked: between its ends the intervals hold the limit with the "
                         "whole budget")  # fmt: skip
    verdicts = [trial.verdict for trial in found.trials if trial.verdict != "open"]
    ordered = verdicts if axis.loading else verdicts[::-1]
    if "met" in ordered[ordered.index("missed") :] if "missed" in ordered else False:
        notes.append("the objectives are met again beyond a value that misses them: the key is not monotone here; the "
                     "answer is the first end")  # fmt: skip
    return tuple(notes)
