"""The node's IP forwarding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet


@dataclass(frozen=True, slots=True)
class Route(Everywhere):
    """Route look-up, TTL, neighbour, output. A longest-prefix look-up: flat in the number of routes."""

    hop: Literal["route"] = "route"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "route"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge one forwarding decision."""
        return Bill(packet_ns=prices["route.packet"])
