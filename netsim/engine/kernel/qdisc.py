"""Queueing disciplines: where a node's packets wait while the ring of its card is full.

A card's ring may hold so many bytes (byte queue limits, BQL); one that holds more stops its queue, and the card
restarts it when it has sent enough. What comes meanwhile waits in the discipline, which decides who is next:
``pfifo_fast`` (with packets of one priority) who came first, ``fq_codel`` flow by flow, and it drops from flows that
have waited too long (CoDel). As long as the ring has room and nobody waits, packets go straight to it
(``TCQ_F_CAN_BYPASS``), at no cost here; a packet that waits costs an event.

Sources, all Linux: lib/dynamic_queue_limits.c, net/sched/sch_generic.c (pfifo_fast, ``txqueuelen`` 1000),
net/sched/sch_fq_codel.c (10,240 packets, 32 MiB, quantum of a frame), include/net/codel_impl.h (RFC 8289: target 5 ms,
interval 100 ms), RFC 8290. The limit of the ring is kept where the rule of BQL would settle, twice what is completed
in an interval; rings of several transmit queues are one here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.stations import Link, Station

if TYPE_CHECKING:
    from netsim.engine.places import Place
    from netsim.engine.queueing.burst import Burst, Leg
    from netsim.engine.queueing.clock import Clock

COMPLETION_S = 25e-6
"""For how long a busy card collects completions before it interrupts (mlx5 adaptive 8 to 64 us, ice and i40e 50 us)."""
LEAST_RING_BYTES = 2 * 65536
"""A ring holds at least two buffers: one that is being sent, and the next."""
TX_QUEUE_PACKETS = 1000
FAIR_PACKETS, FAIR_BYTES = 10_240, 32 * 1024 * 1024
FRAME_BYTES, HEADER_BYTES = 1514, 66
TARGET_S, INTERVAL_S = 5e-3, 0.1


def ring_bytes(nic_bps: float, stated: int | None) -> int:
    """Return what a ring may hold: as stated, or where BQL settles on a busy card."""
    return stated or max(LEAST_RING_BYTES, round(2.0 * nic_bps / 8.0 * COMPLETION_S))


class Waiting(NamedTuple):
    """A burst in a discipline, and since when."""

    burst: Burst
    since_s: float


class Discipline(Protocol):
    """Who waits, and who is next."""

    def add(self, waiting: Waiting) -> list[Waiting]:
        """Let a burst wait; return who is dropped for it."""
        ...

    def take(self, now: float) -> tuple[Waiting | None, list[Waiting]]:
        """Return who is next, if anybody, and who is dropped."""
        ...

    def all(self) -> list[Waiting]:
        """Return who waits."""
        ...


class PfifoFast:
    """First in, first out, at most ``txqueuelen`` packets; what comes then is dropped."""

    def __init__(self) -> None:
        self._queue: deque[Waiting] = deque()

    def add(self, waiting: Waiting) -> list[Waiting]:
        """Append."""
        if len(self._queue) >= TX_QUEUE_PACKETS:
            return [waiting]
        self._queue.append(waiting)
        return []

    def take(self, now: float) -> tuple[Waiting | None, list[Waiting]]:
        """Return the first."""
        return (self._queue.popleft() if self._queue else None), []

    def all(self) -> list[Waiting]:
        """Return who waits."""
        return list(self._queue)


class _Flow:
    """One connection's bursts, with the state of its CoDel; ``legs`` tells whose it is."""

    __slots__ = ("above_s", "bytes", "count", "deficit", "dropping", "last", "legs", "next_s", "queue")

    def __init__(self, legs: Sequence[Leg]) -> None:
        self.legs = legs
        self.queue: deque[Waiting] = deque()
        self.bytes = 0
        self.deficit = FRAME_BYTES
        self.dropping = False
        self.count = self.last = 0
        self.above_s = self.next_s = 0.0

    def pop(self, now: float) -> tuple[Waiting | None, bool]:
        """Take the first, and tell whether flows have waited too long for an interval (``codel_should_drop``)."""
        if not self.queue:
            self.above_s = 0.0
            return None, False
        first = self.queue.popleft()
        self.bytes -= first.burst.size
        if now - first.since_s < TARGET_S or self.bytes <= FRAME_BYTES:
            self.above_s = 0.0
            return first, False
        if self.above_s == 0.0:
            self.above_s = now + INTERVAL_S
            return first, False
        return first, now > self.above_s

    def take(self, now: float, dropped: list[Waiting]) -> Waiting | None:
        """Take the next one that is not dropped (``codel_dequeue``)."""
        first, late = self.pop(now)
        if first is None or not late:
            self.dropping = False
            return first
        if not self.dropping:
            dropped.append(first)
            first, late = self.pop(now)
            self.dropping = True
            fresh = self.count - self.last
            self.count = fresh if fresh > 1 and now - self.next_s < 16.0 * INTERVAL_S else 1
            self.last, self.next_s = self.count, now + INTERVAL_S / sqrt(self.count)
            return first
        while self.dropping and now >= self.next_s and first is not None:
            self.count += 1
            dropped.append(first)
            first, late = self.pop(now)
            if late:
                self.next_s += INTERVAL_S / sqrt(self.count)
            else:
                self.dropping = False
        return first


class FqCodel:
    """A queue a flow, new flows first, then in turn a frame's worth of bytes each; CoDel in each queue.

    Flows are connections: collisions of the kernel's 1,024 hash buckets are left out.
    """

    def __init__(self) -> None:
        self._flows: dict[int, _Flow] = {}
        self._new: deque[_Flow] = deque()
        self._old: deque[_Flow] = deque()
        self._packets = self._bytes = 0

    def add(self, waiting: Waiting) -> list[Waiting]:
        """Append to the flow's queue; beyond the limits the longest queue loses its first."""
        legs = waiting.burst.legs  # those of one way of one connection; the flow keeps them, and so their identity
        flow = self._flows.get(id(legs))
        if flow is None:
            flow = self._flows[id(legs)] = _Flow(legs)
            self._new.append(flow)
        flow.queue.append(waiting)
        flow.bytes += waiting.burst.size
        self._count(waiting, 1)
        dropped = []
        while self._packets > FAIR_PACKETS or self._bytes > FAIR_BYTES:
            longest = max(self._flows.values(), key=lambda each: each.bytes)
            first = longest.queue.popleft()
            longest.bytes -= first.burst.size
            self._count(first, -1)
            dropped.append(first)
        return dropped

    def take(self, now: float) -> tuple[Waiting | None, list[Waiting]]:
        """Return the next by deficit round robin (``fq_codel_dequeue``)."""
        dropped: list[Waiting] = []
        first = None
        while first is None and (self._new or self._old):
            row = self._new or self._old
            flow = row.popleft()
            if flow.deficit <= 0:
                flow.deficit += FRAME_BYTES
                self._old.append(flow)
                continue
            first = flow.take(now, dropped)
            if first is not None:
                flow.deficit -= first.burst.size + HEADER_BYTES
                row.appendleft(flow)
            elif row is self._new and self._old:
                self._old.append(flow)
            else:
                del self._flows[id(flow.legs)]
        for each in dropped if first is None else (*dropped, first):
            self._count(each, -1)
        return first, dropped

    def _count(self, waiting: Waiting, sign: int) -> None:
        self._packets += sign
        self._bytes += sign * waiting.burst.size

    def all(self) -> list[Waiting]:
        """Return who waits."""
        return [each for flow in self._flows.values() for each in flow.queue]


DISCIPLINES: dict[str, Callable[[], Discipline]] = {"pfifo_fast": PfifoFast, "fq_codel": FqCodel}


class Qdisc(Station):
    """The queueing discipline before a node's link.

    Parameters
    ----------
    clock: the clock.
    leg, link: the link behind it.
    discipline: who is next.
    room_s: what the ring holds, in seconds of the link's time.
    """

    __slots__ = ("_clock", "_discipline", "_leg", "_link", "_room_s", "_waiting")

    def __init__(self, clock: Clock, leg: Leg, link: Link, discipline: Discipline, room_s: float) -> None:
        super().__init__(f"{link.name}/qdisc")
        self._clock, self._leg, self._link = clock, leg, link
        self._discipline, self._room_s = discipline, room_s
        self._waiting = 0

    def carry(self, burst: Burst, now: float, charge: Any) -> float | None:
        """Hand a burst to the ring, or let it wait."""
        self._link.catch_up(now)
        if not self._waiting and now >= self._room_at(charge[2]):
            return self._leg(burst, now, charge)
        self.arrived += 1
        self.book.occupancy_s -= now
        self._waiting += 1
        if self._waiting == 1:
            self._clock.at(self._room_at(charge[2]), self.restart)
        self._lose(self._discipline.add(Waiting(burst, now)), now)
        return None

    def restart(self, now: float) -> float | None:
        """The card has sent enough: fill the ring again."""
        link, lead = self._link, 0.0
        link.catch_up(now)
        while self._waiting and now >= self._room_at(lead):
            first, dropped = self._discipline.take(now)
            self._lose(dropped, now)
            if first is None:
                return None
            self._out(first, now)
            burst = first.burst
            charge = burst.charges[burst.index]
            lead = charge[2]
            out = self._leg(burst, now, charge)
            if out is not None:
                burst.sent_off(link.free_s)
                self._clock.at(out, burst.advance)
        return self._room_at(lead) if self._waiting else None

    def _room_at(self, lead_s: float) -> float:
        """Return when the ring has room by all that is known, for a burst that it begins to send a lead later."""
        return self._link.free_s - self._room_s - lead_s

    def _out(self, waiting: Waiting, now: float) -> None:
        self._waiting -= 1
        self.book.left += 1
        self.book.occupancy_s += now
        self.sojourn_s += now - waiting.since_s

    def _lose(self, dropped: list[Waiting], now: float) -> None:
        for each in dropped:
            self._out(each, now)
            self.refuse(each.burst, now)

    def settle(self, now: float) -> int:
        """Book who waits until now."""
        waiting = self._discipline.all()
        self.book.occupancy_s += now * len(waiting)
        self.sojourn_s += sum(now - each.since_s for each in waiting)
        return len(waiting)


def queue_before_cards(clock: Clock, stations: list[Station]) -> Callable[[Place], None]:
    """Return what puts the discipline of its machine before a new place's link; ``stations`` gets it.

    A link that also carries background traffic stays one queue: what is not followed has no flows to tell apart.
    """

    def put(place: Place) -> None:
        make = DISCIPLINES.get(place.machine.qdisc)
        if make is not None and type(place.links[0]) is Link:
            held = ring_bytes(place.machine.nic_bps, place.machine.byte_queue_limit)
            room_s = on_grid(8.0 * held / place.machine.nic_bps)
            qdisc = Qdisc(clock, place.up, place.links[0], make(), room_s)
            place.up = qdisc.carry
            stations.append(qdisc)

    return put
