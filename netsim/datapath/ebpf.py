"""eBPF programs at a pod's or node's device: host routing, redirects, and what a program costs a plain path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet


@dataclass(frozen=True, slots=True)
class Program(Everywhere):
    """A program with its map look-ups: endpoint, identity, its own connection table, then a redirect or a pass.

    It replaces routing and netfilter where it redirects; ``redirect_peer`` towards the pod also spares the veth
    crossing, which is why such legs list no ``veth``.
    """

    hop: Literal["ebpf"] = "ebpf"
    tracks: bool = True
    """The program keeps a connection entry, made with the first packet."""

    @property
    def name(self) -> str:
        """Name in reports."""
        return "ebpf"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the program, and the entry of a new connection."""
        made = prices["ebpf.conntrack"] if self.tracks and packet.new else 0.0
        return Bill(packet_ns=prices["ebpf.program"] + made)
