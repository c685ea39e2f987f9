"""Tunnels between nodes: VXLAN, Geneve, IPIP, and those that encrypt (`netsim.datapath.encryption`).

The outer packets are packets of the node. Where its netfilter tracks them they pass hooks and conntrack like any other,
and if the tunnel derives its outer source port from the inner flow every new inner flow makes new outer flows, one per
direction, which walk the node's service rules: three walks per node and new flow instead of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from netsim.cluster.service_rules import Walk
from netsim.datapath.costs import Prices
from netsim.datapath.encryption import CIPHERS, SEALED_BYTES, Cipher, Open, Seal
from netsim.datapath.netfilter import TABLES, Hook, HookName
from netsim.datapath.service_nat import NoService
from netsim.datapath.step import Leg, Plain, Tagged, Tunnel
from netsim.datapath.types import Bill, Headers, Hop, Packet

IPV4_BYTES, IPV6_BYTES, UDP_BYTES, ETHERNET_BYTES = 20, 40, 8, 14
OVS_DEVICES = (4, 3)
"""Release from which on Open vSwitch's tunnels are devices like others (Linux 614732eaa12d, net/openvswitch)."""
TUNNEL_HEADER_BYTES = {"vxlan": 8, "geneve": 8, "ipip": 0}
"""RFC 7348, RFC 8926 (without options), RFC 2003."""


class Encapsulation(BaseModel):
    """A plugin's tunnel between nodes.

    ``outer_tuple`` says how many flows the network sees: one per inner flow (UDP source port from the inner hash) or
    one per pair of nodes. ``underlay_conntrack`` is True where the node's conntrack sees the outer packets (no NOTRACK
    rule for them). ``metadata`` is True where programs or flow tables choose the tunnel: its device then hands up
    every packet with the outer headers it had (collect_md; Linux udp_tun_rx_dst). ``remembers`` is True where the
    outer route is kept with that choice (dst_cache): in Open vSwitch's flows (openvswitch/flow_netlink.c), not for
    eBPF programs, which share one choice per core (TUNNEL_NOCACHE, net/core/filter.c bpf_skb_set_tunnel_key).
    ``hooked`` is False where a module lets the outer packets pass the node's netfilter by. ``vport`` is True for
    tunnels that are ports of Open vSwitch: on nodes before Linux 4.3 (`OVS_DEVICES`) their socket hands packets to the
    flow table in the same pass, without a device, its queue and metadata.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["vxlan", "geneve", "ipip", "wireguard", "ipsec"]
    outer_tuple: Literal["per-flow", "per-node-pair"] = "per-flow"
    underlay_conntrack: bool = True
    metadata: bool = False
    remembers: bool = False
    hooked: bool = True
    vport: bool = False

    @property
    def cipher(self) -> Cipher | None:
        """How packets are encrypted; ``None`` for plain tunnels."""
        return next((cipher for cipher in CIPHERS if cipher == self.kind), None)

    @property
    def per_flow(self) -> bool:
        """Whether the network sees a flow for each inner one; WireGuard has one port, ESP none, for a pair of nodes."""
        return self.outer_tuple == "per-flow" and self.cipher is None

    @property
    def outer_entries(self) -> int:
        """Conntrack entries that a connection takes at each node for its outer packets: a flow each way, or none."""
        return 2 if self.underlay_conntrack and self.per_flow else 0

    def overhead_bytes(self, ipv6_underlay: bool = False) -> int:
        """Return the bytes a packet grows by: outer IP, UDP and tunnel header, the inner Ethernet header."""
        outer = IPV6_BYTES if ipv6_underlay else IPV4_BYTES
        if self.cipher is not None:
            return outer + SEALED_BYTES[self.cipher]
        if self.kind == "ipip":
            return outer
        return outer + UDP_BYTES + TUNNEL_HEADER_BYTES[self.kind] + ETHERNET_BYTES


@dataclass(frozen=True, slots=True)
class Encap(Tagged):
    """Where a leg puts packets into the tunnel; ``encapsulation`` is filled in from the plugin."""

    hop: Literal["encap"] = "encap"
    encapsulation: Encapsulation | None = None

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the encapsulation and the outer packet's way out, if the packet leaves in a tunnel."""
        if self.encapsulation is None or leg.tunnel_out is None:
            return
        overhead, cipher = self.encapsulation.overhead_bytes(":" in leg.tunnel_out.local), self.encapsulation.cipher
        if cipher is not None:
            yield Seal(cipher)
        yield Encapsulate(leg.tunnel_out, overhead, self.encapsulation.remembers)
        yield from _outer(leg, self.encapsulation, ("output", "postrouting"))


@dataclass(frozen=True, slots=True)
class Decap(Tagged):
    """Where a leg takes packets out of the tunnel."""

    hop: Literal["decap"] = "decap"
    encapsulation: Encapsulation | None = None

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the outer packet's way in and the decapsulation, if the packet came in a tunnel."""
        if self.encapsulation is None or leg.tunnel_in is None:
            return
        yield from _outer(leg, self.encapsulation, ("prerouting", "input"))
        if self.encapsulation.cipher is not None:
            yield Open(self.encapsulation.cipher)
        queued = not (self.encapsulation.vport and leg.machine.before(*OVS_DEVICES))
        overhead = self.encapsulation.overhead_bytes(":" in leg.tunnel_in.local)
        metadata, paired = self.encapsulation.metadata and queued, not self.encapsulation.per_flow
        yield Decapsulate(overhead, metadata, queued, paired)


def _outer(leg: Leg, encapsulation: Encapsulation, hooks: tuple[HookName, HookName]) -> Iterator[Hop]:
    """Yield the node's own hooks, conntrack and service rules as the outer packet meets them.

    Untracked packets (NOTRACK in the raw table) skip conntrack, and with it the nat table.
    """
    tracked, per_flow = encapsulation.underlay_conntrack, encapsulation.per_flow
    if not encapsulation.hooked:
        return
    yield Hook(f"outer.{hooks[0]}", tables=TABLES[hooks[0]])
    if tracked:
        yield OuterConntrack(per_flow)
    if tracked and per_flow and leg.walks.mode != "ebpf":
        walk = leg.walks.first.get("out" if hooks[0] == "output" else "in", Walk())
        yield NoService(walk, outer=True, name="outer.service_nat")
    yield Hook(f"outer.{hooks[1]}", tables=TABLES[hooks[1]])


@dataclass(frozen=True, slots=True)
class OuterConntrack(Plain):
    """Conntrack of tunnel packets: the answer to a packet is an outer flow of its own, so both directions set up."""

    per_flow: bool
    name: str = "outer.conntrack"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge an entry per inner flow and direction, or the look-up of the node pair's entry."""
        new = packet.first and self.per_flow
        return Bill(packet_ns=prices["conntrack.packet"] + (prices["conntrack.new"] if new else 0.0))


@dataclass(frozen=True, slots=True)
class Encapsulate(Plain):
    """Outer headers put on."""

    tunnel: Tunnel
    overhead_bytes: int
    remembers: bool = False
    name: str = "encap"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the tunnel device's transmit and, unless it is remembered, the outer route."""
        return Bill(packet_ns=prices["encap.remembered" if self.remembers else "encap.packet"])

    def rewrite(self, headers: Headers, packet: Packet) -> Headers:
        """Add the outer addresses; the inner ones stay."""
        outer = (self.tunnel.local, self.tunnel.remote)
        return headers._replace(outer=outer, header_bytes=headers.header_bytes + self.overhead_bytes)


@dataclass(frozen=True, slots=True)
class Decapsulate(Plain):
    """Outer headers taken off; ``queued`` where the inner packet then waits in its device's queue (gro_cells)."""

    overhead_bytes: int
    metadata: bool = False
    queued: bool = True
    paired: bool = False
    """All flows of a pair of nodes came as one."""
    name: str = "decap"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the tunnel socket's receive and the inner packet's way into the stack."""
        kept = prices["decap.metadata"] if self.metadata else 0.0
        spared = 0.0 if self.queued else min(prices["decap.queue"], prices["decap.packet"])
        return Bill(packet_ns=prices["decap.packet"] + kept - spared)

    def rewrite(self, headers: Headers, packet: Packet) -> Headers:
        """Remove the outer addresses."""
        return headers._replace(outer=None, header_bytes=headers.header_bytes - self.overhead_bytes)
