"""Ways: one direction of one connection, ready to carry bursts.

A way knows its stations and its tariffs and nothing of transport; `netsim.engine.transport.tcp` and
`netsim.engine.transport.datagrams` send through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Burst, Notice, Reaction, nobody
from netsim.engine.queueing.clock import Clock

if TYPE_CHECKING:
    from typing import Any

    from netsim.engine.kernel.conntrack import Gates
    from netsim.engine.pricing import Tariff


class Way:
    """One direction of a connection.

    Parameters
    ----------
    clock: the clock.
    legs: legs by role (`netsim.engine.places.Places.legs`).
    opening: tariff of the packet that opens the flow.
    following: tariff of all later packets.
    position: where the service lies in the list that first packets walk, 0 to 1.
    gates: tables that must have room for the flow, with what it wants of each.
    acknowledging: tariff of the acknowledgements of large transfers, if they have one.
    """

    __slots__ = (
        "_gates", "_opening_legs", "acknowledging", "burst_bytes", "by_role", "clock", "following", "legs", "mss",
        "opening", "position",
    )  # fmt: skip

    def __init__(  # noqa: PLR0917 - two for every connection: keywords cost a tenth of it
        self, clock: Clock, legs: list[Any], opening: Tariff, following: Tariff, position: float = 0.0,
        gates: Gates = (), acknowledging: Tariff | None = None,
    ) -> None:  # fmt: skip
        self.clock, self.opening, self.following, self.position = clock, opening, following, position
        self._gates, self.acknowledging, self.by_role = gates, acknowledging, legs
        self.legs = picked = following.pick(legs)
        # routes of opening and later packets mostly visit the same stations
        self._opening_legs = picked if opening.pick is following.pick else opening.pick(legs)
        self.mss, self.burst_bytes = following.mss, following.burst_bytes

    def open(self, size: int, arrived: Reaction, lost: Reaction = nobody) -> None:
        """Send the packet that opens the flow; it is lost where a table is full.

        What it has been given stays: when it is sent again, only the tables that had no room are asked.
        """
        clock = self.clock
        if self._gates and not self._admitted(clock._now):
            Notice(clock, clock._now, lost)
            return
        Burst(clock, self._opening_legs, self.opening.charges(size, self.position), size, arrived, lost)

    def _admitted(self, now: float) -> bool:
        """Ask the tables that have not given room yet."""
        gates = self._gates
        for index, (table, claim) in enumerate(gates):
            if not table.admit(now, claim):
                self._gates = gates[index:]
                return False
        self._gates = ()
        return True

    def send(self, size: int, arrived: Reaction = nobody, lost: Reaction = nobody) -> None:
        """Send a later burst; ``size`` bytes of payload, 0 for a bare acknowledgement."""
        following = self.following if size else self.following.bare
        if following.black_hole and self.swallows(size):
            if lost is not nobody:
                Notice(self.clock, self.clock.now, lost)
            return
        Burst(self.clock, self.legs, following.known.get(size) or following.charges(size), size, arrived, lost)

    def confirm(self) -> None:
        """Complete the handshake: the server's program takes the connection."""
        Burst(self.clock, self.legs, self.following.accept.charges(0), 0)

    def end(self, arrived: Reaction) -> None:
        """Send the end of the stream, which the program's close does."""
        Burst(self.clock, self.legs, self.following.close.charges(0), 0, arrived)

    def swallows(self, size: int) -> bool:
        """Tell whether the burst vanishes: full-sized segments too large for an MTU on the way, unfragmentable."""
        return self.following.black_hole and size >= self.mss
