"""The CNI firewall plugin's chain: two lines a pod of the node, compared one after another by every forwarded packet.

Source: containernetworking/plugins ``plugins/meta/firewall/iptables.go``: CNI-FORWARD is the first rule of FORWARD, its
own first rule jumps to CNI-ADMIN, and each pod adds ``-d POD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`` and
``-s POD -j ACCEPT``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.netfilter import rule_price
from netsim.datapath.step import Leg, Plain, Tagged
from netsim.datapath.types import Bill, Hop, Packet

JUMPS = 2
"""To CNI-FORWARD, and to CNI-ADMIN in it."""
LINES_PER_POD = 2


@dataclass(frozen=True, slots=True)
class FirewallChain(Tagged):
    """The chain's place in a leg; ``to_pod`` where the packet comes from another node."""

    hop: Literal["cni_firewall"] = "cni_firewall"
    to_pod: bool = False

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the chain with the lines of an average node."""
        lines = LINES_PER_POD * leg.pods
        accepted = JUMPS + (lines + 1) / 2
        yield FirewallWalk(JUMPS + lines if self.to_pod and not leg.reply else accepted, accepted)


@dataclass(frozen=True, slots=True)
class FirewallWalk(Plain):
    """A walk of the chain: to its end by a new connection to a pod, else to the pod's own line, on average half way."""

    first: float
    established: float
    name: str = "netfilter.cni_firewall"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the lines compared."""
        rules = self.first if packet.new else self.established
        return Bill(packet_ns=rules * prices[rule_price(packet.new)], rules=rules)
