"""Background traffic: the bursts of clients that are not followed, applied lazily to the stations they share.

Background bursts are no events. When a followed burst comes to a station, the arrivals since the last visit are drawn
(Poisson, the classes of work that the unfollowed traffic brings) and move the station's next-free times. What was there
longer than a few relaxation times ago does not matter any more: then the state is drawn from the stationary
distribution (Pollaczek-Khinchine: a geometric number of residual services) and only the last stretch is played.

Background arrivals are independent jobs (`netsim.engine.background.jobs`): that a request follows its handshake is not
kept. Full and sampled runs are held against each other in the tests.
"""

from __future__ import annotations

from heapq import heapreplace
from math import floor, inf, sqrt
from typing import TYPE_CHECKING

from netsim.engine.background.jobs import MOST_ARRIVALS, SATURATED, Source
from netsim.engine.queueing.grid import TICK_S, TICKS_PER_S, on_grid
from netsim.engine.queueing.stations import NEVER_DELAYED, Core, CoreCharge, Link, LinkCharge, Pool
from netsim.engine.queueing.vector import lindley

if TYPE_CHECKING:
    from netsim.engine.queueing.burst import Burst
    from netsim.engine.queueing.clock import Clock
    from netsim.engine.queueing.vector import Floats

POOL_MEMORY = 10.0
"""Relaxation times of a pool that are played; the stretch starts empty."""


class _Unseen:
    """What stations with background have in common: a source, and until when its arrivals have been applied."""

    __slots__ = ()

    _source: Source
    _until: float

    def rest(self, until: float) -> None:
        """No background arrives until then, and jobs under way are over."""
        self._until = until  # type: ignore[misc]  # every class that has this one keeps a slot for it
        self._source.drop()


class BackgroundCore(_Unseen, Core):
    """A core that also serves the pods nobody follows. The first stream of its source are interrupts."""

    __slots__ = ("_ahead_s", "_clock", "_source", "_until")

    def __init__(self, name: str, clock: Clock, source: Source) -> None:
        self._clock, self._source, self._until, self._ahead_s = clock, source, 0.0, 0.0
        super().__init__(name)

    @property
    def ahead_s(self) -> float:
        """Work put ahead of threads so far, that of the background up to this instant included."""
        now = self._clock._now
        if now > self._until:  # asked several times at one instant
            self.catch_up(now)
        return self._ahead_s

    @ahead_s.setter
    def ahead_s(self, value: float) -> None:
        self._ahead_s = value

    def softirq(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """As `Core.softirq`, behind the background's interrupts; its end brings the background up to date, too."""
        self.catch_up(now)
        end = Core.softirq(self, burst, now, charge)
        burst.seen_s = NEVER_DELAYED
        return end

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
        for arrival, which, service, (setup, besides) in source.arrivals(begin, now):
            free = self.free_s
            idle = free <= arrival
            self.busy_s += service + (min(besides, arrival - free) if idle else 0.0)
            if which == 0:
                source.waited_s = 0.0 if idle else max(0.0, self.urgent_free_s - arrival)
                start = arrival + setup if idle else max(arrival, self.urgent_free_s)
                self.urgent_free_s = start + service
                self._ahead_s += service
                self.free_s = start + service if idle else free + service
            else:
                source.waited_s = max(0.0, free - arrival)
                self.free_s = (arrival + setup if idle else free) + service

    def _skip(self, begin: float, to: float) -> float:
        """Pass over a stretch nobody saw; returns where it ends."""
        source, profile = self._source, self._source.profile
        source.forget(to)
        work = on_grid(profile.load * (to - begin))
        urgent = on_grid(profile.loads[0] * (to - begin))
        self.busy_s += work + on_grid(profile.idle_load * (to - begin))
        self._ahead_s += urgent
        if profile.saturated:
            self.free_s = max(self.free_s, begin) + work
            return to
        present = source.stationary(2)
        self.free_s = max(self.free_s, to + present)
        self.urgent_free_s = max(self.urgent_free_s, to + min(present, source.stationary(1)))
        return to


class BackgroundLink(_Unseen, Link):
    """A link that also carries what nobody follows.

    The background finds the buffer as full as everybody: what has no room is lost, and its senders bring it again.
    """

    __slots__ = ("_limit_s", "_source", "_until")

    def __init__(self, name: str, source: Source) -> None:
        super().__init__(name)
        self._source, self._until, self._limit_s = source, 0.0, inf

    def carry(self, burst: Burst, now: float, charge: LinkCharge) -> float | None:
        """As `Link.carry`, behind the background."""
        self._limit_s = charge[4]
        self.catch_up(now)
        return Link.carry(self, burst, now, charge)

    def catch_up(self, now: float) -> None:
        """Apply the background arrivals since the last visit."""
        begin = self._until
        if now <= begin:
            return
        self._until = now
        source = self._source
        profile = source.profile
        if now - begin > profile.memory_s:  # mostly: rounding as `on_grid` does, without the calls
            to = floor((now - profile.memory_s) * TICKS_PER_S + 0.5) * TICK_S
            source.forget(to)
            work = floor(profile.load * (to - begin) * TICKS_PER_S + 0.5) * TICK_S
            self.busy_s += work
            free = max(self.free_s, begin) + work if profile.saturated else to + source.stationary(1)
            self.free_s = max(self.free_s, free)
            begin = to
        crowd = source.crowd(begin, now)
        if crowd is not None:
            self._serve_all(*crowd)
            return
        for arrival, _, service, _ in source.arrivals(begin, now):
            self.busy_s += service
            free = self.free_s
            source.waited_s = max(0.0, free - arrival)
            self.free_s = max(free, min(max(free, arrival), arrival + self._limit_s) + service)

    def _serve_all(self, arrivals: Floats, services: Floats) -> None:
        """Serve many arrivals by one recursion; one by one only if some of them find the buffer full."""
        self.busy_s += float(services.sum())
        left = lindley(arrivals, services, self.free_s)
        if float((left - services - arrivals).max()) <= self._limit_s:
            self.free_s = float(left[-1])
            return
        for arrival, service in zip(arrivals.tolist(), services.tolist(), strict=True):
            free = self.free_s
            self.free_s = max(free, min(max(free, arrival), arrival + self._limit_s) + service)


class BackgroundPool(_Unseen, Pool):
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
        for arrival, _, service, _ in source.arrivals(begin, now):
            self.busy_s += service
            for _ in range(max(1, round(service / self._unit_s))):
                heapreplace(free_times, max(free_times[0], arrival) + self._unit_s)
