"""The Linux bridge: ``cbr0``, ``cni0`` and their like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere, Leg, Plain, Tagged
from netsim.datapath.types import Bill, Hop, Packet


@dataclass(frozen=True, slots=True)
class Bridge(Everywhere):
    """A bridge as the pods' gateway: frames go up to the node's IP layer through its device, or come down from it."""

    hop: Literal["bridge"] = "bridge"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "bridge"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the gateway's way through the bridge device."""
        return Bill(packet_ns=prices["bridge.gateway"])


@dataclass(frozen=True, slots=True)
class Switch(Everywhere):
    """A bridge that forwards a frame between two of its ports without the IP layer."""

    hop: Literal["switch"] = "switch"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "bridge.forward"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the look-up of the destination and the forwarding."""
        return Bill(packet_ns=prices["bridge.packet"])


@dataclass(frozen=True, slots=True)
class BridgeNetfilter(Tagged):
    """``net.bridge.bridge-nf-call-iptables``: bridged frames pass the IP hooks, because kube-proxy needs replies to.

    Conntrack and the service rules they meet there are steps of their own.
    """

    hop: Literal["bridge_netfilter"] = "bridge_netfilter"

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the hop wherever a kube-proxy made somebody load ``br_netfilter``."""
        if leg.walks.mode != "ebpf":
            yield BridgeHooks()


@dataclass(frozen=True, slots=True)
class BridgeHooks(Plain):
    """The detour of a bridged frame through PREROUTING, FORWARD and POSTROUTING."""

    name: str = "bridge.netfilter"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the detour with its three hooks, rules aside."""
        return Bill(packet_ns=prices["bridge.netfilter"])


@dataclass(frozen=True, slots=True)
class GatewayNetfilter(Tagged):
    """The same for a frame to the gateway itself: it passes PREROUTING at the bridge, and the IP layer skips it.

    Frames that come down from the IP layer are none of the bridge's (no ``nf_bridge_info``), so they pay nothing; a
    translation there decides the route that the IP layer then finds (Linux net/bridge/br_netfilter_hooks.c).
    """

    hop: Literal["gateway_netfilter"] = "gateway_netfilter"

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the hop wherever a kube-proxy made somebody load ``br_netfilter``."""
        if leg.walks.mode != "ebpf":
            yield GatewayHooks()


@dataclass(frozen=True, slots=True)
class GatewayHooks(Plain):
    """The detour of a frame that goes up at the gateway: its headers checked and noted, one hook."""

    name: str = "bridge.netfilter.gateway"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the detour, rules aside."""
        return Bill(packet_ns=prices["bridge.netfilter.gateway"])
