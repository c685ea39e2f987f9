"""How a receiver's kernel takes a large transfer: what its card's polls merge, and what it acknowledges.

A burst comes to the core its card wakes as so many segments. How many of them one poll finds together depends on how
the link's traffic mixes (`netsim.datapath.gro`): the flow's share of it is what of the link's time its own bursts have
taken, the last ones counting most. A core that is behind finds what came in all that time. Each buffer beyond the first
goes through the stack once more and is acknowledged by itself; the acknowledgements of a burst travel as one, packet
by packet.

While a program holds its socket, packets wait in the socket's backlog and the program itself takes them through TCP
(Linux tcp_add_backlog, release_sock). So a card's core that is further behind is relieved by a program at work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netsim.datapath.disorder import unmerged
from netsim.datapath.gro import acknowledged, merged_pieces
from netsim.datapath.types import Role
from netsim.engine.queueing.burst import Burst, Reaction
from netsim.engine.queueing.stations import Core
from netsim.engine.transport.order import Queues

if TYPE_CHECKING:
    from netsim.engine.pricing import Tariff
    from netsim.engine.queueing.burst import Leg
    from netsim.engine.queueing.stations import Station
    from netsim.engine.transport.data import Data
    from netsim.engine.transport.ways import Way

MEMORY = 15.0 / 16.0
"""What a burst counts against the one behind it in the flow's share of a link."""


class Polls:
    """The polls that take one flow's bursts from its receiver's card.

    Parameters
    ----------
    tariff: of the flow's bursts.
    legs: its legs.
    queues: of the sending card, where they cost the flow its order.

    ``reader`` is the core on which the program has read.
    """

    __slots__ = (
        "_busy_s",
        "_core",
        "_index",
        "_leaves",
        "_leg",
        "_link_s",
        "_owed",
        "_own_s",
        "_queues",
        "_tariff",
        "legs",
        "reader",
    )  # fmt: skip

    def __init__(self, tariff: Tariff, legs: Sequence[Leg], queues: Queues | None = None) -> None:
        self._tariff, self._queues = tariff, queues
        self._index = index = tariff.stops.index(Role.SOFTIRQ_CORE)
        self._leg = legs[index]
        taken: Any = self.take  # of bursts of data alone
        self.legs: Sequence[Leg] = (*legs[:index], taken, *legs[index + 1 :])
        self._own_s = self._link_s = self._owed = 0.0
        self._busy_s = -1.0
        self._leaves = Role.STEERED_CORE not in tariff.stops
        self._core: Core | None = None
        self.reader: Station | None = None

    @staticmethod
    def over(way: Way, legs: Sequence[Leg]) -> Polls | None:
        """Return the polls at the end of a way, `None` where no card merges."""
        if way.following.route.polled_s <= 0.0:
            return None
        queues = Queues.of(way, legs)
        return Polls(way.following, legs if queues is None else queues.legs, queues)

    def take(self, burst: Data, now: float, charge: Any) -> float | None:
        """Serve a burst at the core, in as many buffers as its segments are merged to."""
        tariff = self._tariff
        link_s = burst.charges[self._index - 1][0]
        busy_s = burst.book.station.busy_s
        others_s = busy_s - self._busy_s if self._busy_s >= 0.0 else link_s
        self._busy_s = busy_s
        self._own_s = MEMORY * self._own_s + link_s
        self._link_s = MEMORY * self._link_s + max(others_s, link_s)
        share = self._own_s / self._link_s
        core = self._core
        behind_s = core.urgent_free_s - now if core is not None else 0.0
        come_bytes = share * max(tariff.route.polled_s, behind_s) * burst.size / link_s
        wanted = merged_pieces(burst.size, tariff.mss, come_bytes) + self._owed
        if self._queues is not None:
            wanted = unmerged(wanted, tariff.segments(burst.size), self._queues.beside)
        burst.buffers = number = max(1, min(int(wanted), tariff.segments(burst.size)))
        self._owed = min(wanted - number, 1.0)
        left = self.relieved(now)
        if number > 1 or left:
            burst.charges = tariff.merged(burst.size, number, left=left)
            charge = burst.charges[self._index]
        out = self._leg(burst, now, charge)
        if self._core is None and isinstance(burst.book.station, Core):
            self._core = burst.book.station
        return out

    def relieved(self, now: float) -> bool:
        """Tell whether the program's core takes packets through TCP for the one that the card wakes."""
        core, reader = self._core, self.reader
        return self._leaves and core is not None and reader is not None and core.urgent_free_s > reader.free_s > now


class Acknowledgements:
    """What the receiver of one direction acknowledges with, on the other one.

    Parameters
    ----------
    way: of the data.
    back: of the acknowledgements, which start where the data came up.
    """

    __slots__ = ("_back", "_legs", "_merged", "_mss", "_tariff")

    def __init__(self, way: Way, back: Way) -> None:
        self._back, self._tariff, self._mss = back, back.acknowledging, way.mss
        self._merged = way.following.route.arrives_whole
        if self._tariff is not None:
            legs = [*back.by_role]
            legs[Role.SENDER_CORE] = next(
                way.by_role[role] for role in _STACKS if role in way.following.stops or role is Role.SENDER_CORE
            )
            self._legs = self._tariff.pick(legs)

    def send(self, size: int, pieces: int, arrived: Reaction, lost: Reaction) -> None:
        """Acknowledge so many bytes that came as so many buffers."""
        tariff = self._tariff
        if tariff is None:
            self._back.send(0, arrived, lost)
            return
        number = round(acknowledged(size, self._mss, self._merged, pieces))
        Burst(self._back.clock, self._legs, tariff.charges(number), 0, arrived, lost)


_STACKS = (Role.STEERED_CORE, Role.SOFTIRQ_CORE, Role.SENDER_CORE)
"""Whose core runs the receiving stack: with RPS another one than the card woke, within a node the sender's."""
