"""Service NAT: how a packet to a Service finds its backend, one class per implementation.

The rules walked come from `netsim.cluster.service_rules`, the same counts that ``inspect rules`` prints. The place of
a Service in kube-proxy's list changes with every full sync, so its scan is billed as ``scan_ns`` for the whole list and
the engine draws the position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from netsim.cluster.service_rules import ProxyMode, Walk
from netsim.datapath.costs import Prices
from netsim.datapath.netfilter import rule_price
from netsim.datapath.step import Leg, Nat, Plain, ServiceWalks, Tagged
from netsim.datapath.types import Bill, Headers, Hop, Packet


@dataclass(frozen=True, slots=True)
class ServiceNat(Tagged):
    """The place of Service rules in a leg: translation where this node does it, a walk in vain elsewhere.

    ``by`` says who translates: the node's service proxy, or flows of the plugin's own switch, which compare nothing.
    """

    hop: Literal["service_nat"] = "service_nat"
    by: Literal["proxy", "flows"] = "proxy"

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield what the node's proxy mode, or the plugin, does to this packet."""
        if self.by == "flows":
            if leg.nat is not None:
                yield FlowNat(leg.walks, leg.nat)
            return
        kind = TRANSLATORS[leg.walks.mode]
        if leg.nat is not None:
            yield kind(leg.walks, leg.nat)
        elif not leg.reply and leg.walks.mode != "ebpf":
            yield NoService(leg.walks.first.get("forward", Walk()))


@dataclass(frozen=True, slots=True)
class NoService(Plain):
    """Traffic to no Service: the first packet is compared with everything, later ones with nothing."""

    walk: Walk
    outer: bool = False
    name: str = "service_nat"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the whole list for a new connection (`outer` ones are new in both directions).

        That it stays untranslated is settled for good, too: a binding to its own addresses.
        """
        new = packet.first if self.outer else packet.new
        if not new:
            return Bill()
        work = prices["nat.none"] + self.walk.nat_mean * prices["rule.first"] + self.walk.lookups * prices["map.lookup"]
        return Bill(packet_ns=work, rules=self.walk.nat_mean)


@dataclass(frozen=True, slots=True)
class _Translating:
    """Base of the translations: headers change towards the backend, and back on replies."""

    walks: ServiceWalks
    nat: Nat

    def rewrite(self, headers: Headers, packet: Packet) -> Headers:
        """Translate, or undo it."""
        return self.nat.rewrite(headers, packet)


@dataclass(frozen=True, slots=True)
class RuleNat(_Translating, Plain):
    """kube-proxy in iptables or nftables mode: rules or maps for the first packet, conntrack's memory afterwards."""

    name: str = "service_nat"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the list, the Service's own chains and setting the translation up; afterwards the rewriting alone."""
        if not packet.new:
            return Bill(packet_ns=prices["nat.packet"])
        model, rule = self.walks.service, prices["rule.first"]
        own = model.mean - (model.list_length + 1) / 2 if model.list_length else model.mean
        work = prices["nat.new"] + own * rule + model.lookups * prices["map.lookup"]
        return Bill(packet_ns=work, scan_ns=model.list_length * rule, rules=model.mean)


@dataclass(frozen=True, slots=True)
class FlowNat(_Translating, Plain):
    """Flows of Open vSwitch that have connection tracking translate: picking a backend is the upcall's work."""

    name: str = "service_nat"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge setting the translation up, and the rewriting afterwards."""
        return Bill(packet_ns=prices["nat.new" if packet.new else "nat.packet"])


@dataclass(frozen=True, slots=True)
class IpvsNat(_Translating, Plain):
    """kube-proxy in ipvs mode: a hash of virtual servers and a connection table beside conntrack's.

    The virtual address is the node's own (device ``kube-ipvs0``): packets go up to its LOCAL_IN hook and are sent anew
    from LOCAL_OUT, with a second route look-up. The hash of virtual servers has 256 rows: with thousands of Services a
    new connection follows a chain of entries that lie anywhere in memory, up to its own. Conntrack and its NAT know the
    connection too, and settle that they leave it alone. Replies are routed once more after their source has become the
    Service's (``snat_reroute``, on by default: kernel Documentation/networking/ipvs-sysctl).
    """

    name: str = "service_nat"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the few rules and ipsets, scheduling for a new connection, and the IPVS look-up for every packet."""
        rule = prices[rule_price(packet.new)]
        each = prices["ipvs.packet"] + prices["route.packet"]
        if not packet.reply:
            each += 2 * prices["netfilter.hook"]
        if not packet.new:
            return Bill(packet_ns=each)
        model = self.walks.service
        made = prices["ipvs.new"] + prices["nat.none"]
        work = each + made + model.mean * rule + model.lookups * prices["ipset.lookup"]
        return Bill(packet_ns=work, scan_ns=model.bucket * prices["memory.miss"], rules=model.mean)


@dataclass(frozen=True, slots=True)
class ProgramNat(_Translating, Plain):
    """eBPF at the network device: what reaches a node port or load-balancer address from outside."""

    name: str = "service_nat"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the program, and its look-ups: service, backend, reverse entry when new, one entry afterwards."""
        lookups = self.walks.service.lookups if packet.new else 1
        made = prices["ebpf.conntrack"] if packet.new else 0.0
        return Bill(packet_ns=prices["ebpf.program"] + lookups * prices["ebpf.lookup"] + made)


@dataclass(frozen=True, slots=True)
class SocketBalancer(_Translating, Plain):
    """eBPF at the socket: connect() or sendmsg() is given the backend's address, the wire never shows the Service's.

    A connected socket pays once. A datagram socket pays for every message: its destination going out, its source coming
    back.
    """

    name: str = "service_socket"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the program at connect or at every message."""
        if packet.new:
            return Bill(packet_ns=prices["ebpf.program"] + self.walks.service.lookups * prices["ebpf.lookup"])
        if packet.protocol == "TCP":
            return Bill()
        return Bill(packet_ns=prices["ebpf.program"] + prices["ebpf.lookup"])


TRANSLATORS: Mapping[ProxyMode, type[RuleNat] | type[IpvsNat] | type[ProgramNat]] = {
    "iptables": RuleNat,
    "nftables": RuleNat,
    "ipvs": IpvsNat,
    "ebpf": ProgramNat,
}
"""The translation at a node's network devices by proxy mode; sockets of eBPF's own node use `SocketBalancer`."""
