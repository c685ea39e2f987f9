"""Links and the leaf-spine fabric: serialisation with everything the wire adds, propagation, zones.

Data rates of the fabric follow from the nodes': a leaf with ``nodes_per_rack`` downlinks has as many uplinks as there
are spines, each with ``nodes_per_rack x NIC rate / (spines x oversubscription)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.cluster.objects import Fabric
from netsim.datapath.costs import Prices
from netsim.datapath.step import Plain
from netsim.datapath.types import Bill, Bursts, Packet

FRAMING_BYTES = 24
"""Preamble and start delimiter 8, frame check sequence 4, inter-frame gap 12 (IEEE 802.3)."""

Locality = Literal["same node", "same rack", "other rack", "other zone"]


@dataclass(frozen=True, slots=True)
class Link(Plain):
    """One direction of a link: ``bps`` its rate, ``latency_s`` propagation and the forwarding at its end."""

    bps: float
    latency_s: float
    name: str = "link"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge serialisation per byte and, for headers and framing, per segment."""
        byte_ns = 8e9 / self.bps
        overhead = packet.header_bytes + FRAMING_BYTES
        return Bill(byte_ns=byte_ns, segment_ns=overhead * byte_ns, latency_ns=self.latency_s * 1e9)


def fabric_links(fabric: Fabric, nic_bps: float, locality: Locality) -> Iterator[Link]:
    """Yield the links between two leaves, up and down; none within a rack."""
    if locality in ("same node", "same rack"):
        return
    uplink = fabric.nodes_per_rack * nic_bps / (max(1, fabric.spines) * fabric.oversubscription)
    crossing = fabric.zone_latency_s if locality == "other zone" else 0.0
    yield Link(uplink, fabric.link_latency_s + crossing, "link.leaf_up")
    yield Link(uplink, fabric.link_latency_s, "link.leaf_down")


@dataclass(frozen=True, slots=True)
class Border(Plain):
    """The way between the fabric and a host outside, as fast as the node's link; its delay is in the cost profile."""

    bps: float
    name: str = "border"

    @property
    def bursts(self) -> Bursts:
        """What comes from outside comes in segments."""
        return Bursts.SPLIT

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge serialisation and the distance."""
        byte_ns = 8e9 / self.bps
        overhead = packet.header_bytes + FRAMING_BYTES
        return Bill(byte_ns=byte_ns, segment_ns=overhead * byte_ns, latency_ns=prices["border.latency"])
