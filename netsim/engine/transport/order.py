"""A stream whose buffers take several transmit queues of its node's card, and how much of it comes side by side.

The program's core and the one its acknowledgements wake each send by a queue of their own
(`netsim.datapath.disorder`). What that does to the order is taken in the mean: the share of segments that others of
the stream come beside follows from what the stream and all traffic have lately taken of the card's time, and from how
busy the program's core was with the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netsim.datapath.disorder import beside, sides
from netsim.datapath.types import Role
from netsim.engine.queueing.stations import Link

if TYPE_CHECKING:
    from netsim.engine.queueing.burst import Burst, Leg
    from netsim.engine.transport.ways import Way

MEMORY = 15.0 / 16.0
"""What a burst counts against the one behind it in what has lately been."""


class Queues:
    """The transmit queues of one stream.

    Parameters
    ----------
    legs: of the stream's bursts.
    core, card: which of them are the program's core and the node's link.
    held: see `netsim.datapath.disorder.sides`.

    ``beside`` is the share of segments that go out beside others of the stream.
    """

    __slots__ = ("_busy_s", "_card", "_core", "_held", "_last_s", "_leg", "_own_s", "_program_s", "_time_s", "_used_s",
                 "beside", "legs")  # fmt: skip

    def __init__(self, legs: Sequence[Leg], core: int, card: int, held: float) -> None:
        self._leg, self._core, self._card, self._held = legs[card], core, card, held
        taken: Any = self.carry
        self.legs: Sequence[Leg] = (*legs[:card], taken, *legs[card + 1 :])
        self._own_s = self._used_s = self._program_s = self._time_s = self.beside = 0.0
        self._busy_s = self._last_s = -1.0

    @staticmethod
    def of(way: Way, legs: Sequence[Leg]) -> Queues | None:
        """Return those of one direction of a connection, `None` where its buffers keep their order."""
        stops, held = way.following.stops, way.following.route.mixed
        return Queues(legs, stops.index(Role.SENDER_CORE), stops.index(Role.SENDER_LINK), held) if held else None

    def carry(self, burst: Burst, now: float, charge: Any) -> float | None:
        """Serve a burst at the card, and note what it and the others take of it."""
        out = self._leg(burst, now, charge)
        link = burst.book.station
        if isinstance(link, Link):
            if self._busy_s >= 0.0:
                self._learn(now - self._last_s, link.busy_s - self._busy_s, burst.charges)
            self._busy_s, self._last_s = link.busy_s, now
        return out

    def _learn(self, time_s: float, used_s: float, charges: Sequence[Any]) -> None:
        self._time_s = MEMORY * self._time_s + time_s
        self._used_s = MEMORY * self._used_s + used_s
        self._own_s = MEMORY * self._own_s + charges[self._card][0]
        self._program_s = MEMORY * self._program_s + charges[self._core][0]
        if self._time_s > 0.0:
            busy = sides(self._held, self._program_s / self._time_s)
            self.beside = beside(self._own_s / self._time_s, self._used_s / self._time_s, busy)
