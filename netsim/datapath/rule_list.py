"""Lists of rules that a host's administrator wrote, or a filter's one look-up instead: what a packet's walk takes.

A proxy's and a policy engine's rules are the model's own (`netsim.cluster.service_rules`); of these lists only the
number of rules is known, and how they match. No rule but the last one fits, so a packet is compared with all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet

Match = Literal["ipset", "map", "ebpf", "multiport", "port", "address"]
MATCHES: tuple[Match, ...] = get_args(Match)
"""Ways to match; the first that a list's words hold is meant."""


class Ruleset(NamedTuple):
    """A list of rules, and of how many ports each tells."""

    rules: float
    match: Match = "address"
    ports: float = 1.0

    def ns(self, prices: Prices, rule: str) -> float:
        """Return the time to walk all of it.

        Parameters
        ----------
        prices: of one machine.
        rule: figure for one rule's comparison of an address: ``rule.first``, ``rule.busy``, ``rule.legacy`` or
            ``rule.established``; a program of its own (``ebpf``) is no rule.
        """
        if self.match == "ebpf":
            return self.rules * (prices["ebpf.program"] + prices["ebpf.lookup"])
        port = prices["rule.port_match"]
        each = {
            "address": 0.0,
            "port": port,
            "multiport": port + (self.ports - 1) * prices["rule.ports"],
            "ipset": prices["ipset.lookup"],
            "map": prices["map.lookup"],
        }[self.match]
        return self.rules * (prices[rule] + each)


@dataclass(frozen=True, slots=True)
class RuleList(Everywhere):
    """The table of such a list on a packet's way: entered once for each buffer, then walked.

    A leg of a plugin may list it (``{hop: rules, rules: 500, match: port}``).
    """

    hop: Literal["rules"] = "rules"
    rules: float = 1.0
    match: Match = "address"
    ports: float = 1.0
    price: Literal["rule.established", "rule.busy", "rule.legacy", "rule.first"] = "rule.established"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "rules.list"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the table and all its rules, whether the packet's connection is known or not."""
        entered = 0.0 if self.match == "ebpf" else prices["netfilter.hook"]
        walked = Ruleset(self.rules, self.match, self.ports).ns(prices, self.price)
        return Bill(packet_ns=entered + walked, rules=self.rules)
