"""From a compiled route to what a burst pays at each of its stations.

A `Tariff` belongs to one `Route` and is shared by every connection of its kind; the charges of a burst are worked out
once a size and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from operator import itemgetter
from typing import Any

from netsim.datapath.gro import acknowledged, merged_pieces
from netsim.datapath.types import Pass, Role, Route, Turn
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.stations import CoreCharge, LinkCharge
from netsim.engine.queueing.tracing import Paid

PAUSE = len(Role)
"""Index, behind the roles, of the leg that only lets latency pass."""
DELIVER = PAUSE + 1
_THREADS = frozenset({Role.SENDER_CORE, Role.RECEIVER_CORE})
_SOFTIRQS = frozenset({Role.SOFTIRQ_CORE, Role.VIA_CORE})
_BACKLOGS = frozenset({Role.STEERED_CORE, Role.VIA_STEERED_CORE})
_SWITCH_PORTS = frozenset(
    {
        Role.LEAF_UP, Role.LEAF_DOWN, Role.RECEIVER_LINK, Role.VIA_LINK_IN, Role.VIA_LEAF_UP, Role.VIA_LEAF_DOWN,
    }
)  # fmt: skip
_SIZES_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """Where bursts are lost for want of room.

    ``ring`` descriptors of a receive queue; ``buffer_bytes`` of a switch's output port; ``backlog`` packets that RPS
    hands to one core. UDP sockets count for
    themselves (`netsim.engine.kernel.sockets`).
    """

    ring: float = 1024
    buffer_bytes: float = 512 * 1024
    backlog: float = 1000


class Tariff:
    """Charges of bursts on one route.

    ``reply`` says that it is the way from server to client. ``pick`` takes the legs of this route, in order, out of a
    list of legs by role (with `PAUSE` and `DELIVER` behind); ``stops`` are the indices it takes, without `DELIVER`.
    ``known`` are charges worked out before, by size; it stays empty where they also depend on the position (``scans``).
    ``accept``, ``close`` and ``bare`` are the tariffs of packets without data that go the same way, by what programs
    have to do with them (`netsim.datapath.types.Turn`); its own where a way has no others.
    ``memo`` keeps what others have worked out about a message on this route; thousands of flows share a tariff.
    ``mss``, ``burst_bytes`` and ``black_hole`` are the route's.
    """

    __slots__ = (
        "_kept", "_scan", "accept", "bare", "black_hole", "burst_bytes", "close", "known", "limits", "memo", "mss",
        "pick", "reply", "route", "stops",
    )  # fmt: skip

    def __init__(self, route: Route, limits: Limits, reply: bool = False) -> None:
        self.route, self.limits, self.reply = route, limits, reply
        self.mss, self.burst_bytes, self.black_hole = route.mss_bytes, route.burst_bytes, route.black_hole
        self._kept: dict[int, tuple[Any, ...]] = {}
        indices: list[int] = []
        self._scan: tuple[int, float] | None = None
        for each, following in _pairs(route.passes):
            if each.scan_s > 0.0:
                self._scan = len(indices), each.scan_s
            indices.append(each.role)
            if _pauses(each, following):
                indices.append(PAUSE)
        self.stops = tuple(indices)
        self.pick = _picker(self.stops)
        self.known: Mapping[int, tuple[Any, ...]] = {} if self._scan is not None else self._kept
        self.memo: dict[Hashable, Any] = {}
        self.accept: Tariff = self
        self.close: Tariff = self
        self.bare: Tariff = self

    def of_turn(self, turn: Turn) -> Tariff:
        """Return the tariff of packets that programs have this to do with."""
        found: Tariff = self if turn == "message" else getattr(self, turn)
        return found

    @property
    def scans(self) -> bool:
        """Charges depend on where the burst's service lies in the rules."""
        return self._scan is not None

    def segments(self, size: int) -> int:
        """Return how many wire segments ``size`` bytes of payload take."""
        return max(1, -(-size // self.route.mss_bytes))

    def charges(self, size: int, position: float = 0.0) -> tuple[Any, ...]:
        """Return the charges of ``size`` bytes of payload, tuples in the shapes of `CoreCharge` and `LinkCharge`.

        What stands behind them, for `deliver`, says what they are for.

        ``position`` (0 to 1) is where the burst's service lies in the list that first packets walk.
        """
        kept = self._kept.get(size)
        if kept is None:
            if len(self._kept) >= _SIZES_KEPT:
                self._kept.clear()
            # plain tuples unpack in a third of the time
            kept = self._kept[size] = (*(tuple(charge) for charge in self.named(size)), Paid(self, size))
        if self._scan is not None:
            index, scan_s = self._scan
            service_s, *rest = kept[index]
            return (*kept[:index], (service_s + on_grid(scan_s * position), *rest), *kept[index + 1 :])
        return kept

    def pieces(self, size: int) -> float:
        """Return into how many buffers a burst is merged in the mean that has its receiver's link for itself."""
        if self.route.polled_s <= 0.0:
            return 1.0
        link = self.route.passes[next(i for i, each in enumerate(self.route.passes) if each.role in _SOFTIRQS) - 1]
        link_s = link.fixed_s + link.byte_s * size + link.segment_s * self.segments(size)
        return min(float(self.segments(size)), merged_pieces(size, self.mss, size * self.route.polled_s / link_s))

    def acknowledgements(self, size: int) -> int:
        """Return how many acknowledgements a burst of a large transfer causes that has its link for itself."""
        return round(acknowledged(size, self.mss, self.route.arrives_whole, self.pieces(size)))

    def merged(self, size: int, buffers: float, *, left: bool = False) -> tuple[Any, ...]:
        """Return the charges of a burst that receivers merge to so many buffers: each behind the first is paid again.

        ``left``: the core that the card wakes leaves them to the program's, in the backlog of its socket.
        """
        key = "merged", size, buffers, left
        known: tuple[Any, ...] | None = self.memo.get(key)
        if known is None:
            more: dict[int, float] = {
                each.role: (buffers - 1) * each.again_s for each in self.route.passes if each.again_s > 0.0
            }
            if left:
                first_s, again_s = self.route.input_s
                input_s = first_s + (buffers - 1) * again_s
                more[Role.SOFTIRQ_CORE] = more.get(Role.SOFTIRQ_CORE, 0.0) - input_s
                more[Role.RECEIVER_CORE] = more.get(Role.RECEIVER_CORE, 0.0) + input_s
            known = self.memo[key] = tuple(
                _longer(charge, on_grid(more[stop])) if stop in more else charge
                for stop, charge in zip((*self.stops, DELIVER), self.charges(size), strict=True)
            )
        return known

    def named(self, size: int) -> list[CoreCharge | LinkCharge]:
        """Return the same charges with names to their fields, without `deliver`'s and without walking any list."""
        segments = self.segments(size)
        charges: list[CoreCharge | LinkCharge] = []
        lead = 0.0
        for number, (each, following) in enumerate(_pairs(self.route.passes)):
            service = on_grid(each.fixed_s + each.byte_s * size + each.segment_s * segments)
            latency = on_grid(each.latency_s)
            if each.role is Role.BORDER:
                charges.append(CoreCharge(service, on_grid(each.setup_s), latency))
            elif each.pipelined:
                whole = following is None or not following.pipelined or following.role is Role.BORDER
                packet = service if segments == 1 else min(service, on_grid(each.packet_s))
                charges.append(LinkCharge(service, packet, lead, latency, self._room(each, service, segments), whole))
                lead = 0.0
            elif each.role in _THREADS:
                # a thread may still be preempted when it is through, so what follows it is told to the next link
                room = self._room(each, service, segments)
                charges.append(CoreCharge(service, on_grid(each.setup_s), 0.0, room, on_grid(each.idle_s)))
                if _pauses(each, following):
                    charges.append(CoreCharge(latency))
                else:
                    lead = latency
            else:
                room = self._room(each, service, self.buffers(number, segments))
                charges.append(CoreCharge(service, on_grid(each.setup_s), latency, room, on_grid(each.idle_s)))
        return charges

    def buffers(self, number: int, segments: int) -> int:
        """Return how many buffers a burst of so many segments is that comes to a pass: as its first hop bills."""
        if self.route.passes[number].role not in _BACKLOGS:
            return segments
        first = next(bill for _, index, bill in self.route.hops if index == number)
        return segments if first.segment_ns > 0.0 else 1

    def _room(self, each: Pass, service: float, segments: int) -> float:
        """Return the work that a burst of so many pieces may find ahead of it before it is lost, in seconds."""
        if each.role in _SWITCH_PORTS:
            return on_grid(self.limits.buffer_bytes * each.byte_s) if each.byte_s > 0.0 else inf
        if each.role in _SOFTIRQS:
            return self.limits.ring * service / segments
        if each.role in _BACKLOGS:
            return self.limits.backlog * service / segments
        return inf

    def unloaded_s(self, size: int) -> float:
        """Return the one-way time of a burst that waits for nobody and wakes every idle core."""
        total = 0.0
        for charge in self.named(size):
            if isinstance(charge, LinkCharge):
                total += charge.lead_s + charge.after_s + (charge.service_s if charge.whole else charge.packet_s)
            else:
                total += charge.service_s + charge.setup_s + charge.after_s
        return total


@cache
def _picker(stops: tuple[int, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what takes legs at ``stops``, and `DELIVER`'s: one object for all routes that visit the same stations."""
    return itemgetter(*stops, DELIVER)


def _longer(charge: tuple[float, ...], more_s: float) -> tuple[float, ...]:
    """Return the charge of a core with more (or less) work, and the room of its ring in that measure."""
    service, setup, after, limit, idle = charge
    return service + more_s, setup, after, limit * (service + more_s) / service if service else limit, idle


def _pairs(passes: Sequence[Pass]) -> list[tuple[Pass, Pass | None]]:
    return list(zip(passes, [*passes[1:], None], strict=True))


def _pauses(each: Pass, following: Pass | None) -> bool:
    """Tell whether the latency behind a thread's pass needs a leg of its own, for want of a link that waits it out."""
    return (
        each.role in _THREADS
        and each.latency_s > 0.0
        and not (following is not None and following.pipelined and following.role is not Role.BORDER)
    )
