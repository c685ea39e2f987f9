"""Packets that are damaged on a node's cable: the receiving card finds a wrong checksum and drops them.

Every packet that comes to a node is lost with the same probability, independently of all others, so the number of
packets until the next loss is geometric, and one draw decides about all of them. Of a burst of many packets only those
that are damaged are lost. The traffic of clients that nobody follows uses the cable as if nothing were lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from netsim.engine.queueing.stations import Link
from netsim.engine.randomness import portable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from netsim.engine.places import Place
    from netsim.engine.queueing.burst import Burst, Leg
    from netsim.engine.queueing.stations import LinkCharge
    from netsim.engine.randomness.streams import Streams

    Floats = NDArray[np.float64]


class BadCable:
    """The cable into a node as a leg that damages packets.

    Parameters
    ----------
    leg, link: the cable without losses, and its station, which books them.
    gap: draws how many packets get through before the next one is lost.
    """

    __slots__ = ("_gap", "_inside", "_left", "_leg", "_link")

    def __init__(self, leg: Leg, link: Link, gap: Callable[[], float]) -> None:
        self._leg, self._link, self._gap = leg, link, gap
        self._left = int(gap())
        self._inside = False

    def carry(self, burst: Burst, now: float, charge: LinkCharge) -> float | None:
        """Forward a burst, without its damaged packets."""
        if self._inside:  # what fits into the buffer comes through its leg again
            return self._leg(burst, now, charge)
        tariff, size = burst.charges[-1]
        packets = tariff.segments(size)
        damaged = self._damaged(packets)
        if damaged:
            if len(damaged) == packets or not burst.pierce(damaged, now):
                self._link.refuse(burst, now)
                return None
            self._link.dropped += len(damaged)
            charge = burst.charges[burst.index]
        self._inside = True
        try:
            return self._leg(burst, now, charge)
        finally:
            self._inside = False

    def _damaged(self, packets: int) -> list[int]:
        """Return which of so many packets are damaged, by their numbers."""
        found = []
        at = self._left
        while at < packets:
            found.append(at)
            at += 1 + int(self._gap())
        self._left = at - packets
        return found


def damage_cables(share: float, streams: Streams) -> Callable[[Place], None]:
    """Return what makes the cable of a new place lose a share of its packets."""
    rate = max(float(-portable.log(np.array([1.0 - share]))[0]), share)

    def gaps(uniforms: Floats) -> Floats:
        return np.floor(-portable.log(uniforms) / rate)

    def damage(place: Place) -> None:
        *_, down, _ = place.stations
        assert isinstance(down, Link)
        draw = streams.drawing(f"cable/{down.name}", gaps)
        place.down = BadCable(place.down, down, draw).carry

    return damage
