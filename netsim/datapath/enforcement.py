"""Policy enforcement as a hop: the walk that `netsim.datapath.policy` counts, priced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.netfilter import chain_price
from netsim.datapath.step import Leg, Plain, PolicyWalks, Tagged
from netsim.datapath.types import Bill, Hop, Packet


@dataclass(frozen=True, slots=True)
class Policy(Tagged):
    """The place of the policy engine in a leg."""

    hop: Literal["policy"] = "policy"

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the engine's walk at this end, if there is an engine."""
        if leg.policy is not None:
            yield Enforcement(leg.policy)


@dataclass(frozen=True, slots=True)
class Enforcement(Plain):
    """One direction of one pod."""

    walks: PolicyWalks
    name: str = "policy"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge lines, ipset and map probes and compiled rules.

        An upcall happens when no flow in the kernel's cache fits yet; another core works on it, so it is delay.
        """
        walk = self.walks.first if packet.first else self.walks.later
        work = (
            walk.rules * prices[chain_price(packet.first)]
            + walk.port_matches * prices["rule.port_match"]
            + walk.ipset_lookups * prices["ipset.lookup"]
            + walk.program_rules * prices["ebpf.rule"]
            + walk.map_lookups * prices["ebpf.lookup"]
        )
        aside = prices["ovs.upcall"] + walk.flow_lookups * prices["ovs.table"] if walk.upcall else 0.0
        return Bill(packet_ns=work, rules=walk.rules, latency_ns=aside * prices["ovs.miss"])
