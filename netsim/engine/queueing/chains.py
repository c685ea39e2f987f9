"""Networks of FIFO stations, with events only where streams merge.

A station with one upstream sees arrivals in the order in which they left it, so a burst's way through a chain of such
stations can be worked out the moment it enters: no event in between, and exact. Events remain where several streams
meet, or where a closed loop comes back. That is what makes a chain cost tens of nanoseconds a station instead of
hundreds.

Valid for FIFO, and for tail drop with the departures remembered (`Fifo.limit`). Not across priorities, back-pressure or
a change of rate in flight: those need an event each (`netsim.engine.queueing.stations`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappush

from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Station


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
    way_of: the way of a burst by its index.
    departures: filled with the times at which bursts are through.
    spare: walkers to reuse; feeds of one network may share them.
    """

    __slots__ = ("_births", "_count", "_index", "_lights", "_serials", "_way", "_way_of", "departures", "spare")

    def __init__(
        self, clock: Clock, births: Sequence[float], way_of: Callable[[int], Way], departures: list[float],
        spare: list[_Walker] | None = None,
    ) -> None:  # fmt: skip
        self._births, self._way_of = births, way_of
        self._lights, self._serials = clock.lights, clock.births
        self.departures = departures
        self.spare: list[_Walker] = [] if spare is None else spare
        self._count, self._index = len(births), -1
        if births:
            first = self._next()
            if first is not None:
                clock.at(first, self.advance)

    def _next(self) -> float | None:
        """Take the next burst to its first merge; `None` when there are no more."""
        self._index = index = self._index + 1
        if index == self._count:
            return None
        self._way = way = self._way_of(index)
        born = self._births[index]
        return born if len(way) == 1 else through(born, way[0])

    def advance(self, now: float) -> float | None:
        """The burst at hand is at its first merge (or, on a way without merges, is born)."""
        way, index = self._way, self._index
        count = len(way)
        if count <= 2:
            self.departures[index] = through(now, way[count - 1])
            return self._next()
        spare = self.spare
        walker = spare.pop() if spare else _Walker()
        walker.feed, walker.way, walker.index, walker.at = self, way, index, 2
        heappush(self._lights, (through(now, way[1]), 1, next(self._serials), walker.advance))
        return self._next()


class ClosedClient:
    """A client that thinks, sends a burst round its way, and thinks again.

    Parameters
    ----------
    clock: the clock.
    thinks: think times, one a request.
    way_of: the way of a request by its index; the client is alone in the first stretch.
    trips: filled with the round-trip times.
    """

    __slots__ = ("_at", "_began", "_index", "_thinks", "_way", "_way_of", "trips")

    def __init__(
        self, clock: Clock, thinks: Sequence[float], way_of: Callable[[int], Way], trips: list[float]
    ) -> None:
        self._thinks, self._way_of, self.trips = thinks, way_of, trips
        self._index = -1
        self._began, self._at = 0.0, 0
        first = self._ask(0.0)
        if first is not None:
            clock.at(first, self.advance)

    def _ask(self, now: float) -> float | None:
        """Think, then enter the way and pass its first stretch."""
        self._index = index = self._index + 1
        if index >= len(self._thinks):
            return None
        self._began = now = now + self._thinks[index]
        self._way = way = self._way_of(index)
        self._at = 1
        return through(now, way[0])

    def advance(self, now: float) -> float | None:
        """Pass through the next stretch; at the end, think again."""
        at, way = self._at, self._way
        now = through(now, way[at])
        if at + 1 < len(way):
            self._at = at + 1
            return now
        self.trips.append(now - self._began)
        return self._ask(now)
