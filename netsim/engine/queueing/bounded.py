"""A station with room for so many bursts, whose upstream waits when it is full: blocking after service.

A burst that is through at one station but finds no place at the next stays where it is, and its server stands still
until there is one. Nothing is lost, and a slow station slows down everything before it. When a burst will leave is not
known when it comes, so each service ends in an event of its own; the event belongs to the station and not to the burst.

Where several wait for the same station, the first that had to wait gets the first place (first blocked, first
unblocked: Perros, Queueing Networks with Blocking, 1994, section 1.3). Networks with cycles may lock up, as real ones.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING, Any

from netsim.engine.queueing.stations import Station

if TYPE_CHECKING:
    from netsim.engine.queueing.burst import Burst
    from netsim.engine.queueing.clock import Clock

BLOCKED = -1.0
"""What `Bounded.enter` returns to the station before it: no place, ask again when told (`Bounded.advance`)."""


class Bounded(Station):
    """One server, first come first served, with ``places`` for bursts, that in service included.

    A burst notes in ``seen_s`` when it came.

    ``blocked_s`` is how long its server has stood still by what it waited for, by name. The first station of a way has
    nobody before it to hold up, so what finds that one full is lost.
    """

    __slots__ = ("_births", "_blocked", "_inside", "_lights", "_since_s", "blocked_s", "places")

    def __init__(self, clock: Clock, name: str = "", places: float = inf) -> None:
        super().__init__(name)
        self._lights, self._births = clock.lights, clock.births
        self.places = places
        self._inside: deque[Burst] = deque()
        self._blocked: deque[Bounded] = deque()
        self._since_s = -1.0
        self.blocked_s: dict[str, float] = {}

    def enter(self, burst: Burst, now: float, charge: Any) -> float | None:
        """Take a burst in, if there is a place."""
        inside = self._inside
        if len(inside) >= self.places:
            before = burst.station if burst.index else None
            if isinstance(before, Bounded):
                self._blocked.append(before)
                return BLOCKED
            self.refuse(burst, now)
            return None
        if not inside:
            service_s = charge[0]
            self.busy_s += service_s
            heappush(self._lights, (now + service_s, 1, next(self._births), self.advance))
        inside.append(burst)
        self.arrived += 1
        self.book.occupancy_s -= now
        burst.book, burst.seen_s = self.book, now
        return None

    def advance(self, now: float) -> float | None:
        """The burst in service is through: hand it on, or stand still."""
        inside = self._inside
        burst = inside[0]
        came = burst.seen_s
        if burst.trace is not None:
            burst.trace.append(now)
        burst.index, burst.seen_s = burst.index + 1, inf
        index = burst.index
        later = burst.legs[index](burst, now, burst.charges[index])
        if later is not None:
            if later == BLOCKED:
                self._stand(burst, came, now)
                return None
            heappush(self._lights, (later, True, next(self._births), burst))
        inside.popleft()
        book = self.book
        book.left += 1
        book.occupancy_s += now
        self.sojourn_s += now - came
        if inside:
            burst = inside[0]
            service_s: float = burst.charges[burst.index][0]
            self.busy_s += service_s
            if self._blocked:
                self._blocked.popleft().resume(now)
            return now + service_s
        if self._blocked:
            self._blocked.popleft().resume(now)
        return None

    def _stand(self, burst: Burst, came: float, now: float) -> None:
        """Keep the burst that could not be handed on."""
        burst.index, burst.seen_s = burst.index - 1, came
        if burst.trace is not None:
            burst.trace.pop()
        self._since_s = now

    def resume(self, now: float) -> None:
        """There is a place for the burst that this station could not hand on."""
        burst = self._inside[0]
        where = burst.legs[burst.index + 1].__self__.name  # type: ignore[attr-defined]
        self.blocked_s[where] = self.blocked_s.get(where, 0.0) + now - self._since_s
        end = self.advance(now)
        if end is not None:
            heappush(self._lights, (end, 1, next(self._births), self.advance))

    def settle(self, now: float) -> int:
        """Book the bursts inside until now; return how many they are."""
        count = len(self._inside)
        self.book.occupancy_s += now * count
        self.sojourn_s += sum(now - burst.seen_s for burst in self._inside)
        return count
