"""Netfilter hooks: the fixed price of entering one, and the filter rules of the service proxy behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from netsim.cluster.service_rules.walks import Walk, Where
from netsim.datapath.costs import Prices
from netsim.datapath.step import Leg, Plain, Tagged
from netsim.datapath.types import Bill, Bursts, Hop, Packet

HookName = Literal["prerouting", "input", "forward", "output", "postrouting"]


@dataclass(frozen=True, slots=True)
class Netfilter(Tagged):
    """A hook with the node's tables attached; the filter table sits at FORWARD, INPUT and OUTPUT.

    ``tables`` is for a node that has others (`TABLES`); at a filter hook for namespaces without a proxy's rules, as
    pods' own are. ``sets`` counts rules of the plugin's own that every packet is compared with, each a look-up in a
    set. ``accepted``: chains of the plugin in front of the proxy's (its policy's) accept packets of known connections.
    """

    hop: HookName
    tables: int | None = None
    sets: int = 0
    accepted: bool = False

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the hook with the filter rules a packet meets there."""
        where = FILTERED.get(self.hop)
        tables = TABLES[self.hop] if self.tables is None else self.tables
        if where is None or self.tables is not None:
            yield Hook(f"netfilter.{self.hop}", tables=tables, sets=self.sets, orphans=self.hop == "prerouting")
            return
        first = leg.walks.first.get(where, Walk()).filter_mean
        if leg.nat is not None and where == "forward":
            first = leg.walks.service.filter_mean
        later = 0.0 if self.accepted else leg.walks.established.get(where, Walk()).filter_mean
        yield Hook(f"netfilter.{self.hop}", first, later, tables=tables, sets=self.sets)


FILTERED: Mapping[HookName, Where] = {"forward": "forward", "input": "in", "output": "out"}
"""The hooks with a filter table, and the way through the node that leads there."""
TABLES: Mapping[HookName, int] = {"prerouting": 2, "input": 3, "forward": 2, "output": 3, "postrouting": 2}
"""Tables that a node's packet is shown at each hook: mangle has all five, nat all but FORWARD, filter three (Linux
iptable_mangle.c, iptable_nat.c, iptable_filter.c). The kubelet keeps a canary chain in each of the three, so they are
there whatever the proxy (kubernetes pkg/kubelet/kubelet_network_linux.go, 1.17 and later)."""


@dataclass(frozen=True, slots=True)
class Hook(Plain):
    """One hook: entering its tables, then the service proxy's filter rules (a policy engine's are the policy hop's).

    In front of PREROUTING a packet enters IP anew, which drops its socket (Linux net/ipv4/ip_input.c `ip_rcv_core`);
    crossing a veth keeps it since 4.19 (9c4c325252c5). ``fragments`` of datagrams are ``joined`` in front of it, or
    what does not fit is ``cut`` behind it (`netsim.datapath.fragments`).
    """

    name: str
    first: float = 0.0
    established: float = 0.0
    tables: int = 1
    sets: int = 0
    orphans: bool = False
    fragments: Literal["", "joined", "cut"] = ""

    @property
    def bursts(self) -> Bursts:
        """Fragments become one packet, a packet becomes fragments, or nothing of the kind."""
        return _FRAGMENTS[self.fragments]

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the tables and their rules: cold ones for a connection's first packet, those of chains afterwards."""
        rules = self.first if packet.new else self.established
        entered = self.tables * prices["netfilter.hook"] + self.sets * prices["ipset.lookup"]
        further = prices[_FURTHER[self.fragments]] if self.fragments else 0.0
        once = entered + rules * prices[chain_price(packet.new)]
        return Bill(packet_ns=once - further, segment_ns=further, rules=rules)


_FRAGMENTS: Mapping[str, Bursts] = {"": Bursts.KEEP, "joined": Bursts.WHOLE, "cut": Bursts.SPLIT}
_FURTHER: Mapping[str, str] = {"joined": "fragment.receive", "cut": "fragment.send"}


def chain_price(new: bool) -> str:
    """Return the price of one rule of a proxy's or a policy engine's chains.

    Established packets meet few of them, but each has a comment, which is a match, a mark or a state to compare, and
    often a jump; a list of addresses is cheaper a line (`rule_price`).
    """
    return "rule.first" if new else "rule.chain"


def rule_price(new: bool) -> str:
    """Return the price of one address compared: rarely walked tables are out of cache for first packets."""
    return "rule.first" if new else "rule.established"
