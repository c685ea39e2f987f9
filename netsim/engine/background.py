"""Background traffic: the bursts of clients that are not followed, applied lazily to the stations they share.

Background bursts are no events. When a followed burst comes to a station, the arrivals since the last visit are drawn
(Poisson, the classes of work that the unfollowed traffic brings) and move the station's next-free times. What was there
longer than a few relaxation times ago does not matter any more: then the state is drawn from the stationary
distribution (Pollaczek-Khinchine: a geometric number of residual services) and only the last stretch is played.

Background arrivals are independent bursts: that a request follows its handshake is not kept. Full and sampled runs
are held against each other in the tests.

The relaxation time of M/G/1 is taken as ``E[S²]/(2 E[S]) · 2/(1-√ρ)²``, which for exponential service is the known
``1/(μ (1-√ρ)²)`` (Cohen, The Single Server Queue, 1982).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapreplace
from itertools import accumulate
from math import fsum, sqrt
from typing import TYPE_CHECKING

from netsim.engine import portable
from netsim.engine.grid import on_grid
from netsim.engine.stations import Core, CoreCharge, Link, LinkCharge, Pool
from netsim.engine.streams import mix

if TYPE_CHECKING:
    from netsim.engine.burst import Burst
    from netsim.engine.clock import Clock
    from netsim.engine.streams import Streams

TABLE = 1 << 16
"""Draws kept for all stations of a replication; each reads them from a place of its own."""
MEMORY = 3.0
"""Relaxation times played exactly after a stationary draw."""
POOL_MEMORY = 10.0
"""The same for pools, whose stretch starts empty."""
SATURATED = 0.95
"""From this utilisation on nothing is forgotten: the whole past is played, in one batch."""
MOST_ARRIVALS = 4096


@dataclass(frozen=True, slots=True)
class Arrivals:
    """One stream of background bursts at a station: rate, and classes of (service, set-up) with their shares."""

    rate_per_s: float
    services_s: tuple[float, ...]
    setups_s: tuple[float, ...]
    cumulated: tuple[float, ...]

    @staticmethod
    def of(classes: Iterable[tuple[float, float, float]]) -> Arrivals:
        """Return the stream of classes (service, set-up, rate)."""
        kept = sorted(each for each in classes if each[2] > 0.0 and each[0] > 0.0)
        if not kept:
            return Arrivals(0.0, (0.0,), (0.0,), (1.0,))
        total = fsum(rate for _, _, rate in kept)
        return Arrivals(
            total, tuple(on_grid(service) for service, _, _ in kept), tuple(setup for _, setup, _ in kept),
            tuple(each / total for each in accumulate(rate for _, _, rate in kept)),
        )  # fmt: skip

    @property
    def shares(self) -> list[float]:
        """Shares of the classes."""
        return [upper - lower for lower, upper in zip((0.0, *self.cumulated), self.cumulated, strict=False)]

    def moment(self, power: int) -> float:
        """Return a moment of the service time."""
        return fsum(share * service**power for share, service in zip(self.shares, self.services_s, strict=True))

    def by_time(self) -> tuple[float, ...]:
        """Return cumulated shares of the classes by the time they occupy the station."""
        parts = [share * service for share, service in zip(self.shares, self.services_s, strict=True)]
        total = fsum(parts)
        return tuple(each / total for each in accumulate(parts)) if total else (1.0,)

    @property
    def load(self) -> float:
        """Utilisation this stream alone causes."""
        return self.rate_per_s * self.moment(1)


class Draws:
    """Uniform and exponential numbers for all background of a replication, and the place a station reads from."""

    def __init__(self, streams: Streams) -> None:
        uniforms = streams.uniform("background").take(2 * TABLE)
        self.uniforms: list[float] = uniforms[:TABLE].tolist()
        self.exponentials: list[float] = (-portable.log(uniforms[TABLE:])).tolist()
        self.salt = streams.hash("background")


class Profile:
    """The background of a kind of station: one stream for a link, interrupts and threads for a core. Shared."""

    __slots__ = ("load", "loads", "memory_s", "rate_per_s", "residuals", "saturated", "streams")

    def __init__(self, streams: Sequence[Arrivals]) -> None:
        self.streams = tuple(streams)
        self.rate_per_s = fsum(each.rate_per_s for each in streams)
        self.loads = tuple(each.load for each in streams)
        self.load = fsum(self.loads)
        self.saturated = self.load >= SATURATED
        second = fsum(each.rate_per_s * each.moment(2) for each in streams)
        self.memory_s = MOST_ARRIVALS / self.rate_per_s
        if not self.saturated:
            self.memory_s = min(self.memory_s, MEMORY * second / self.load / (1.0 - sqrt(self.load)) ** 2)
        self.residuals = tuple(each.by_time() for each in streams)


class Source:
    """What one station draws its background from."""

    __slots__ = ("_at", "_draws", "profile")

    def __init__(self, draws: Draws, start: int, profile: Profile) -> None:
        self._draws, self._at, self.profile = draws, mix(draws.salt ^ start) % TABLE, profile

    def uniform(self) -> float:
        """Return the next uniform number."""
        self._at = at = (self._at + 1) % TABLE
        return self._draws.uniforms[at]

    def gap(self) -> float:
        """Return the time to the next arrival."""
        self._at = at = (self._at + 1) % TABLE
        return self._draws.exponentials[at] / self.profile.rate_per_s

    def pick(self) -> tuple[int, float, float]:
        """Draw which stream an arrival belongs to, its service and its set-up."""
        streams, which = self.profile.streams, 0
        if len(streams) > 1 and self.uniform() * self.profile.rate_per_s >= streams[0].rate_per_s:
            which = 1
        stream = streams[which]
        index = min(bisect_left(stream.cumulated, self.uniform()), len(stream.services_s) - 1)
        return which, stream.services_s[index], stream.setups_s[index]

    def stationary(self, upto: int) -> float:
        """Draw the work present when a station serves the first ``upto`` streams (Pollaczek-Khinchine)."""
        profile = self.profile
        total, work = fsum(profile.loads[:upto]), 0.0
        while self.uniform() < total:
            which = 1 if upto > 1 and self.uniform() * total >= profile.loads[0] else 0
            shares = profile.residuals[which]
            index = min(bisect_left(shares, self.uniform()), len(shares) - 1)
            work += profile.streams[which].services_s[index] * self.uniform()
        return on_grid(work)


class BackgroundCore(Core):
    """A core that also serves the pods nobody follows. The first stream of its source are interrupts."""

    __slots__ = ("_ahead_s", "_clock", "_source", "_until")

    def __init__(self, name: str, clock: Clock, source: Source) -> None:
        self._clock, self._source, self._until, self._ahead_s = clock, source, 0.0, 0.0
        super().__init__(name)

    @property
    def ahead_s(self) -> float:
        """Work put ahead of threads so far, that of the background up to this instant included."""
        self.catch_up(self._clock._now)
        return self._ahead_s

    @ahead_s.setter
    def ahead_s(self, value: float) -> None:
        self._ahead_s = value

    def softirq(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """As `Core.softirq`, behind the background's interrupts."""
        self.catch_up(now)
        return Core.softirq(self, burst, now, charge)

    def thread(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """As `Core.thread`, behind all background."""
        self.catch_up(now)
        return Core.thread(self, burst, now, charge)

    def catch_up(self, now: float) -> None:
        """Apply the background arrivals since the last visit."""
        begin = self._until
        if now <= begin:
            return
        self._until = now
        source = self._source
        memory_s = source.profile.memory_s
        if now - begin > memory_s:
            begin = self._skip(begin, on_grid(now - memory_s))
        time = begin + source.gap()
        while time < now:
            arrival = on_grid(time)
            which, service, setup = source.pick()
            free = self.free_s
            self.busy_s += service
            if which == 0:
                idle = free <= arrival
                start = arrival + setup if idle else max(arrival, self.urgent_free_s)
                self.urgent_free_s = start + service
                self._ahead_s += service
                self.free_s = start + service if idle else free + service
            else:
                self.free_s = (arrival + setup if free <= arrival else free) + service
            time += source.gap()

    def _skip(self, begin: float, to: float) -> float:
        """Pass over a stretch nobody saw; returns where it ends."""
        source, profile = self._source, self._source.profile
        work = on_grid(profile.load * (to - begin))
        urgent = on_grid(profile.loads[0] * (to - begin))
        self.busy_s += work
        self._ahead_s += urgent
        if profile.saturated:
            self.free_s = max(self.free_s, begin) + work
            return to
        present = source.stationary(2)
        self.free_s = max(self.free_s, to + present)
        self.urgent_free_s = max(self.urgent_free_s, to + min(present, source.stationary(1)))
        return to


class BackgroundLink(Link):
    """A link that also carries what nobody follows."""

    __slots__ = ("_source", "_until")

    def __init__(self, name: str, source: Source) -> None:
        super().__init__(name)
        self._source, self._until = source, 0.0

    def carry(self, burst: Burst, now: float, charge: LinkCharge) -> float | None:
        """As `Link.carry`, behind the background."""
        self.catch_up(now)
        return Link.carry(self, burst, now, charge)

    def catch_up(self, now: float) -> None:
        """Apply the background arrivals since the last visit."""
        begin = self._until
        if now <= begin:
            return
        self._until = now
        source, profile = self._source, self._source.profile
        if now - begin > profile.memory_s:
            to = on_grid(now - profile.memory_s)
            work = on_grid(profile.load * (to - begin))
            self.busy_s += work
            free = max(self.free_s, begin) + work if profile.saturated else to + source.stationary(1)
            self.free_s = max(self.free_s, free)
            begin = to
        time = begin + source.gap()
        while time < now:
            arrival = on_grid(time)
            _, service, _ = source.pick()
            self.busy_s += service
            self.free_s = max(self.free_s, arrival) + service
            time += source.gap()


class BackgroundPool(Pool):
    """Workers that also serve those whom nobody follows; a job of several times ``unit_s`` is several at once."""

    __slots__ = ("_source", "_unit_s", "_until")

    def __init__(self, workers: int, name: str, source: Source, unit_s: float) -> None:
        super().__init__(workers, name)
        self._source, self._unit_s, self._until = source, unit_s, 0.0

    def serve(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """As `Pool.serve`, behind the background."""
        self.catch_up(now)
        return Pool.serve(self, burst, now, charge)

    def catch_up(self, now: float) -> None:
        """Apply the background arrivals since the last visit."""
        begin = self._until
        if now <= begin:
            return
        self._until = now
        source, free_times = self._source, self.free_times
        workers = len(free_times)
        load = source.profile.load / workers
        memory_s = MOST_ARRIVALS / source.profile.rate_per_s
        if load < SATURATED:
            mean = source.profile.load / source.profile.rate_per_s
            memory_s = min(memory_s, POOL_MEMORY * mean / (1.0 - sqrt(load)) ** 2)
        if now - begin > memory_s and load < SATURATED:
            to = on_grid(now - memory_s)
            self.busy_s += on_grid(source.profile.load * (to - begin))
            begin = to
        time = begin + source.gap()
        while time < now:
            arrival = on_grid(time)
            _, service, _ = source.pick()
            self.busy_s += service
            for _ in range(max(1, round(service / self._unit_s))):
                heapreplace(free_times, max(free_times[0], arrival) + self._unit_s)
            time += source.gap()
