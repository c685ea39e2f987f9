"""Measuring many topologies at once: all of them stand side by side and are visited in rounds.

Every round goes over everything in a new random order, and loads the tables anew because a table's place in memory
matters. What got too few quiet moments, or differs from visit to visit, is visited again at the
end.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from netsim.calibration.kernel.build import build, load
from netsim.calibration.kernel.namespaces import CommandError, Sandbox
from netsim.calibration.kernel.probes import PROBES, Probe, ProbeName
from netsim.calibration.kernel.timing import Effort, Slice, Timer, undisturbed
from netsim.calibration.kernel.topologies import Topology
from netsim.errors import InputError

ENOUGH = 8
"""Quiet chunks that spare a probe another visit, and that make disturbed ones dispensable."""
SURE = 0.015
"""Relative error that spares a probe another visit."""
SECOND_LOOK = 0.35
"""Share of the time that may be spent on further visits beyond the rounds."""
LONELY_ERROR = 0.03
"""Relative error of a value from a single visit."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A topology that this machine cannot build or drive, and why."""

    topology: str
    reason: str


def by_reason(skipped: Sequence[Skipped]) -> dict[str, str]:
    """Return what was skipped, told once a reason: the reason, then one path and how many more."""
    paths: dict[str, list[str]] = {}
    for one in skipped:
        paths.setdefault(one.reason, []).append(one.topology)
    more = {reason: f" and {len(found) - 1} more" if len(found) > 1 else "" for reason, found in paths.items()}
    return {reason: f"{found[0]}{more[reason]}" for reason, found in paths.items()}


@dataclass(frozen=True, slots=True)
class Samples:
    """What a probe took over one topology, in multiples of the reference exchange: chunks by visit."""

    topology: Topology
    probe: ProbeName
    visits: tuple[Slice, ...]

    @property
    def ratio(self) -> float:
        """The lower quartile of the quiet chunks: what disturbs one between two fast references only lengthens it."""
        return _quartile([ratio for visit in self._trusted for ratio in visit])

    @property
    def error(self) -> float:
        """Standard error by the scatter of the visits: of a median, the spread taken from the median deviation."""
        values = [_quartile(visit) for visit in self._trusted]
        if len(values) == 1:
            return LONELY_ERROR * self.ratio
        deviation = statistics.median(abs(value - self.ratio) for value in values)
        return 1.2533 * 1.4826 * deviation / math.sqrt(len(values))

    @property
    def _trusted(self) -> list[tuple[float, ...]]:
        """Quiet chunks by visit; all chunks where hardly any was quiet."""
        quiet = [visit.quiet for visit in self.visits if visit.quiet]
        if sum(map(len, quiet)) >= ENOUGH // 2:
            return quiet
        return [visit.quiet + visit.disturbed for visit in self.visits]


def _quartile(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 4]


@dataclass
class Measurement:
    """Everything timed in one session; ``reference_ns`` is the undisturbed reference exchange."""

    samples: list[Samples] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    packets: dict[ProbeName, tuple[int, int]] = field(default_factory=dict)
    reference_ns: float = 0.0
    seconds: float = 0.0

    def found(self, topology: Topology, probe: ProbeName) -> Samples:
        """Return the samples of one probe over one topology; `LookupError` where there are none."""
        for one in self.samples:
            if one.topology == topology and one.probe == probe:
                return one
        raise LookupError(f"{topology}: {probe}")


def measure(
    host: Sandbox, topologies: Sequence[Topology], effort: Effort, seed: int, progress: Progress | None = None
) -> Measurement:
    """Build topologies, time every probe over each of them in interleaved rounds, and take them down.

    Parameters
    ----------
    host: the sandbox to build in.
    topologies: what to build; what the machine cannot build is skipped and named.
    effort: how long; a round that would end after the time is not begun.
    seed: of the order of visits.
    progress: called before every topology.

    Raises
    ------
    InputError
        Not even a plain pair of pods can be built.
    """
    tell = progress or (lambda *_: None)
    start = monotonic()
    with undisturbed():
        standing = _Standing(host, tell)
        try:
            reference = standing.reference()
            standing.build(topologies)
            timer = Timer(reference, effort)
            standing.rounds(timer, effort, random.Random(seed))
            result = Measurement(*standing.results(), {name: reference.packets(name) for name in PROBES})
            result.reference_ns = timer.reference_ns
        finally:
            standing.close()
    result.seconds = monotonic() - start
    return result


class _Standing:
    """The topologies that stand, and what their probes took so far."""

    def __init__(self, host: Sandbox, tell: Progress) -> None:
        self._host, self._tell = host, tell
        self._reference: Probe | None = None
        self._probes: list[Probe] = []
        self._skipped: list[Skipped] = []
        self._visits: dict[tuple[int, ProbeName], list[Slice]] = {}

    def reference(self) -> Probe:
        """Build the plain pair of pods that everything is compared with."""
        try:
            self._reference = Probe(self._host, build(self._host, Topology()))
        except (CommandError, OSError) as error:
            raise InputError("two namespaces cannot be joined by a veth pair here", got=str(error)) from error
        return self._reference

    def build(self, topologies: Sequence[Topology]) -> None:
        """Build topologies and connect their pods, or note why that is impossible here."""
        for done, topology in enumerate(topologies):
            self._tell("building", done, len(topologies))
            try:
                self._probes.append(Probe(self._host, build(self._host, topology)))
            except (CommandError, OSError) as error:
                self._skipped.append(Skipped(str(topology), str(error)))

    def rounds(self, timer: Timer, effort: Effort, order: random.Random) -> None:
        """Visit everything in random order until the time is used up, then again what is still unsure."""
        start = monotonic()
        for number in range(effort.most):
            if number >= effort.fewest and (monotonic() - start) * (number + 1) / number > effort.seconds:
                break
            visits = list(range(len(self._probes)))
            order.shuffle(visits)
            for done, index in enumerate(visits):
                self._tell(f"round {number + 1}", done, len(visits))
                self._visit(timer, index, PROBES, anew=number > 0)
        end = monotonic() + SECOND_LOOK * effort.seconds
        while lacking := self._lacking():
            for done, (index, names) in enumerate(lacking):
                if monotonic() > end:
                    return
                self._tell("second look", done, len(lacking))
                self._visit(timer, index, names, anew=True)

    def _lacking(self) -> list[tuple[int, tuple[ProbeName, ...]]]:
        """Return the probes that answered but got too few quiet chunks or differ between visits, by topology."""
        found: dict[int, tuple[ProbeName, ...]] = {}
        for (index, name), visits in self._visits.items():
            so_far = Samples(self._probes[index].built.topology, name, tuple(visits))
            if sum(len(visit.quiet) for visit in visits) < ENOUGH or so_far.error > SURE * so_far.ratio:
                found[index] = (*found.get(index, ()), name)
        return list(found.items())

    def _visit(self, timer: Timer, index: int, names: Sequence[ProbeName], *, anew: bool) -> None:
        probe = self._probes[index]
        if anew and probe.built.tables:
            load(self._host, probe.built)
        probe.refresh()
        for name in names:
            try:
                self._visits.setdefault((index, name), []).append(timer.slice(probe, name))
            except OSError:
                continue  # a lost packet ends the visit; a probe that always loses is named among the skipped
        gc.collect()

    def results(self) -> tuple[list[Samples], list[Skipped]]:
        """Return what was timed, and what could not be."""
        samples, skipped = [], list(self._skipped)
        for index, probe in enumerate(self._probes):
            for name in PROBES:
                if visits := self._visits.get((index, name)):
                    samples.append(Samples(probe.built.topology, name, tuple(visits)))
                else:
                    skipped.append(Skipped(str(probe.built.topology), f"{name} loses packets"))
        return samples, skipped

    def close(self) -> None:
        """Take everything down."""
        for probe in [*self._probes, *([self._reference] if self._reference else [])]:
            probe.close()
