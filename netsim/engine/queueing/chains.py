"""Networks of FIFO stations, with events only where streams merge.

A station with one upstream sees arrivals in the order in which they left it, so a burst's way through a chain of such
stations can be worked out the moment it enters: no event in between, and exact. Events remain where several streams
meet, or where a closed loop comes back. That is what makes a chain cost tens of nanoseconds a station instead of
hundreds.

Where not even the times of entry depend on the clock, at the head of an open stream, arrivals are worked out a block at
a time (`netsim.engine.queueing.vector.lindley`); where a client is alone it never waits, and nothing is worked out. The
times are the same to the last bit.

Valid for FIFO, and for tail drop with the departures remembered (`Fifo.limit`). Not across priorities, back-pressure or
a change of rate in flight: those need an event each (`netsim.engine.queueing.stations`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappush
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Station
from netsim.engine.queueing.vector import BLOCK, lindley

if TYPE_CHECKING:
    from netsim.engine.queueing.vector import Floats, Integers


class Fifo(Station):
    """One server, first come first served; ``waited_s`` adds up the waits.

    With a ``limit`` a burst that finds so many others present is lost.
    """

    __slots__ = ("_departures", "limit", "waited_s")

    def __init__(self, name: str = "", limit: int | None = None) -> None:
        super().__init__(name)
        self.waited_s, self.limit = 0.0, limit
        self._departures: deque[float] = deque()

    def pass_through(self, now: float, service_s: float) -> float | None:
        """Serve an arrival; return when it leaves, `None` when there was no room. Keeps all books."""
        departures = self._departures
        while departures and departures[0] <= now:
            departures.popleft()
        if self.limit is not None and len(departures) >= self.limit:
            self.dropped += 1
            return None
        start = max(now, self.free_s)
        self.free_s = end = start + service_s
        departures.append(end)
        self.arrived += 1
        self.waited_s += start - now
        self.busy_s += service_s
        self.sojourn_s += end - now
        return end

    def pass_all(self, arrivals: Floats, services_s: Floats) -> Floats:
        """Serve a block of arrivals in ascending order; return when they leave. Knows no limit, notes the waits."""
        left = lindley(arrivals, services_s, self.free_s)
        self.free_s = float(left[-1])
        self.waited_s += float((left - services_s - arrivals).sum())
        return left


Stretch = Sequence[tuple[Fifo, float]]
"""Stations without a merge between them, each with the service time of the burst: passed through at once."""
Way = Sequence[Stretch]
"""Stretches in order; other streams may join at the beginning of each but the first."""


def through(now: float, stretch: Stretch) -> float:
    """Return when a burst that enters a stretch at ``now`` leaves it."""
    for station, service_s in stretch:
        free = station.free_s
        if free > now:
            station.waited_s += free - now
            now = free
        station.free_s = now = now + service_s
    return now


class _Walker:
    """A burst of an open stream between two merges; reused when it has arrived."""

    __slots__ = ("at", "feed", "index", "way")

    at: int
    feed: OpenFeed
    index: int
    way: Way

    def advance(self, now: float) -> float | None:
        """Pass through the next stretch."""
        at, way = self.at, self.way
        for station, service_s in way[at]:  # as `through`, whose call would cost as much as a station
            free = station.free_s
            if free > now:
                station.waited_s += free - now
                now = free
            station.free_s = now = now + service_s
        self.at = at = at + 1
        if at < len(way):
            return now
        feed = self.feed
        feed.departures[self.index] = now
        feed.spare.append(self)
        return None


class OpenFeed:
    """A stream of bursts whose births are known: one pending event, however many are under way.

    Parameters
    ----------
    clock: the clock.
    births: when each burst enters its first stretch, ascending.
    kinds: which of the ``ways`` each burst takes.
    ways: what ways there are; all begin with the same stations, which belong to this stream alone.
    departures: filled with the times at which bursts are through.
    spare: walkers to reuse; feeds of one network may share them.

    Raises
    ------
    ValueError: the ways begin with different stations.
    """

    __slots__ = ("_coming", "_index", "_lights", "_serials", "_way", "departures", "spare")

    def __init__(
        self, clock: Clock, births: Sequence[float], kinds: Sequence[int], ways: Sequence[Way],
        departures: list[float], *, spare: list[_Walker] | None = None,
    ) -> None:  # fmt: skip
        if len({tuple(id(station) for station, _ in way[0]) for way in ways}) > 1:
            raise ValueError("the ways of a stream must begin with the same stations")
        self._lights, self._serials = clock.lights, clock.births
        self.departures = departures
        self.spare: list[_Walker] = [] if spare is None else spare
        self._index, self._way = -1, ()  # type: tuple[int, Way]
        head = [
            (steps[0][0], np.array([service_s for _, service_s in steps]))
            for steps in zip(*(way[0] for way in ways), strict=True)
        ]
        self._coming = self._merges(np.array(births), np.array(kinds), ways, head)
        if births:
            clock.at(births[0], self.advance)

    def _merges(
        self, births: Floats, kinds: Integers, ways: Sequence[Way], head: Sequence[tuple[Fifo, Floats]]
    ) -> Iterator[tuple[float, int, Way]]:
        """Take bursts through their first stretch, a block at a time; yield when each gets to its first merge."""
        branch = any(len(way) > 1 for way in ways)
        for low in range(0, len(births), BLOCK):
            block = slice(low, low + BLOCK)
            times, chosen = births[block], kinds[block]
            for station, services_s in head:
                times = station.pass_all(times, services_s[chosen])
            self.departures[block] = found = times.tolist()
            if branch:
                for time, index, kind in zip(found, count(low), chosen.tolist(), strict=False):
                    way = ways[kind]
                    if len(way) > 1:
                        yield time, index, way

    def advance(self, now: float) -> float | None:
        """The burst at hand is at its first merge (the first time, it is born)."""
        way = self._way
        if len(way) > 2:
            spare = self.spare
            walker = spare.pop() if spare else _Walker()
            walker.feed, walker.way, walker.index, walker.at = self, way, self._index, 2
            heappush(self._lights, (through(now, way[1]), 1, next(self._serials), walker.advance))
        elif way:
            self.departures[self._index] = through(now, way[1])
        following = next(self._coming, None)
        if following is None:
            return None
        time, self._index, self._way = following
        return time


class Round(NamedTuple):
    """A closed client's way: what its own stations take before and after the stretches that others share.

    A client has one request at a time, so it never waits where it is alone.
    """

    before_s: float
    shared: Way
    after_s: float = 0.0


class ClosedClient:
    """A client that thinks, sends a burst round its way, and thinks again.

    Parameters
    ----------
    clock: the clock.
    thinks: think times, one a request.
    kinds: which of the ``rounds`` each request takes.
    rounds: what rounds there are, each with a stretch at least.
    trips: filled with the round-trip times.
    """

    __slots__ = ("_asks", "_at", "_began", "_round", "trips")

    def __init__(
        self, clock: Clock, thinks: Sequence[float], kinds: Sequence[int], rounds: Sequence[Round], trips: list[float]
    ) -> None:
        self._asks = iter([(think_s, rounds[kind]) for think_s, kind in zip(thinks, kinds, strict=True)])
        self.trips = trips
        first = self._ask(0.0)
        if first is not None:
            clock.at(first, self.advance)

    def _ask(self, now: float) -> float | None:
        """Think, then go to the first stretch."""
        following = next(self._asks, None)
        if following is None:
            return None
        think_s, self._round = following
        self._at = 0
        self._began = began = now + think_s
        return began + self._round.before_s

    def advance(self, now: float) -> float | None:
        """Pass through the next stretch; at the end, think again."""
        at, (_, shared, after_s) = self._at, self._round
        for station, service_s in shared[at]:  # as `through`
            free = station.free_s
            if free > now:
                station.waited_s += free - now
                now = free
            station.free_s = now = now + service_s
        self._at = at = at + 1
        if at < len(shared):
            return now
        now += after_s
        self.trips.append(now - self._began)
        return self._ask(now)
