"""Validation: cases predicted without their own source, scored against what was published."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from netsim.analysis.uncertainty import Draws, Influence, influences, latin_hypercube
from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Case, Row, load_case, shipped_cases
from netsim.calibration.published.evidence import DISCREPANCY, Discrepancy, interval, misfits, weights
from netsim.calibration.published.hardware import Hardware
from netsim.calibration.published.question import Answer, Parameter, Question
from netsim.calibration.published.questions import question_of
from netsim.calibration.published.score import Point, Score, overall, score
from netsim.calibration.published.testbed import Testbed
from netsim.datapath.costs import CostProfile, load_profile
from netsim.errors import InputError

DRAWS = 200
"""Draws of the costs for the prediction intervals."""
LEVEL = 0.9
A_WHILE = 1e-3
"""A time for trying whether a question can answer at all, s."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A row that is not predicted, or only as a range, with the reason."""

    id: str
    metric: str
    reason: str


@dataclass(frozen=True)
class CaseResult:
    """What one case came out at.

    ``points`` are scored; ``trivial`` ones (line rate, flat curves) and ``ranges`` are shown apart. ``parameters`` are
    those fitted to baseline rows, ``sources`` the ones left out, ``influence`` the costs the answers depend on most,
    ``unknown`` the keys of configurations that nothing was made of.
    """

    case: Case
    profile: str
    points: tuple[Point, ...]
    trivial: tuple[Point, ...]
    ranges: tuple[Point, ...]
    excluded: tuple[Excluded, ...]
    baselines: int
    parameters: tuple[Parameter, ...]
    influence: tuple[Influence, ...]
    unknown: tuple[str, ...]
    score: Score

    @property
    def left_out(self) -> float:
        """Excluded and range-only rows as a fraction of the rows that are not trivial."""
        left = len(self.excluded) + len(self.ranges)
        return left / max(1, left + len(self.points))


@dataclass(frozen=True)
class Validation:
    """All cases, and the medians over them."""

    cases: tuple[CaseResult, ...]

    @property
    def overall(self) -> Score:
        """Medians over cases; coverage and half-widths over all points."""
        return overall([case.score for case in self.cases if case.points], [p for c in self.cases for p in c.points])

    def to_dict(self) -> dict[str, object]:
        """Return the JSON document: errors as fractions, ``None`` where a case has no point to score."""
        return {
            "cases": [{"case": result.case.name, **result.score.to_dict()} for result in self.cases],
            "overall": {key: value for key, value in self.overall.to_dict().items() if key not in ("points", "bias")},
        }


def validate(
    names: Sequence[str] = (),
    *,
    draws: int = DRAWS,
    seed: int = 1,
    discrepancy: Discrepancy = DISCREPANCY,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Validation:
    """Predict and score cases: shipped ones by name, folders of the same form, or all shipped ones.

    Parameters
    ----------
    names: cases.
    draws: draws of the costs for intervals; 0 for none.
    seed: of the draws.
    discrepancy: what the model itself may have wrong; see `evidence.DISCREPANCY`.
    workers: processes; they change nothing but the time it takes.
    progress: called with the case that is done, how many are, and how many there are.

    Raises
    ------
    InputError
        When a case is wrong, or a row asks what no question answers.
    """
    cases = [load_case(name) for name in names or shipped_cases()]
    one = partial(validate_case, draws=draws, seed=seed, discrepancy=discrepancy)
    results = []
    for result in _each(one, cases, workers):
        results.append(result)
        progress(result.case.name, len(results), len(cases))
    return Validation(tuple(results))


def _each(one: Callable[[Case], CaseResult], cases: Sequence[Case], workers: int) -> Iterator[CaseResult]:
    """Yield results in the order of the cases, from this process or several."""
    useful = min(workers, len(cases))
    if useful <= 1:
        yield from map(one, cases)
        return
    with ProcessPoolExecutor(useful, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, cases)


def validate_case(
    case: Case, *, draws: int = DRAWS, seed: int = 1, discrepancy: Discrepancy = DISCREPANCY
) -> CaseResult:
    """Predict and score one case; see `validate`."""
    profiles = {name: load_profile(case.profile or hardware.profile) for name, hardware in _machines(case)}
    testbeds = {name: Testbed(hardware, profiles[name].clock_ghz) for name, hardware in _machines(case)}

    rows, refused = _understood(case, testbeds, profiles)

    def benches(drawn: dict[str, dict[str, float]]) -> Iterator[Bench]:
        for name, hardware in _machines(case):
            if rows[name]:
                yield Bench(case, hardware, testbeds[name], profiles[name], rows[name], drawn.get(name, {}))

    central, parameters = _run(benches({}))
    used = {name: profiles[name] for name in rows if rows[name]}
    names = _names(used)
    figures = {names[name][key]: figure for name, p in used.items() for key, figure in p.figures.items()}
    table = latin_hypercube(figures, draws, seed=seed, excluded=case.sources) if draws and central else None
    samples: dict[str, list[float]] = {key: [] for key in central}
    evidence = []
    for draw in table.draws() if table is not None else ():
        machines = tuple(benches(_by_machine(draw, names)))
        for key, (_, answer) in _run(machines)[0].items():
            samples[key].append(answer.value)
        evidence.append([misfits(bench) for bench in machines])
    weight = weights(evidence)
    influence = _influence(table, central, samples) if table is not None else ()
    points: list[Point] = []
    trivial: list[Point] = []
    ranges: list[Point] = []
    for row, answer in central.values():
        own = discrepancy.of(measured=answer.measured)
        ends = interval(answer.value, samples[row.id], weight, noise=case.noise, level=LEVEL, discrepancy=own)
        point = Point.of(row, answer, ends)
        (ranges if row.role == "range" else trivial if answer.trivial else points).append(point)
    stated = [Excluded(r.id, r.metric, r.reason) for r in case.rows if r.role in ("range", "excluded")]
    excluded = (*stated, *(item for item in refused if item.id not in {one.id for one in stated}))
    return CaseResult(
        case=case,
        profile=", ".join(dict.fromkeys(profile.name for profile in profiles.values())),
        points=tuple(points),
        trivial=tuple(trivial),
        ranges=tuple(ranges),
        excluded=tuple(item for item in excluded if item.id not in {point.id for point in ranges}),
        baselines=sum(row.role == "baseline" for row in case.rows),
        parameters=parameters,
        influence=influence,
        unknown=_unknown(case),
        score=score(points, case.noise),
    )


def _machines(case: Case) -> list[tuple[str, Hardware]]:
    return [("", case.hardware), *case.machines.items()]


def _understood(
    case: Case, testbeds: Mapping[str, Testbed], profiles: Mapping[str, CostProfile]
) -> tuple[dict[str, tuple[tuple[Row, Question], ...]], list[Excluded]]:
    """Return the rows of each machine that mean something to the model, with their questions, and the others.

    A table is judged as far as it is understood; what is not is named with its reason, and counts as excluded.
    """
    found: dict[str, list[tuple[Row, Question]]] = {name: [] for name in testbeds}
    refused = []
    for row in case.rows:
        if row.role == "excluded":
            continue
        name = row.setting.text("machine")
        try:
            question = question_of(row)
            bench = Bench(case, case.machine(row.setting), testbeds[name], profiles[name], ((row, question),))
            question.cost(bench, row.setting)
            if row.role != "baseline":
                question.answer(bench, row.setting, A_WHILE, row.quantity.dimension)
        except InputError as error:
            refused.append(Excluded(row.id, row.metric, str(error)))
        else:
            found[name].append((row, question))
    return {name: tuple(rows) for name, rows in found.items()}, refused


def _run(benches: Iterable[Bench]) -> tuple[dict[str, tuple[Row, Answer]], tuple[Parameter, ...]]:
    """Predict every row that is not a baseline; also return the parameters."""
    answers: dict[str, tuple[Row, Answer]] = {}
    parameters: list[Parameter] = []
    for bench in benches:
        for row, question in bench.rows:
            if row.role == "baseline":
                continue
            answers[row.id] = (row, bench.predict(question, row))
        parameters.extend(bench.parameters.values())
    return answers, tuple(parameters)


def _names(profiles: Mapping[str, CostProfile]) -> dict[str, dict[str, str]]:
    """Return the name under which each machine's figures are drawn: one name where all profiles say the same of one."""

    def name(profile: CostProfile, key: str) -> str:
        figure = profile.figures[key]
        alike = all(other.figures.get(key, figure) == figure for other in profiles.values())
        return key if alike else f"{key} ({profile.name})"

    return {machine: {key: name(profile, key) for key in profile.figures} for machine, profile in profiles.items()}


def _by_machine(draw: Mapping[str, float], names: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """Return a draw for each machine: the figures its profile has."""
    return {
        machine: {key: draw[name] for key, name in named.items() if name in draw} for machine, named in names.items()
    }


def _influence(
    table: Draws, central: Mapping[str, tuple[Row, Answer]], samples: Mapping[str, Sequence[float]]
) -> tuple[Influence, ...]:
    """Return the costs that the answers depend on most; answers of zero have no logarithm and stay out."""
    moving = [key for key, (_, answer) in central.items() if answer.value > 0 and not answer.trivial]
    relative = [[value / central[key][1].value for value in samples[key]] for key in moving]
    return influences(table, np.log(np.maximum(np.array(relative), 1e-9))) if relative else ()


def _unknown(case: Case) -> tuple[str, ...]:
    keys = {key for row in case.rows if row.role != "excluded" for key in row.setting.unused}
    return tuple(sorted(keys))
