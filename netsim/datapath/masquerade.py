"""Masquerading: traffic of pods that leaves the cluster takes the address of its node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Leg, Nat, Plain, Tagged
from netsim.datapath.types import Bill, Headers, Hop, Packet


@dataclass(frozen=True, slots=True)
class Masquerade(Tagged):
    """The place of source NAT in a leg; ``by`` names who does it."""

    hop: Literal["masquerade"] = "masquerade"
    by: Literal["netfilter", "ebpf"] = "netfilter"

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the translation where this node makes one."""
        if leg.snat is not None:
            yield SourceNat(leg.snat, self.by)


@dataclass(frozen=True, slots=True)
class SourceNat(Plain):
    """Source NAT with a port of the node."""

    nat: Nat
    by: Literal["netfilter", "ebpf"] = "netfilter"
    name: str = "masquerade"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the set-up with the first packet, the rewriting with each."""
        if self.by == "ebpf":
            return Bill(packet_ns=prices["ebpf.lookup"] + (prices["ebpf.conntrack"] if packet.new else 0.0))
        return Bill(packet_ns=prices["nat.new"] if packet.new else prices["nat.packet"])

    def rewrite(self, headers: Headers, packet: Packet) -> Headers:
        """Put the node's address in, or the pod's back."""
        return self.nat.rewrite(headers, packet)
