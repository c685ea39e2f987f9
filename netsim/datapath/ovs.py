"""Open vSwitch: the kernel's flow cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet


@dataclass(frozen=True, slots=True)
class Switching(Everywhere):
    """A pass through ``br-int``: a look-up, conntrack in the pod zone, recirculation and a second look-up."""

    hop: Literal["ovs"] = "ovs"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "ovs"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge two look-ups in the flow cache; conntrack is a step of its own."""
        return Bill(packet_ns=2 * prices["ovs.lookup"])
