"""Stations: what bursts queue for. A station is a next-free time, not a process.

A burst that arrives at ``now`` learns at once when it will be through, because a station's future depends on the past
only: ``start = max(now, free)``, ``free = start + service`` (Lindley's recursion). That is exact for FIFO stations, and
with one addition for a core whose interrupts preempt its threads (`Core`). Stations whose future depends on what
arrives later keep a queue and an event each: back-pressure (`netsim.engine.queueing.bounded`).

Charges are what a burst pays at a station, worked out beforehand by `netsim.engine.pricing`; their shapes are those of
the `NamedTuple`s below, one a kind of station. All durations are seconds on the time grid.

Every station keeps two independent books. Arrivals write the sojourn they were promised (``sojourn_s``); departures,
which are events of the clock, write the integral of the number present (``occupancy_s``). Little's law says the two are
equal, and `netsim.engine.queueing.audit` holds them against each other after every run.
"""

from __future__ import annotations

from collections import deque
from heapq import heapreplace
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from netsim.engine.queueing.grid import on_grid

if TYPE_CHECKING:
    from netsim.engine.queueing.burst import Burst


class CoreCharge(NamedTuple):
    """What a pass on a core costs one burst.

    ``setup_s`` passes first if the core is idle and does not keep it busy; ``after_s`` passes when the core is done;
    a burst that finds more than ``limit_s`` of work ahead of it is lost (ring, socket buffer). ``idle_s`` is work that
    a core has besides if it is idle and that delays nobody: an interrupt's is within the set-up, a thread's is done
    while nobody is there, and cut short by who comes.
    """

    service_s: float
    setup_s: float = 0.0
    after_s: float = 0.0
    limit_s: float = inf
    idle_s: float = 0.0


class LinkCharge(NamedTuple):
    """What one direction of a link costs one burst.

    ``service_s`` is the time of all its packets, ``packet_s`` of one; ``lead_s`` passes between queueing and the first
    bit (DMA), ``after_s`` on the way (propagation); ``limit_s`` is the buffer in seconds of line rate. ``whole`` says
    that the next station needs the burst's tail (a core), not its head (a link).
    """

    service_s: float
    packet_s: float
    lead_s: float = 0.0
    after_s: float = 0.0
    limit_s: float = inf
    whole: bool = True


NEVER_DELAYED = 2.0**1000
"""What a burst has seen of the work put ahead of threads (`Burst.seen_s`) that no thread serves, where its station
wants to be asked for that work all the same when it leaves."""


class Book:
    """What is written of a station when a burst leaves it, whatever kind of station that is.

    All stations share this one class, so that CPython reads and writes its attributes in a third of the time it takes
    where objects of several classes pass. ``left`` and ``occupancy_s`` are as in `Station`; ``current_s`` is the time
    while a thread reacts to something delivered to it (-1 otherwise).
    """

    __slots__ = ("current_s", "left", "occupancy_s", "station")

    def __init__(self, station: Station) -> None:
        self.station = station
        self.left, self.occupancy_s, self.current_s = 0, 0.0, -1.0


class Station:
    """Books that all stations keep; ``book`` is that of departures.

    ``ahead_s`` is the work put ahead of waiting threads so far; only cores have some.
    """

    __slots__ = (
        "ahead_s", "arrived", "book", "busy_s", "dropped", "dropped_bytes", "free_s", "name", "sojourn_s",
    )  # fmt: skip

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.book = Book(self)
        self.arrived = self.dropped = self.dropped_bytes = 0
        self.free_s = self.busy_s = self.ahead_s = 0.0
        self.sojourn_s = 0.0

    @property
    def left(self) -> int:
        """Bursts that have left."""
        return self.book.left

    @property
    def occupancy_s(self) -> float:
        """The integral of the number present so far, as if everybody present had come at time zero and stayed."""
        return self.book.occupancy_s

    def catch_up(self, now: float) -> None:
        """Bring the books up to date; stations with background traffic have something to do here."""

    def idle(self, now: float) -> None:
        """Forget what would still be going on after this instant: the station has stopped."""

    def rest(self, until: float) -> None:
        """Let background traffic stay away until a time; it has come up to this instant."""

    def settle(self, now: float) -> int:
        """Book until now the bursts that wait here without an event of their own; return how many they are."""
        return 0

    def refuse(self, burst: Burst, now: float) -> None:
        """Drop a burst that found no room."""
        self.dropped += 1
        self.dropped_bytes += burst.size
        burst.lose(now)


class Core(Station):
    """A CPU core: interrupt work (softirq) preempts threads, threads are served in order of arrival.

    ``free_s`` is when all work present is done, ``urgent_free_s`` when the interrupt work is. A softirq pass never
    waits for threads. A thread's pass is promised ``free_s``; work that is put ahead of it until then pushes the
    promise back by exactly its service, which the burst finds out when it asks (`Burst.advance`). So preemptive-resume
    priority costs no queue and no further events while nothing preempts.

    A thread that has just received something goes on running: what it does at that instant (working on a request,
    sending the answer) is not queued behind other threads but put ahead of them, in the order in which it is done.
    ``unread`` counts the datagrams among those dropped that its threads' sockets had no room for. A packet that takes
    no thread's time waits for none: it is in no queue, and ``passed`` its book, so that no thread goes on at its sight.
    """

    __slots__ = ("_runners", "_running_s", "passed", "unread", "urgent_free_s")

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.unread = 0
        self.urgent_free_s = self._running_s = 0.0
        self._runners: list[Burst] = []
        self.passed = Book(self)

    def softirq(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a burst in interrupt context; return when it leaves."""
        service, setup, after, limit, idle = charge
        free = self.free_s
        if free <= now:
            self.free_s = end = now + setup + service
            self.busy_s += idle
        else:
            urgent = self.urgent_free_s
            if urgent > now:
                if urgent - now > limit:
                    self.refuse(burst, now)
                    return None
                end = urgent + service
            else:
                end = now + service
            self.free_s = free + service
        self.urgent_free_s = end
        self.ahead_s += service
        self.busy_s += service
        self.arrived += 1
        self.sojourn_s += end - now
        book = self.book
        book.occupancy_s -= now + after
        burst.book = book
        return end + after

    def thread(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a burst in a thread; return when it leaves if nothing preempts it."""
        service, setup, _, limit, idle = charge
        book = self.book
        if not service:
            burst.book = self.passed
            return now
        if book.current_s == now:
            return self._go_on(burst, now, service)
        free = self.free_s
        if free <= now:
            end = now + setup + service
            self.busy_s += idle if now - free > idle else now - free
        elif free - now > limit:
            self.refuse(burst, now)
            return None
        else:
            end = free + service
        self.free_s = end
        self.busy_s += service
        self.arrived += 1
        self.sojourn_s += end - now
        book.occupancy_s -= now
        burst.book = book
        burst.seen_s = self.ahead_s
        return end

    def _go_on(self, burst: Burst, now: float, service: float) -> float:
        """Serve what the running thread does next, ahead of all waiting threads."""
        urgent, runners = self.urgent_free_s, self._runners
        start = urgent if urgent > now else now
        if self._running_s > start:
            start = self._running_s
            for earlier in runners:
                earlier.seen_s += service
        else:
            runners.clear()
        self._running_s = end = start + service
        free = self.free_s
        self.free_s = end if free <= now else free + service
        self.ahead_s = seen = self.ahead_s + service
        runners.append(burst)
        self.busy_s += service
        self.arrived += 1
        self.sojourn_s += end - now
        book = self.book
        book.occupancy_s -= now
        burst.book = book
        burst.seen_s = seen
        return end

    def idle(self, now: float) -> None:
        """Have no interrupts and no running thread after this instant (the core stopped)."""
        self.urgent_free_s = min(self.urgent_free_s, now)
        self._running_s = min(self._running_s, now)
        self._runners.clear()

    def forget(self, burst: Burst, left_s: float) -> None:
        """Take what is left of a thread's work out of the row of running threads, if it stands there."""
        if burst in self._runners:
            self._runners.remove(burst)
            self._running_s -= left_s


class Link(Station):
    """One direction of a link: a burst's head leaves long before its tail has arrived.

    ``start = max(head, free)``; ``end = max(start + service, tail + packet)``: the last packet can only leave when it
    is there. The link itself is taken for ``service`` only: where a burst comes slower than the link could send it
    (many slow links into one fast one), packets of others fill the gaps. A burst that would overflow the buffer loses
    the segments that do not fit: ``backlog + service - lag`` is the most the buffer would have to hold, ``lag`` being
    the time in which the burst arrives.
    """

    __slots__ = ()

    def carry(self, burst: Burst, now: float, charge: LinkCharge) -> float | None:
        """Forward a burst; return when its head (or, before a core, its tail) reaches the next station."""
        service, packet, lead, after, limit, whole = charge
        head = now + lead
        lag = burst.lag_s
        start = self.free_s
        if start < head:  # noqa: PLR1730 - max() costs three times as much
            start = head
        end = start + service
        if end - head - lag > limit:
            return self._overflow(burst, now, charge, end - head - lag - limit)
        self.free_s = out = end
        if packet != service or lag:  # of several packets, or come as several
            last = head + lag + packet
            if last > end:  # noqa: PLR1730
                end = last
            out = end if whole else start + packet
            burst.lag_s = end - out
        self.busy_s += service
        self.arrived += 1
        self.sojourn_s += out - now
        book = self.book
        book.occupancy_s -= now + after
        burst.book = book
        return out + after

    def _overflow(self, burst: Burst, now: float, charge: LinkCharge, excess: float) -> float | None:
        """Keep the segments that fit, lose the others."""
        service, packet, *_ = charge
        segments = round(service / packet) if packet > 0.0 else 1
        lost = int(excess / packet) + 1 if packet > 0.0 else segments
        if lost >= segments or not burst.shrink(segments - lost, now):
            self.refuse(burst, now)
            return None
        self.dropped += 1
        # through its leg: a cable that may fail looks at what is left, too
        return burst.legs[burst.index](burst, now, burst.charges[burst.index])


class Delay(Station):
    """A place without a queue: time passes, nobody waits for anybody (a wire to the outside world, a foreign host)."""

    __slots__ = ()

    def hold(self, burst: Burst, now: float, charge: CoreCharge) -> float:
        """Hold a burst for its charge."""
        service, setup, after, _, _ = charge
        duration = service + setup + after
        self.arrived += 1
        self.busy_s += service
        self.sojourn_s += duration
        book = self.book
        book.occupancy_s -= now
        burst.book = book
        burst.lag_s = 0.0
        return now + duration


class Pool(Station):
    """``workers`` equal servers and one queue (the cores a DNS replica may use)."""

    __slots__ = ("free_times",)

    def __init__(self, workers: int, name: str = "") -> None:
        super().__init__(name)
        self.free_times = [0.0] * workers

    def serve(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a burst by whichever worker is free first."""
        service, setup, after, limit, _ = charge
        start = self.free_times[0]
        if start <= now:
            start = now + setup
        elif start - now > limit:
            self.refuse(burst, now)
            return None
        end = start + service
        heapreplace(self.free_times, end)
        self.busy_s += service
        self.arrived += 1
        self.sojourn_s += end - now
        book = self.book
        book.occupancy_s -= now + after
        burst.book = book
        return end + after


class TokenBucket(Station):
    """A rate limit with a burst allowance: traffic above ``rate_bps`` waits for tokens (the bandwidth plugin's tbf).

    The bucket is kept as a virtual finishing time: it is ``depth_s`` ahead of the clock at most, so an idle bucket lets
    ``depth_s`` seconds of its rate through at once. It starts empty; `fill` it otherwise. A burst is lost that would
    wait for more than ``queue_s``, or that finds ``buffers`` others waiting. ``share`` is the part of the rate that
    this station's traffic has.
    """

    __slots__ = ("_buffers", "_ends", "_queue_s", "_slower", "depth_s", "rate_bps")

    def __init__(
        self, rate_bps: float, depth_bytes: int, name: str = "", *, share: float = 1.0, buffers: float = inf,
        queue_s: float = inf,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.rate_bps, self.depth_s = rate_bps, on_grid(depth_bytes * 8.0 / rate_bps)
        self._slower, self._buffers, self._queue_s = 1.0 / share, buffers, queue_s
        self._ends: deque[float] = deque()

    def fill(self) -> None:
        """Let the bucket be full at the start."""
        self.free_s = -self.depth_s

    def idle(self, now: float) -> None:
        """Forget what waits; what comes next finds a full bucket, as after any new set-up."""
        self._ends.clear()
        self.free_s = min(self.free_s, now - self.depth_s)

    def shape(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Hold a burst until the bucket has tokens for it; ``charge.service_s`` is its size at the bucket's rate."""
        service, _, after, _, _ = charge
        if self._slower > 1.0:
            service = on_grid(service * self._slower)
        filled = now - self.depth_s
        virtual = max(self.free_s, filled) + service
        end = max(now, virtual)
        ends = self._ends
        while ends and ends[0] <= now:
            ends.popleft()
        if end - now > self._queue_s or len(ends) >= self._buffers:
            self.refuse(burst, now)
            return None
        ends.append(end)
        self.free_s = virtual
        self.busy_s += service
        self.arrived += 1
        self.sojourn_s += end - now
        book = self.book
        book.occupancy_s -= now + after
        burst.book = book
        burst.lag_s = 0.0
        return end + after
