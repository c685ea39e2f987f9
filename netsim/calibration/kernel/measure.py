"""Timing many topologies so that a machine that changes its mind does not matter.

Beside every chunk of a probe, a millisecond or two, the same thread times a *reference*, a plain pair of pods. Ratios
to it cancel a clock that drifts. Work on a sibling hardware thread is worse, it slows different code differently by
up to a half, so chunks whose references are slow are left out and others taken in their place. Rounds visit every
topology in a new random order, and tables are loaded anew between rounds because a table's place in memory matters.
"""

from __future__ import annotations

import gc
import math
import os
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns

from netsim.calibration.kernel.build import build, load
from netsim.calibration.kernel.namespaces import CommandError, Sandbox
from netsim.calibration.kernel.probes import PROBES, Probe, ProbeName
from netsim.calibration.kernel.topologies import Topology

REFERENCE_EXCHANGES = 50
WINDOW = 600
"""Latest timings of the reference that say what undisturbed means: some twenty seconds."""
DISTURBED = 1.03
"""A chunk counts as disturbed when a reference beside it is this much above the tenth percentile of the window."""
PATIENCE, FEWEST = 3, 3
"""A slice takes at most so many times its chunks to find quiet ones, and falls back on all of them below so few."""
SHORTEST = 12
"""Exchanges of the shortest chunk."""
PRIORITY = -15
"""Nice value while measuring: other work on the machine makes gaps between exchanges, not longer exchanges."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: seconds of rounds over everything, but so many at least and at most; chunks of a slice."""

    seconds: float
    fewest: int = 3
    most: int = 12
    chunks: int = 8
    chunk_ns: int = 1_500_000


@dataclass(frozen=True, slots=True)
class Skipped:
    """A topology that this machine cannot build or drive, and why."""

    topology: str
    reason: str


@dataclass(frozen=True, slots=True)
class Samples:
    """What a probe took over one topology: one value a round, in multiples of the reference exchange."""

    topology: Topology
    probe: ProbeName
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median over rounds."""
        return statistics.median(self.ratios)

    @property
    def error(self) -> float:
        """Standard error of the median: 1.25 times that of a mean, the spread taken from the median deviation."""
        deviation = statistics.median(abs(ratio - self.ratio) for ratio in self.ratios)
        return 1.2533 * 1.4826 * deviation / math.sqrt(len(self.ratios))


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
    """
    tell = progress or (lambda *_: None)
    result, start = Measurement(), perf_counter_ns()
    with _quiet():
        standing: list[Probe] = []
        reference = Probe(host, build(host, Topology()))
        try:
            result.packets = {name: reference.packets(name) for name in PROBES}
            for done, topology in enumerate(topologies):
                tell("building", done, len(topologies))
                _stand(host, topology, standing, result)
            timer = _Timer(reference, effort)
            _collect(standing, _rounds(host, timer, standing, random.Random(seed), tell), result)
            result.reference_ns = timer.quiet_reference()
        finally:
            for probe in [*standing, reference]:
                probe.close()
    result.seconds = (perf_counter_ns() - start) / 1e9
    return result


def _stand(host: Sandbox, topology: Topology, standing: list[Probe], result: Measurement) -> None:
    """Build one topology and connect its pods, or note why that is impossible here."""
    try:
        built = build(host, topology)
    except CommandError as error:
        result.skipped.append(Skipped(str(topology), str(error)))
        return
    try:
        standing.append(Probe(host, built))
    except OSError as error:
        host.release(built.handles)
        result.skipped.append(Skipped(str(topology), f"it carries no packets: {error}"))


def _rounds(
    host: Sandbox, timer: _Timer, standing: Sequence[Probe], order: random.Random, tell: Progress
) -> Mapping[tuple[int, ProbeName], list[float]]:
    """Visit everything in random order until the time is used up; return ratios by number and probe."""
    effort, start = timer.effort, perf_counter_ns()
    ratios: dict[tuple[int, ProbeName], list[float]] = {}
    for number in range(effort.most):
        spent = (perf_counter_ns() - start) / 1e9
        if number >= effort.fewest and spent * (number + 1) / number > effort.seconds:
            break
        visits = list(range(len(standing)))
        order.shuffle(visits)
        for done, index in enumerate(visits):
            probe = standing[index]
            tell(f"round {number + 1}", done, len(standing))
            if number and probe.built.tables:
                load(host, probe.built)
            probe.refresh()
            for name in PROBES:
                try:
                    ratios.setdefault((index, name), []).append(timer.slice(probe, name))
                except OSError:
                    continue  # a lost packet ends a slice; a probe that always loses is named below
            gc.collect()
    return ratios


def _collect(
    standing: Sequence[Probe], ratios: Mapping[tuple[int, ProbeName], list[float]], result: Measurement
) -> None:
    for index, probe in enumerate(standing):
        for name in PROBES:
            if values := ratios.get((index, name)):
                result.samples.append(Samples(probe.built.topology, name, tuple(values)))
            else:
                result.skipped.append(Skipped(str(probe.built.topology), f"{name} lost packets every time"))


class _Timer:
    """Times slices against the reference."""

    def __init__(self, reference: Probe, effort: Effort) -> None:
        self._reference, self.effort = reference, effort
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self.references: list[float] = []
        self._counts: dict[tuple[int, ProbeName], int] = {}
        for _ in range(WINDOW // 2):
            self._time()

    def slice(self, probe: Probe, name: ProbeName) -> float:
        """Return the lower quartile of undisturbed chunks, in multiples of the reference beside them.

        The lower quartile, because a disturbance between two quiet references can only lengthen a chunk.
        """
        run, count = probe.run[name], self._count(probe, name)
        run(max(count // 4, 8))
        quiet: list[float] = []
        noisy: list[float] = []
        limit = sorted(self._recent)[len(self._recent) // 10] * DISTURBED
        before = self._time()
        for _ in range(PATIENCE * self.effort.chunks):
            value = run(count)
            after = self._time()
            (quiet if max(before, after) < limit else noisy).append(2 * value / (before + after))
            before = after
            if len(quiet) == self.effort.chunks:
                break
        ratios = sorted(quiet if len(quiet) >= FEWEST else quiet + noisy)
        return ratios[len(ratios) // 4]

    def quiet_reference(self) -> float:
        """Return the lower quartile of the session's reference exchanges, in nanoseconds."""
        return sorted(self.references)[len(self.references) // 4]

    def _time(self) -> float:
        value = self._reference.run["udp_rr"](REFERENCE_EXCHANGES)
        self._recent.append(value)
        self.references.append(value)
        return value

    def _count(self, probe: Probe, name: ProbeName) -> int:
        """Return how many exchanges fill a chunk."""
        key = (id(probe), name)
        if key not in self._counts:
            self._counts[key] = max(SHORTEST, int(self.effort.chunk_ns / probe.run[name](SHORTEST)))
        return self._counts[key]


@contextmanager
def _quiet() -> Iterator[None]:
    """Pin this thread, raise its priority and stop the garbage collector for a while."""
    affinity, priority = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
    collecting = gc.isenabled()
    os.sched_setaffinity(0, {max(affinity)})
    os.setpriority(os.PRIO_PROCESS, 0, min(PRIORITY, priority))
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        os.setpriority(os.PRIO_PROCESS, 0, priority)
        os.sched_setaffinity(0, affinity)
