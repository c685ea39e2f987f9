"""Run every replication of every point, stream what comes back, stop when it is precise enough."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from netsim.errors import InputError
from netsim.scenario.loading import with_values
from netsim.scenario.objectives import parse_objective
from netsim.scenario.spec import Scenario
from netsim.stats.estimates import Estimate
from netsim.stats.stopping import Precision
from netsim.study import provenance
from netsim.study.executor import Job, Unit, executor_for
from netsim.study.figures import PointFigures, find, summarise
from netsim.study.outcome import Failed, Impossible, Measured, Outcome, PointRunner
from netsim.study.points import Point, expand, located, point_keys
from netsim.study.result import StudyResult
from netsim.study.results import ResultFolder
from netsim.study.selection import quantiles_of
from netsim.study.tabulate import figures_table, hops_table, parts_table, replications_table


class Progress(NamedTuple):
    """How far a study is. ``total`` may grow while precision asks for more replications.

    ``left_s`` is the time the rest will take at the pace so far, None before the first replication has finished.
    """

    done: int
    total: int
    left_s: float | None
    point: str


ProgressCallback = Callable[[Progress], None]


NOTHING = PointFigures((), ())


@dataclass(slots=True)
class _PointState:
    """A point on its way: how many replications it shall have, and those that are there."""

    point: Point
    target: int
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    summary: PointFigures = NOTHING

    @property
    def complete(self) -> bool:
        """Whether the current round is done; a point that cannot exist or failed needs no more of it."""
        return len(self.outcomes) >= self.target or self.stopped is not None

    @property
    def stopped(self) -> Impossible | Failed | None:
        """Why there is nothing to measure, from the lowest replication that says so."""
        for _, outcome in sorted(self.outcomes.items()):
            if isinstance(outcome, Impossible | Failed):
                return outcome
        return None

    def measured(self) -> dict[int, Measured]:
        """Return the replications without a gap from the first one on: a prefix of what a longer run would give."""
        runs: dict[int, Measured] = {}
        for replication in range(self.target):
            outcome = self.outcomes.get(replication)
            if not isinstance(outcome, Measured):
                break
            runs[replication] = outcome
        return runs


def run_study(
    scenario: Scenario,
    *,
    runner: PointRunner | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    precision: float | None = None,
    max_wall_s: float | None = None,
) -> StudyResult:
    """Run a scenario, with all points of its sweep and all their replications.

    Parameters
    ----------
    scenario: the question; ``run`` states replications, seed and precision.
    runner: what runs one replication; default: the engine.
    out: result folder; None keeps everything in memory.
    workers: processes. The tables do not depend on it, byte for byte.
    resume: continue an interrupted study in ``out``; finished replications are not run again.
    progress: called after every replication.
    precision: wanted relative half-width of the intervals of the users' mean latency, its p99, and of every figure an
        objective names; replications are added up to ``run.max_replications``. Default: the scenario's.
    max_wall_s: start nothing new after this many seconds of wall time; points then have fewer replications (the tables
        say how many), each a prefix of what the full study has.

    Raises
    ------
    InputError: the scenario is wrong, or every point fails for the user's mistake; the folder cannot be used.
    """
    if precision is not None:
        scenario = with_values(scenario, {"run.precision": precision})
    study = _Study(scenario, runner or engine_runner(), out)
    study.prepare(resume)
    study.run(workers, progress, max_wall_s)
    return study.result()


def engine_runner() -> PointRunner:
    """Return what runs a replication in the engine, loaded when it is first asked for."""
    from netsim.study.runner import run_point

    return run_point


class _Study:
    """State of one `run_study`."""

    def __init__(self, scenario: Scenario, runner: PointRunner, out: str | Path | None) -> None:
        run = scenario.run
        self.scenario, self.runner = scenario, runner
        self.folder = None if out is None else ResultFolder(out)
        self.precision = None if run.precision is None else Precision(run.precision, run.max_replications)
        self.quantiles = quantiles_of(scenario)
        self.points = expand(scenario)
        first = run.replications if self.precision is None else self.precision.first(run.replications)
        self.states = [_PointState(point, first) for point in self.points]
        self.queue: deque[Job] = deque()

    # -------------------------------------------------------------------------------------------- running

    def prepare(self, resume: bool) -> None:
        """Set up the folder, read what it already holds, queue the rest."""
        if self.folder is not None:
            document, inputs = provenance.relocate(self.scenario)
            self.document, self.inputs = document, provenance.input_digests(inputs)
            self.folder.prepare(self.manifest(), inputs, resume=resume)
        for state in self.states:
            self._queue(state, range(state.target))

    def _queue(self, state: _PointState, replications: range) -> None:
        """Queue a round of a point; what the folder holds already counts as done, which may complete the round."""
        for replication in replications:
            unit = Unit(state.point.index, replication)
            stored = self.folder.read_unit(unit) if self.folder is not None else None
            if stored is not None:
                state.outcomes[replication] = stored
            else:
                self.queue.append(Job(unit, state.point.scenario, self.scenario.run.seed))
        if state.complete:
            self._finish_round(state)

    def run(self, workers: int, progress: ProgressCallback | None, max_wall_s: float | None) -> None:
        """Run the queue dry, or until the time is up."""
        begun = time.monotonic()
        outcomes = executor_for(workers, len(self.queue)).run(self.runner, self.queue)
        for done, (unit, outcome) in enumerate(outcomes, start=1):
            state = self.states[unit.point]
            self._take(state, unit, outcome)
            spent = time.monotonic() - begun
            if max_wall_s is not None and spent > max_wall_s:
                self.queue.clear()
            if progress is not None:
                progress(self._progress(state, done, spent))
        for state in self.states:
            if not state.complete:  # the time was up: what there is counts, up to the first gap
                state.summary = summarise(state.measured(), self.quantiles)

    def _take(self, state: _PointState, unit: Unit, outcome: Outcome) -> None:
        state.outcomes[unit.replication] = outcome
        if self.folder is not None:
            self.folder.write_unit(unit, outcome)
        self._forget_after_stop(state)
        if not isinstance(outcome, Measured):
            waiting = [job for job in self.queue if job.unit.point != unit.point]
            self.queue.clear()
            self.queue.extend(waiting)
        if state.complete and len(state.outcomes) == state.target:
            self._finish_round(state)

    def _forget_after_stop(self, state: _PointState) -> None:
        """Drop what was under way behind the replication that stopped a point: in one process it would not have run."""
        stops = [number for number, outcome in state.outcomes.items() if not isinstance(outcome, Measured)]
        for number in [number for number in state.outcomes if stops and number > min(stops)]:
            del state.outcomes[number]
            if self.folder is not None:
                self.folder.remove_unit(Unit(state.point.index, number))

    def _finish_round(self, state: _PointState) -> None:
        """Summarise a complete round; ask for more replications while the figures are not precise enough."""
        if state.stopped is not None:
            return
        state.summary = summarise(state.measured(), self.quantiles)
        if self.folder is not None:
            self.folder.write_figures(self._figures())
        more = self.precision.more(state.target, self._wanted(state)) if self.precision is not None else 0
        if more:
            state.target += more
            self._queue(state, range(state.target - more, state.target))

    def _wanted(self, state: _PointState) -> Iterator[Estimate]:
        objectives = [parse_objective(text) for text in self.scenario.slo]
        asked = [("latency", "mean"), ("latency", "p99"), *((o.metric, o.statistic) for o in objectives)]
        for metric, stat in dict.fromkeys(asked):
            figure = find(state.summary.figures, "scenario", "", metric, stat)
            if figure is not None and figure.estimate.value != 0.0:
                yield figure.estimate

    def _progress(self, state: _PointState, done: int, spent_s: float) -> Progress:
        finished = sum(len(each.outcomes) for each in self.states)
        total = sum(len(each.outcomes) if each.stopped is not None else each.target for each in self.states)
        left = spent_s / done * (total - finished)
        return Progress(finished, total, left, state.point.label)

    # -------------------------------------------------------------------------------------------- results

    def result(self) -> StudyResult:
        """Write the final tables and hand everything over."""
        reasons = [state.stopped for state in self.states]
        if all(isinstance(reason, Failed) and reason.input_error for reason in reasons):
            raise InputError(str(reasons[0].reason if reasons[0] is not None else ""))
        runs = [(state.point, state.measured()) for state in self.states if state.stopped is None]
        summaries = [(state.point, state.summary) for state in self.states if state.stopped is None]
        keys = point_keys(self.points)
        result = StudyResult(
            scenario=self.scenario,
            points=self.points,
            summaries={point.index: summary for point, summary in summaries},
            runs={point.index: measured for point, measured in runs},
            impossible={s.point.index: s.stopped.reason for s in self.states if isinstance(s.stopped, Impossible)},
            failed={s.point.index: s.stopped.reason for s in self.states if isinstance(s.stopped, Failed)},
            notes=self._notes(),
            tables={
                "figures": self._figures(),
                "replications": replications_table(keys, summaries, self.scenario.run.seed),
                "hops": hops_table(keys, runs),
                "parts": parts_table(keys, runs),
            },
            folder=None if self.folder is None else self.folder.path,
        )
        if self.folder is not None:
            self.folder.write_figures(result.tables["figures"])
            for name in ("replications", "hops", "parts"):
                self.folder.write_table(name, result.tables[name])
            self.folder.write_manifest(self.manifest())
        return result

    def _figures(self) -> Any:
        summaries = [(state.point, state.summary) for state in self.states if state.stopped is None]
        return figures_table(point_keys(self.points), summaries)

    def _notes(self) -> tuple[str, ...]:
        """Collect what a reader must know, each sentence once, with where it holds when that is not everywhere."""
        places: dict[str, list[str]] = {}
        runs = 0
        for state in self.states:
            label = state.point.label
            if not state.complete:
                cut = f"stopped early: {len(state.measured())} of {state.target} replications"
                places.setdefault(cut, []).append(label)
            for note in state.summary.notes:
                places.setdefault(note, []).append(label)
            for replication, run in state.measured().items():
                runs += 1
                for note in dict.fromkeys(run.notes):
                    places.setdefault(note, []).append(f"{label} replication {replication}".strip())
        return tuple(located(note, where, everywhere=runs) for note, where in places.items())

    def manifest(self) -> dict[str, Any]:
        """Return the manifest: what was asked, with what, and what became of every point."""
        return {
            "netsim_manifest": provenance.FORMAT,
            "scenario": self.document,
            "seed": self.scenario.run.seed,
            "versions": provenance.versions(),
            "plugins": list(dict.fromkeys(point.scenario.network.plugin for point in self.points)),
            "costs": provenance.cost_digests([point.scenario for point in self.points]),
            "inputs": self.inputs,
            "points": [self._point_entry(state) for state in self.states],
            "notes": list(self._notes()),
        }

    def _point_entry(self, state: _PointState) -> dict[str, Any]:
        stopped = state.stopped
        status = {Impossible: "impossible", Failed: "failed"}.get(type(stopped), "measured")
        entry: dict[str, Any] = {"levels": dict(state.point.levels), "status": status}
        if stopped is not None:
            return {**entry, "reason": stopped.reason}
        return {**entry, "replications": len(state.measured())}
