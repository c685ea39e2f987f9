"""A macvlan device: a pod's own address on the node's card, beside the node's stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet


@dataclass(frozen=True, slots=True)
class Macvlan(Everywhere):
    """One end: a hash of the MAC address, and the packet handed to the card or up the pod's stack.

    Linux drivers/net/macvlan.c (``macvlan_start_xmit``, ``macvlan_handle_frame``).
    """

    hop: Literal["macvlan"] = "macvlan"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "macvlan"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge one end."""
        return Bill(packet_ns=prices["macvlan.packet"])
