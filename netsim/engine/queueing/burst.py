"""Bursts: what moves. One light event each, one heap operation a station.

A burst is bound to *legs*, one a station it visits: the bound method that serves it there (``core.softirq``,
``link.carry``), and to *charges*, what it pays at each. Charges are shared by all bursts of a kind and size, legs by
all bursts of a connection. The last leg is `deliver`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING, Any

from netsim.engine.queueing.clock import Clock

if TYPE_CHECKING:
    from netsim.engine.queueing.stations import Book, Station
    from netsim.engine.queueing.tracing import Part, Step

    Charges = Sequence[Any]
    Leg = Callable[["Burst", float, Any], float | None]

Reaction = Callable[[float], object]
"""What someone does at a time."""


def nobody(now: float) -> None:
    """React to nothing: for arrivals and losses nobody waits for."""


def tell(react: Callable[[Any], object], now: Any) -> None:
    """Call a reaction that may be the ``send`` of a generator which ends with it."""
    try:
        react(now)
    except StopIteration:
        return


def deliver(burst: Burst, now: float, charge: object) -> None:
    """End of the way, the last leg of every burst: tell who waits for it, in the thread that has it now."""
    book = burst.book
    book.current_s = now
    burst.clock.trace = burst.trace
    try:
        burst.arrived(now)
    except StopIteration:  # as in `tell`
        return
    finally:
        book.current_s = -1.0


class Notice:
    """A reaction at a later time: timers, and losses that are told after whatever is going on.

    ``why`` names what is waited for, where that takes time; ``after`` is the trace of what led to it, if that is not
    what is going on at this moment.
    """

    __slots__ = ("clock", "react", "trace")

    def __init__(
        self, clock: Clock, time: float, react: Reaction, why: Part | None = None, after: Step | None = None
    ) -> None:
        self.clock, self.react = clock, react
        trace = clock.trace if after is None else after
        self.trace: Step | None = None if trace is None else [trace, why, clock._now]
        clock.at(time, self.advance)

    def advance(self, now: float) -> None:
        """React, once."""
        trace = self.clock.trace = self.trace
        if trace is not None:
            trace.append(now)
        tell(self.react, now)


class Burst:
    """One socket buffer on its way. Creating it serves it at its first station at once.

    Parameters
    ----------
    clock: the clock it lives by.
    legs: where it is served, in order, `deliver` last.
    charges: what it pays there, position by position; that of `deliver`, who takes nothing, says what they are for.
    size: payload in bytes.
    arrived: called with the time when it is through.
    lost: called with the time when a station refuses it.

    ``book`` is that of the station it is at, ``seen_s`` the work put ahead of threads when a thread took it (infinite
    elsewhere). ``trace`` notes when it left each station, for who wants to know (`netsim.engine.queueing.tracing`).
    """

    __slots__ = ("arrived", "book", "charges", "clock", "index", "lag_s", "legs", "lost", "seen_s", "size", "trace")

    book: Book

    def __init__(  # noqa: PLR0917 - the hottest call of the engine: keywords cost a tenth of it
        self, clock: Clock, legs: Sequence[Leg], charges: Charges, size: int = 0, arrived: Reaction = nobody,
        lost: Reaction = nobody,
    ) -> None:  # fmt: skip
        self.clock, self.legs, self.charges = clock, legs, charges
        self.size, self.arrived, self.lost = size, arrived, lost
        self.index, self.lag_s, self.seen_s = 0, 0.0, inf
        trace = clock.trace
        self.trace: Step | None = None if trace is None else [trace, charges, clock._now]
        later = legs[0](self, clock._now, charges[0])
        if later is not None:
            heappush(clock.lights, (later, True, next(clock.births), self))

    @property
    def station(self) -> Station:
        """Where it is."""
        return self.book.station

    def advance(self, now: float) -> float | None:
        """Leave the station whose time is over and enter the next one; the clock's loop does so without this call."""
        book = self.book
        if self.seen_s != inf and book.station.ahead_s > self.seen_s:
            return self.preempted(now)
        self.seen_s = inf
        if self.trace is not None:
            self.trace.append(now)
        book.left += 1
        book.occupancy_s += now
        self.index = index = self.index + 1
        return self.legs[index](self, now, self.charges[index])

    def preempted(self, now: float) -> float:
        """Work was put ahead since this thread was promised to be done by now: it is done that much later."""
        station = self.book.station
        delay = station.ahead_s - self.seen_s
        self.seen_s += delay
        station.sojourn_s += delay
        if self.trace is not None:
            self.trace.append(-delay)
        return now + delay

    def lose(self, now: float) -> None:
        """Be dropped: who waits hears of it in an event of its own."""
        if self.lost is not nobody:
            Notice(self.clock, now, self.lost, after=self.trace)

    def sent_off(self, end: float) -> None:
        """Learn when the last bit is on the sending node's wire, where somebody keeps count; a plain burst need not."""

    def shrink(self, segments: int, now: float) -> bool:
        """Go on with the first ``segments`` only, if the burst can be divided; a plain one cannot."""
        return False

    def pierce(self, segments: Sequence[int], now: float) -> bool:
        """Go on without some segments, told by their numbers, if the burst can; a plain one cannot."""
        return False
