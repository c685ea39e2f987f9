"""Background jobs: streams of them, what they bring to a kind of station, and where one station draws its own from.

A job is one burst, or a large transfer whose bursts come one after the other, as its window and the stations before
this one let them (`netsim.engine.background.pacing`).

The relaxation time of M/G/1 is taken as ``E[S²]/(2 E[S]) · 2/(1-√ρ)²``, which for exponential service is the known
``1/(μ (1-√ρ)²)`` (Cohen, The Single Server Queue, 1982).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from itertools import accumulate, groupby
from math import fsum, sqrt
from operator import itemgetter
from typing import TYPE_CHECKING

from netsim.engine.background.pacing import AT_ONCE
from netsim.engine.queueing.grid import array_on_grid, on_grid
from netsim.engine.randomness import portable
from netsim.engine.randomness.streams import mix

if TYPE_CHECKING:
    from netsim.engine.background.pacing import Pieces, Setup
    from netsim.engine.queueing.vector import Floats
    from netsim.engine.randomness.streams import Streams

TABLE = 1 << 16
"""Draws kept for all stations of a replication; each reads them from a place of its own."""
MEMORY = 3.0
"""Relaxation times played exactly after a stationary draw."""
SATURATED = 0.95
"""From this utilisation on nothing is forgotten: the whole past is played, in one batch."""
MOST_ARRIVALS = 4096
MANY = 32
"""From so many arrivals expected at once they are worked out as arrays (measured: 36 us, one by one 54 us; equal at 22,
for 4,096 arrays take a 38th)."""


Windows = tuple[tuple[tuple[float, float], ...], ...]
"""The bursts that follow a job's first one, by window: seconds after the last burst of the window before (of the first
window: after the job's first burst), service in seconds."""


@dataclass(frozen=True)
class Arrivals:
    """One stream of background jobs at a station: rate, and classes with their shares.

    A job's first burst takes ``services_s`` and comes with the job; ``rests`` are the bursts that follow. ``setups`` is
    what each of them has to do with an idle core.
    """

    rate_per_s: float
    services_s: tuple[float, ...]
    setups: tuple[Setup, ...]
    cumulated: tuple[float, ...]
    rests: tuple[Windows, ...]

    @staticmethod
    def of(classes: Iterable[tuple[Pieces, Setup, float]]) -> Arrivals:
        """Return the stream of classes (pieces, set-up, rate)."""
        kept = sorted(each for each in classes if each[2] > 0.0 and any(service_s > 0.0 for _, service_s, _ in each[0]))
        if not kept:
            return Arrivals(0.0, (0.0,), (AT_ONCE,), (1.0,), ((),))
        total = fsum(rate for _, _, rate in kept)
        return Arrivals(
            total, tuple(on_grid(pieces[0][1]) for pieces, _, _ in kept), tuple(setup for _, setup, _ in kept),
            tuple(each / total for each in accumulate(rate for _, _, rate in kept)),
            tuple(_by_window(pieces) for pieces, _, _ in kept),
        )  # fmt: skip

    @cached_property
    def shares(self) -> list[float]:
        """Shares of the classes."""
        return [upper - lower for lower, upper in zip((0.0, *self.cumulated), self.cumulated, strict=False)]

    @cached_property
    def longest_s(self) -> float:
        """How long the longest job goes on bringing bursts."""
        return max(fsum(window[-1][0] for window in rest if window) for rest in self.rests)

    def moment(self, power: int) -> float:
        """Return a moment of the work of a job."""
        return fsum(share * fsum(job) ** power for share, job in zip(self.shares, self._services, strict=True))

    @cached_property
    def by_time(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """All bursts' services, and their cumulated shares of the time the station is occupied."""
        jobs = self._services
        parts = [share * service_s for share, job in zip(self.shares, jobs, strict=True) for service_s in job]
        total = fsum(parts)
        cumulated = tuple(each / total for each in accumulate(parts)) if total else (1.0,)
        return tuple(service_s for job in jobs for service_s in job), cumulated

    @cached_property
    def _services(self) -> list[list[float]]:
        """The services of all bursts of a job, class by class."""
        return [
            [first, *(service_s for window in rest for _, service_s in window)]
            for first, rest in zip(self.services_s, self.rests, strict=True)
        ]

    @cached_property
    def load(self) -> float:
        """Utilisation this stream alone causes."""
        return self.rate_per_s * self.moment(1)

    @cached_property
    def idle_load(self) -> float:
        """Work a second that a core would have besides if this stream always found it idle."""
        each = fsum(share * idle_s for share, (_, idle_s) in zip(self.shares, self.setups, strict=True))
        return self.rate_per_s * each

    @cached_property
    def second_moment_per_s(self) -> float:
        """Rate times the second moment of the work of a job."""
        return self.rate_per_s * self.moment(2)


def _by_window(pieces: Pieces) -> Windows:
    """Return what follows the first burst, each window timed from the last burst of the one before."""
    if len(pieces) == 1:
        return ()
    windows: list[tuple[tuple[float, float], ...]] = []
    before = 0.0
    for _, group in groupby(pieces, key=itemgetter(2)):
        bursts = [(on_grid(after - before), on_grid(service_s)) for after, service_s, _ in group]
        windows.append(tuple(bursts if windows else bursts[1:]))
        before += bursts[-1][0]
    return tuple(windows)


class Draws:
    """Uniform and exponential numbers for all background of a replication, as lists and as arrays (``table``)."""

    def __init__(self, streams: Streams) -> None:
        uniforms = streams.uniform("background").take(2 * TABLE)
        self.uniforms: list[float] = uniforms[:TABLE].tolist()
        self.table: tuple[Floats, Floats] = uniforms[:TABLE], -portable.log(uniforms[TABLE:])
        self.exponentials: list[float] = self.table[1].tolist()
        self.salt = streams.hash("background")


class Profile:
    """The background of a kind of station: one stream for a link, interrupts and threads for a core. Shared.

    ``totals`` are the utilisations by no stream, the first one, the first two; ``idle_load`` is the work a second that
    an idle core has besides, as often as a burst finds one.
    """

    __slots__ = ("idle_load", "load", "loads", "longest_s", "memory_s", "rate_per_s", "saturated", "streams", "totals")

    def __init__(self, streams: Sequence[Arrivals]) -> None:
        self.streams = tuple(streams)
        self.rate_per_s = fsum(each.rate_per_s for each in streams)
        self.loads = tuple(each.load for each in streams)
        self.load = fsum(self.loads)
        self.totals = tuple(fsum(self.loads[:upto]) for upto in range(3))
        self.saturated = self.load >= SATURATED
        self.idle_load = max(0.0, 1.0 - self.load) * min(1.0, fsum(each.idle_load for each in streams))
        second = fsum(each.second_moment_per_s for each in streams)
        self.memory_s = MOST_ARRIVALS / self.rate_per_s
        if not self.saturated:
            self.memory_s = min(self.memory_s, MEMORY * second / self.load / (1.0 - sqrt(self.load)) ** 2)
        self.longest_s = max(each.longest_s for each in streams)


class Source:
    """What one station draws its background from."""

    __slots__ = ("_at", "_exponentials", "_later", "_rate_per_s", "_table", "_uniforms", "profile", "waited_s")

    def __init__(self, draws: Draws, start: int, profile: Profile) -> None:
        self._uniforms, self._exponentials, self._table = draws.uniforms, draws.exponentials, draws.table
        self._at = mix(draws.salt ^ start) % TABLE
        self.profile, self._rate_per_s = profile, profile.rate_per_s
        self._later: list[tuple[float, int, float, Setup, Windows]] = []
        self.waited_s = 0.0

    def uniform(self) -> float:
        """Return the next uniform number."""
        self._at = at = (self._at + 1) % TABLE
        return self._uniforms[at]

    def gap(self) -> float:
        """Return the time to the next arrival."""
        self._at = at = (self._at + 1) % TABLE
        return self._exponentials[at] / self._rate_per_s

    def arrivals(self, begin: float, end: float) -> Iterable[tuple[float, int, float, Setup]]:
        """Return the bursts that come before ``end``: time, which stream they belong to, service and set-up.

        ``begin`` is where the last call ended; jobs under way then go on. The station tells in ``waited_s`` how long
        a burst had to wait there: its acknowledgement, and so the next window, comes that much later.
        """
        self._at = at = (self._at + 1) % TABLE
        time = begin + self._exponentials[at] / self._rate_per_s
        later = self._later
        if time >= end and (not later or later[0][0] >= end):
            return ()  # nearly always: visits are closer together than arrivals
        return self._until(time, end)

    def crowd(self, begin: float, end: float) -> tuple[Floats, Floats] | None:
        """Return all bursts that come before ``end``, times and services, if `MANY` are expected and no job goes on.

        They are the ones that `arrivals` would bring one by one, which has to be asked where this is `None`.
        """
        profile = self.profile
        expected = (end - begin) * self._rate_per_s
        if expected < MANY or profile.longest_s > 0.0 or len(profile.streams) > 1:
            return None
        import numpy as np

        uniforms, exponentials = self._table
        most = int(expected + 8.0 * sqrt(expected))
        places = np.arange(self._at + 1, self._at + 2 * most, 2) % TABLE  # of gaps; a choice stands behind each
        gaps = exponentials[places] / self._rate_per_s
        gaps[0] += begin
        times = np.cumsum(gaps)  # one after the other, as the plain loop adds
        count = int(np.searchsorted(times, end))
        if count in {0, len(times)}:
            return None
        self._at = (self._at + 1 + 2 * count) % TABLE
        stream = profile.streams[0]
        chosen = np.searchsorted(stream.cumulated, uniforms[(places[:count] + 1) % TABLE])
        services = np.array(stream.services_s)[np.minimum(chosen, len(stream.services_s) - 1)]
        return array_on_grid(times[:count]), services

    def _until(self, time: float, end: float) -> Iterator[tuple[float, int, float, Setup]]:
        """Yield the bursts before ``end``; the next job comes at ``time``."""
        later = self._later
        while True:
            if later and later[0][0] < min(time, end):
                arrival, which, service, setup, windows = heappop(later)
                self.waited_s = 0.0
                yield arrival, which, service, setup
                if windows:
                    self._follow(arrival + self.waited_s, which, setup, windows)
            elif time < end:
                arrival = on_grid(time)
                which, service, setup, windows = self._pick()
                self.waited_s = 0.0
                yield arrival, which, service, setup
                if windows:
                    self._follow(arrival if windows[0] else arrival + self.waited_s, which, setup, windows)
                time += self.gap()
            else:
                return

    def _follow(self, time: float, which: int, setup: Setup, windows: Windows) -> None:
        """Note the bursts of the next window; the last of them brings the windows after it."""
        window, *further = windows if windows[0] else windows[1:]
        for index, (after, service) in enumerate(window, 1):
            rest = tuple(further) if index == len(window) else ()
            heappush(self._later, (time + after, which, service, setup, rest))

    def drop(self) -> None:
        """End all jobs under way."""
        self._later.clear()

    def forget(self, to: float) -> None:
        """Pass over everything until ``to``: afterwards only jobs are known that are under way then."""
        if self.profile.longest_s > 0.0:
            self._later.clear()
            for _ in self.arrivals(to - self.profile.longest_s, to):
                pass

    def _pick(self) -> tuple[int, float, Setup, Windows]:
        """Draw which stream a job belongs to, its first burst's service, its set-up and what follows."""
        streams, which = self.profile.streams, 0
        if len(streams) > 1 and self.uniform() * self.profile.rate_per_s >= streams[0].rate_per_s:
            which = 1
        stream = streams[which]
        index = min(bisect_left(stream.cumulated, self.uniform()), len(stream.services_s) - 1)
        return which, stream.services_s[index], stream.setups[index], stream.rests[index]

    def stationary(self, upto: int) -> float:
        """Draw the work present when a station serves the first ``upto`` streams (Pollaczek-Khinchine)."""
        profile = self.profile
        total, work = profile.totals[upto], 0.0
        self._at = at = (self._at + 1) % TABLE
        if self._uniforms[at] >= total:
            return 0.0
        while True:
            which = 1 if upto > 1 and self.uniform() * total >= profile.loads[0] else 0
            services, shares = profile.streams[which].by_time
            index = min(bisect_left(shares, self.uniform()), len(shares) - 1)
            work += services[index] * self.uniform()
            if self.uniform() >= total:
                return on_grid(work)
