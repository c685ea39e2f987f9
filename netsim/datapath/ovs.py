"""Open vSwitch: the kernel's flow cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet


@dataclass(frozen=True, slots=True)
class Switching(Everywhere):
    """A pass through ``br-int``: a look-up of the flow and its actions.

    Behind conntrack in a zone of the pods' the packet comes again (recirculation) and is looked up anew: a step of its
    own in a leg, as conntrack is. ``compiled`` is for a module built for the processor's popcnt and SSE4.2.
    """

    hop: Literal["ovs"] = "ovs"
    compiled: bool = False

    @property
    def name(self) -> str:
        """Name in reports."""
        return "ovs"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge one look-up in the flow cache."""
        return Bill(packet_ns=prices["ovs.lookup"] * (COMPILED if self.compiled else 1.0))


COMPILED = 0.5
"""Hashing and matching take 5 instead of 10 % of CPU time (Kube-OVN documentation, Performance Tuning)."""
