"""Connection tracking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet


@dataclass(frozen=True, slots=True)
class Conntrack(Everywhere):
    """``nf_conntrack``: a look-up for packets of known connections; an entry made and confirmed for the first one."""

    hop: Literal["conntrack"] = "conntrack"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "conntrack"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the look-up, and setting the entry up for a new connection."""
        return Bill(packet_ns=prices["conntrack.packet"] + (prices["conntrack.new"] if packet.new else 0.0))
