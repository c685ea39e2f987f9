"""Netfilter hooks: the fixed price of entering one, and the filter rules of the service proxy behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from netsim.cluster.service_rules.walks import Walk, Where
from netsim.datapath.costs import Prices
from netsim.datapath.step import Leg, Plain, Tagged
from netsim.datapath.types import Bill, Hop, Packet

HookName = Literal["prerouting", "input", "forward", "output", "postrouting"]


@dataclass(frozen=True, slots=True)
class Netfilter(Tagged):
    """A hook with tables attached; the filter table sits at FORWARD, INPUT and OUTPUT."""

    hop: HookName

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the hook with the filter rules a packet meets there."""
        where = FILTERED.get(self.hop)
        if where is None:
            yield Hook(f"netfilter.{self.hop}", orphans=self.hop == "prerouting")
            return
        first = leg.walks.first.get(where, Walk()).filter_mean
        if leg.nat is not None and where == "forward":
            first = leg.walks.service.filter_mean
        yield Hook(f"netfilter.{self.hop}", first, leg.walks.established.get(where, Walk()).filter_mean)


FILTERED: Mapping[HookName, Where] = {"forward": "forward", "input": "in", "output": "out"}
"""The hooks with a filter table, and the way through the node that leads there."""


@dataclass(frozen=True, slots=True)
class Hook(Plain):
    """One hook: entering it, then the service proxy's filter rules (those of a policy engine are the policy hop's).

    In front of PREROUTING a packet enters IP anew, which drops its socket (Linux net/ipv4/ip_input.c `ip_rcv_core`);
    crossing a veth keeps it since 4.19 (9c4c325252c5).
    """

    name: str
    first: float = 0.0
    established: float = 0.0
    orphans: bool = False

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the hook and its rules: cold ones for a connection's first packet, hot ones afterwards."""
        rules = self.first if packet.new else self.established
        return Bill(packet_ns=prices["netfilter.hook"] + rules * prices[rule_price(packet.new)], rules=rules)


def rule_price(new: bool) -> str:
    """Return the price of one rule compared: rarely walked tables are out of cache for first packets."""
    return "rule.first" if new else "rule.established"
