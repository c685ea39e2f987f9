"""The veth pair between a pod's network namespace and its node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet


@dataclass(frozen=True, slots=True)
class Veth(Everywhere):
    """One crossing: transmit at one end is receive at the other, through the backlog queue of the same core."""

    hop: Literal["veth"] = "veth"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "veth"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge one crossing."""
        return Bill(packet_ns=prices["veth.packet"])
