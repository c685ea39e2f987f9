"""Stations that are out at times: what is there when it happens, what comes meanwhile, what gets through before.

An outage is known to its station from the start, so whatever is computed ahead is exact: a cable that will be cut while
a burst is on it lets through the segments that are across by then and loses the others (`Cable`). A core's future
depends on what arrives, so its losses are decided when the outage begins (`wipe`), among the bursts that are there.
What leaves at the very instant of the outage has left; what comes at that instant has come too late.

Outages are guards around the legs of the stations concerned: other stations, and runs without faults, know nothing of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.engine.queueing.burst import Burst, Notice
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.stations import NEVER_DELAYED, Core, Delay, Link, LinkCharge, Pool, Station

if TYPE_CHECKING:
    from netsim.engine.queueing.burst import Leg
    from netsim.engine.queueing.clock import Clock
    from netsim.engine.queueing.stations import CoreCharge


class Outage(NamedTuple):
    """A station is out from ``since_s`` (included) until ``until_s`` (excluded)."""

    since_s: float
    until_s: float


def out_at(outages: Sequence[Outage], now: float) -> bool:
    """Tell whether an instant lies in an outage."""
    return any(since_s <= now < until_s for since_s, until_s in outages)


class Guard:
    """A leg that refuses what comes during an outage of its station."""

    __slots__ = ("_leg", "_outages", "_station")

    def __init__(self, leg: Leg, station: Station, outages: Sequence[Outage]) -> None:
        self._leg, self._station, self._outages = leg, station, outages

    def serve(self, burst: Burst, now: float, charge: Any) -> float | None:
        """Serve a burst, or refuse it."""
        if out_at(self._outages, now):
            self._station.refuse(burst, now)
            return None
        return self._leg(burst, now, charge)


class Cable:
    """One direction of a link whose cable is out at times: segments not across by then are lost.

    Segments pass one by one: of ``n`` that begin to leave at ``start``, the ``i``-th is through the port at ``max(start
    + i packets, its arrival + a packet)`` and across a propagation delay later. Losses happen, and are told, when the
    outage begins. A burst that cannot be divided is lost whole; so is one whose head comes during the outage, even if
    its tail would come after it.
    """

    __slots__ = ("_link", "_outages")

    def __init__(self, link: Link, outages: Sequence[Outage]) -> None:
        self._link, self._outages = link, outages

    def carry(self, burst: Burst, now: float, charge: LinkCharge) -> float | None:
        """Forward a burst as `Link.carry`, or what of it is across before the next outage."""
        link = self._link
        for since_s, until_s in self._outages:
            if now < since_s:
                return self._before(burst, now, charge, since_s)
            if now < until_s:
                link.refuse(burst, now)
                return None
        return link.carry(burst, now, charge)

    def _before(self, burst: Burst, now: float, charge: LinkCharge, since_s: float) -> float | None:
        link = self._link
        link.catch_up(now)
        service, packet, lead, after, limit, _ = charge
        head, lag = now + lead, burst.lag_s
        start = max(link.free_s, head)
        served = start + service
        if served - head - lag > limit or max(served, head + lag + packet) + after <= since_s:
            return link.carry(burst, now, charge)  # what does not fit into the buffer comes back here, smaller
        segments = round(service / packet) if packet > 0.0 else 1
        spacing = lag / (segments - 1) if segments > 1 else 0.0
        across = 0
        while across < segments:
            through = max(start + (across + 1) * packet, head + across * spacing + packet)
            if through + after > since_s:
                break
            across += 1
        out = None
        if 0 < across < segments and burst.shrink(across, since_s):
            burst.lag_s = on_grid(spacing * (across - 1))
            link.dropped += 1
            out = link.carry(burst, now, burst.charges[burst.index])
        else:
            link.busy_s += min(service, max(0.0, since_s - start))
            Notice(burst.clock, since_s, lambda at: link.refuse(burst, at))
        # whatever comes until then queues behind what is lost
        link.free_s = max(link.free_s, min(served, since_s))
        return out


def wipe(clock: Clock, stations: Sequence[Station], now: float) -> None:
    """Lose every burst that is at one of the stations, as their outage begins."""
    there = {id(station) for station in stations}
    gone: list[tuple[float, Burst]] = []

    def decide(time: float, owner: object) -> float | None:
        if not isinstance(owner, Burst) or id(owner.station) not in there or leaves_at(owner, time) <= now:
            return time
        gone.append((time, owner))
        return None

    clock.revise(decide)
    for time, burst in sorted(gone, key=lambda item: item[0]):
        _book_loss(burst, time, now)
        burst.lose(now)


def leaves_at(burst: Burst, promised: float) -> float:
    """Return when a burst leaves its station by all that is known: work put ahead of it since comes on top."""
    return promised + max(0.0, burst.station.ahead_s - burst.seen_s)


def _book_loss(burst: Burst, promised: float, now: float) -> None:
    """Let a burst leave its station early; both of the station's books follow."""
    station = burst.station
    threaded = burst.seen_s < NEVER_DELAYED
    after = 0.0 if threaded or isinstance(station, Delay) else burst.charges[burst.index][2]
    station.book.left += 1
    station.dropped += 1
    station.dropped_bytes += burst.size
    station.sojourn_s += now - (promised - after)
    station.book.occupancy_s += now + after


def halt(station: Station, now: float, until_s: float) -> None:
    """Empty a station: what it had to do is undone, background traffic stays away until it is back."""
    station.catch_up(now)
    if isinstance(station, Pool):
        station.busy_s -= sum(max(0.0, free_s - now) for free_s in station.free_times)
        station.free_times[:] = [min(free_s, now) for free_s in station.free_times]
    elif not isinstance(station, Delay):
        station.busy_s -= min(station.busy_s, max(0.0, station.free_s - now))
        station.free_s = min(station.free_s, now)
    station.idle(now)
    station.rest(until_s)


def abandon(clock: Clock, core: Core, mine: Callable[[Burst], bool], now: float) -> None:
    """Take some threads' work off a core that goes on: all threads behind it are served that much earlier.

    Threads are served in order, so what remains of one at ``now`` is the time between the end of the one before it (or
    of the interrupts) and its own, its set-up apart.
    """
    core.catch_up(now)
    waiting = sorted(
        (
            (leaves_at(owner, time), time, owner) for time, owner in clock.pending()
            if isinstance(owner, Burst) and owner.station is core and owner.seen_s < NEVER_DELAYED
        ),
        key=lambda item: item[0],
    )  # fmt: skip
    before, earlier_s = max(now, core.urgent_free_s), 0.0
    moved: dict[int, float | None] = {}
    lost: list[tuple[float, Burst, float]] = []
    for end, time, burst in waiting:
        if end <= now:
            continue
        if mine(burst):
            left_s = min(burst.charges[burst.index][0], end - before)
            earlier_s += left_s
            lost.append((time, burst, left_s))
            moved[id(burst)] = None
        elif earlier_s:
            moved[id(burst)] = time - earlier_s
            core.sojourn_s -= earlier_s
        before = end
    if not lost:
        return
    clock.revise(lambda time, owner: moved.get(id(owner), time))
    core.free_s -= earlier_s
    core.busy_s -= earlier_s
    for time, burst, left_s in lost:
        core.forget(burst, left_s)
        _book_loss(burst, time, now)
        burst.lose(now)


class Seat:
    """A pod's threads on their core, told from the threads of others. The pod stops at times.

    A TCP segment for a stopped process is the kernel's to answer, so `thread` lets it pass; datagrams are lost.
    """

    __slots__ = ("_outages", "_thread", "station")

    def __init__(self, thread: Leg, station: Station, outages: Sequence[Outage]) -> None:
        self._thread, self.station, self._outages = thread, station, outages

    def stopped(self, now: float) -> bool:
        """Tell whether the pod does not run."""
        return out_at(self._outages, now)

    def thread(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a burst in one of the pod's threads."""
        return self._thread(burst, now, charge)

    def holds(self, burst: Burst) -> bool:
        """Tell whether a burst is with this pod."""
        owner = getattr(burst.legs[burst.index], "__self__", None)
        return owner is self or getattr(owner, "seat", None) is self


class Ear:
    """A leg that takes a pod's datagrams while it runs."""

    __slots__ = ("_leg", "seat")

    def __init__(self, leg: Leg, seat: Seat) -> None:
        self._leg, self.seat = leg, seat

    def datagram(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a datagram, or lose it."""
        if self.seat.stopped(now):
            self.seat.station.refuse(burst, now)
            return None
        return self._leg(burst, now, charge)
