"""How sure a run's figures are: the same run under many draws of the costs, with the same random numbers.

A confidence interval over replications says how well a simulation knows its own answer. How far the answer may lie
from a real cluster's depends on the costs, which are known within ranges. Each draw takes every cost from its range and
runs one replication with the seed of the study's first; the ratio of a figure to that replication's is what the costs
change, and the middle 90 % of the ratios, on the study's figure, is its prediction interval.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from netsim.analysis.uncertainty import TINY, Draws, draws_of, influences, spread_of
from netsim.datapath.build import datapath_of, profile_of
from netsim.datapath.costs import ALWAYS_USED, RecordingPrices
from netsim.datapath.datapath import Datapath
from netsim.errors import InputError
from netsim.scenario.loading import with_values
from netsim.scenario.spec import Scenario
from netsim.study.executor import Job, Unit, executor_for
from netsim.study.figures import Figure, Key, find, summarise
from netsim.study.outcome import Measured, PointRunner
from netsim.study.result import StudyResult
from netsim.study.results import ResultFolder
from netsim.study.selection import quantiles_of
from netsim.study.study import Progress, engine_runner
from netsim.study.tables import Table

FEWEST = 20
"""Draws below which the ends of a 90 % interval are single draws."""
LEVEL = 0.9
COLUMNS = (
    "scope", "name", "metric", "stat", "value", "unit", "ci_low", "ci_high", "prediction_low", "prediction_high",
    "n_draws",
)  # fmt: skip
CANDIDATES, NAMED = 5, 3
"""Costs that are tried by themselves for each headline figure, and those of them that are named."""
INFLUENCE_COLUMNS = ("metric", "stat", "cost", "share", "low", "high")
ASKED = (("latency", "p99"), ("latency", "mean"), ("connect", "mean"), ("dns", "mean"), ("goodput", "mean"))
"""Figures whose dominating costs are named, the first that exists is drawn."""


def predicted(
    result: StudyResult,
    draws: int,
    *,
    runner: PointRunner | None = None,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> StudyResult:
    """Return a study of one point with prediction intervals, as the tables ``uncertainty`` and ``influence``.

    Parameters
    ----------
    result: what was run; where it has a folder, the tables are stored there too.
    draws: of all costs that have a range, by Latin hypercube; each is one replication.
    runner: what runs a replication; default: the engine. workers: processes; the tables do not depend on them.
    progress: called after every draw.

    Raises
    ------
    InputError: there are too few draws, or more points than one.
    """
    check_draws(draws)
    if len(result.points) != 1:
        raise InputError("prediction intervals are those of one point", got=f"{len(result.points)} points of a sweep",
                         allowed="netsim run of a scenario")  # fmt: skip
    scenario, summary = result.points[0].scenario, result.summaries.get(0)
    if summary is None:
        return result
    used = costs_used(scenario) if runner is None else ()
    table = draws_of(profile_of(scenario), draws, seed=scenario.run.seed, used=used)
    bench = _Bench(scenario, result.runs[0][0], runner or engine_runner(), workers, progress)
    samples = bench.run(list(table.draws()))
    rows = [_row(figure, bench.known.get(figure.key, math.nan), samples) for figure in summary.figures]
    asked = [f for metric, stat in ASKED if (f := find(summary.figures, "scenario", "", metric, stat)) is not None]
    tables: dict[str, Table] = {
        "uncertainty": Table.from_rows(COLUMNS, rows),
        "influence": Table.from_rows(INFLUENCE_COLUMNS, _influence_rows(bench, table, asked, samples)),
    }
    lost = draws - len(samples)
    notes = (*result.notes, f"warning: {lost} of {draws} draws of the costs could not be run") if lost else result.notes
    if result.folder is not None:
        for name, content in tables.items():
            ResultFolder(result.folder).write_both(name, content)
    return replace(result, tables={**result.tables, **tables}, notes=notes)


def check_draws(draws: int) -> None:
    """Refuse draws too few for an interval. Raises `InputError`."""
    if draws < FEWEST:
        raise InputError("too few draws for a 90 % interval", got=str(draws), allowed=f"{FEWEST} or more")


def costs_used(scenario: Scenario) -> frozenset[str]:
    """Return the figures of the cost profile that a run of the scenario asks for: the others need no draws."""
    from netsim.engine.run import run_replication
    from netsim.study.runner import model_of

    model, _ = model_of(scenario)
    plain = datapath_of(scenario)
    recording = RecordingPrices.of(plain.prices)
    datapath = Datapath(plain.cluster, plain.plugin, plain.proxy, recording, mtu=scenario.network.mtu)
    run_replication(replace(model, datapath=datapath), seed=scenario.run.seed, replication=0)
    return frozenset(recording.asked).union(ALWAYS_USED)


Values = Mapping[Key, float]
"""Figures of one replication."""


class _Bench:
    """Runs one replication of a scenario under other prices, always with the same random numbers.

    ``known`` are the figures of that replication, ``first``, at the profile's own prices.
    """

    def __init__(
        self, scenario: Scenario, first: Measured, runner: PointRunner, workers: int,
        progress: Callable[[Progress], None] | None,
    ) -> None:  # fmt: skip
        self.scenario, self.runner, self.workers, self.progress = scenario, runner, workers, progress
        self.profile = profile_of(scenario)
        self.known = self.values(first)

    def values(self, run: Measured) -> Values:
        """Return the figures of a replication."""
        return {figure.key: figure.values[0] for figure in summarise({0: run}, quantiles_of(self.scenario)).figures}

    def run(self, prices: Sequence[Mapping[str, float]]) -> dict[int, Values]:
        """Return the figures by position; prices under which the run breaks or cannot exist are left out."""
        stated = dict(self.scenario.network.prices)
        queue = deque(
            Job(Unit(n, 0), with_values(self.scenario, {"network.prices": {**some, **stated}}), self.scenario.run.seed)
            for n, some in enumerate(prices)
        )
        total, begun = len(queue), time.monotonic()
        found: dict[int, Values] = {}
        for done, (unit, outcome) in enumerate(executor_for(self.workers, total).run(self.runner, queue), start=1):
            if isinstance(outcome, Measured):
                found[unit.point] = self.values(outcome)
            if self.progress is not None:
                left = (time.monotonic() - begun) / done * (total - done)
                self.progress(Progress(done, total, left, "draws of the costs"))
        return {number: found[number] for number in sorted(found)}


def _row(figure: Figure, known: float, samples: Mapping[int, Values]) -> tuple[str | float | int, ...]:
    scope, name, metric, stat, unit = figure.key
    interval = figure.estimate.interval()
    low, high, count = _band(figure.estimate.value, known, [run[figure.key] for run in samples.values()
                                                            if figure.key in run])  # fmt: skip
    return (scope, name, metric, stat, figure.estimate.value, unit, interval.low, interval.high, low, high, count)


def _band(value: float, known: float, found: Sequence[float]) -> tuple[float, float, int]:
    """Return the prediction interval of a figure: ratios to the same replication, or plain values where it is zero."""
    values = np.array([one for one in found if not math.isnan(one)])
    if not len(values) or math.isnan(value):
        return math.nan, math.nan, len(values)
    low, high = (float(edge) for edge in np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    if known > 0.0:
        low, high = value * low / known, value * high / known
    return low, high, len(values)


def _influence_rows(
    bench: _Bench, table: Draws, figures: Sequence[Figure], samples: Mapping[int, Values]
) -> list[tuple[str | float, ...]]:
    """Return the three costs that each figure depends on most, with what their ends alone make of it.

    The draws name candidates; one run at each end of a candidate's range, all others as they are, gives its bar, and
    tells it from one that only went along with a strong cost by chance.
    """
    numbers = list(samples)
    used = Draws(table.keys, table.unit[numbers], table.values[numbers])
    moved = {figure.key: _relative(figure.key, bench.known, samples) for figure in figures}
    shares = {
        key: {item.figure: item for item in influences(used, answers, CANDIDATES)}
        for key, answers in moved.items()
        if answers is not None
    }
    costs = list(dict.fromkeys(cost for items in shares.values() for cost in items))
    spans = {cost: spread_of(bench.profile.figures[cost]) for cost in costs}
    ends = bench.run([{cost: edge} for cost in costs for edge in (spans[cost][0], spans[cost][2])])
    rows: list[tuple[str | float, ...]] = []
    for key, items in shares.items():
        bars: list[tuple[str, float, float, float]] = []
        for cost, item in items.items():
            place = 2 * costs.index(cost)
            low, high = (_change(key, bench.known, ends.get(place + side)) for side in (0, 1))
            bars.append((cost, item.share, low, high))
        bars.sort(key=lambda bar: (-max(abs(bar[2]), abs(bar[3])), bar[0]))
        rows.extend((key.metric, key.stat, *bar) for bar in bars[:NAMED])
    return rows


def _relative(key: Key, known: Values, samples: Mapping[int, Values]) -> npt.NDArray[np.float64] | None:
    """Return the logarithm of a figure over its central value, one a draw; None where it has none."""
    centre = known.get(key, 0.0)
    values = np.array([run.get(key, math.nan) for run in samples.values()])
    if not centre > 0.0 or not len(values) or np.isnan(values).any():
        return None
    logarithms: npt.NDArray[np.float64] = np.log(np.maximum(values / centre, TINY))
    return logarithms


def _change(key: Key, known: Values, run: Values | None) -> float:
    return 0.0 if run is None or math.isnan(run.get(key, math.nan)) else run[key] / known[key] - 1
