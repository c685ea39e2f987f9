"""Timing so that a machine that changes its mind does not matter.

Beside every chunk of a probe, about a millisecond, the same thread times a *reference*, a plain pair of pods. Ratios
to it cancel a clock that drifts. Work on a sibling hardware thread is worse: it slows different code differently, by up
to a half. So a chunk counts only if the references on both sides of it were fast, and others are taken in its place.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from netsim.calibration.kernel.probes import Probe, ProbeName

REFERENCE_EXCHANGES = 30
WINDOW = 800
"""Latest timings of the reference that say what fast means: some twenty seconds."""
DISTURBED = 1.03
"""A chunk is disturbed when a reference beside it is this much above the tenth percentile of the window."""
SHORTEST = 12
"""Exchanges of the shortest chunk."""
PRIORITY = -15
"""Nice value while measuring: other work on the machine makes gaps between exchanges, not longer exchanges."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: seconds of rounds over everything, but so many at least and at most; chunks of a slice."""

    seconds: float
    fewest: int = 3
    most: int = 12
    chunks: int = 8
    chunk_ns: int = 900_000


class Slice(NamedTuple):
    """Chunks of one visit, each in multiples of the reference beside it."""

    quiet: tuple[float, ...]
    disturbed: tuple[float, ...]


class Timer:
    """Times slices against the reference."""

    def __init__(self, reference: Probe, effort: Effort) -> None:
        self._reference, self._effort = reference, effort
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._all: list[float] = []
        self._counts: dict[tuple[int, ProbeName], int] = {}
        for _ in range(WINDOW // 2):
            self._time()

    def slice(self, probe: Probe, name: ProbeName) -> Slice:
        """Time a probe until enough chunks were quiet, or as many disturbed: then this is no good moment.

        Raises
        ------
        OSError
            A packet was lost.
        """
        run, count = probe.run[name], self._count(probe, name)
        run(max(count // 4, 8))
        quiet: list[float] = []
        disturbed: list[float] = []
        limit = DISTURBED * _tenth(self._recent)
        before = self._time()
        while max(len(quiet), len(disturbed)) < self._effort.chunks:
            value = run(count)
            after = self._time()
            (quiet if max(before, after) < limit else disturbed).append(2 * value / (before + after))
            before = after
        return Slice(tuple(quiet), tuple(disturbed))

    @property
    def reference_ns(self) -> float:
        """The undisturbed reference exchange of the session: its tenth percentile."""
        return _tenth(self._all)

    def _time(self) -> float:
        value = self._reference.run["udp_rr"](REFERENCE_EXCHANGES)
        self._recent.append(value)
        self._all.append(value)
        return value

    def _count(self, probe: Probe, name: ProbeName) -> int:
        """Return how many exchanges fill a chunk."""
        key = (id(probe), name)
        if key not in self._counts:
            self._counts[key] = max(SHORTEST, int(self._effort.chunk_ns / probe.run[name](SHORTEST)))
        return self._counts[key]


def _tenth(values: deque[float] | list[float]) -> float:
    return sorted(values)[len(values) // 10]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Pin this thread, raise its priority and stop the garbage collector while a block runs."""
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
