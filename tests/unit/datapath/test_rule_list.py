"""Lists of rules of a host's own: what a walk takes by how the rules match."""

from __future__ import annotations

import pytest

from netsim.datapath.costs import load_profile
from netsim.datapath.rule_list import Match, RuleList, Ruleset
from netsim.datapath.types import Packet

PRICES = load_profile("server").prices()
KNOWN = Packet(first=False, reply=False)


@pytest.mark.parametrize("match", ["address", "port", "multiport"])
def test_a_walk_is_linear_in_rules(match: Match) -> None:
    one, ten = (Ruleset(rules, match, 15).ns(PRICES, "rule.legacy") for rules in (100, 1000))
    assert ten == pytest.approx(10 * one)


def test_more_ports_of_a_rule_are_cheaper_than_more_rules() -> None:
    each, together = Ruleset(150, "port").ns(PRICES, "rule.busy"), Ruleset(10, "multiport", 15).ns(PRICES, "rule.busy")
    assert Ruleset(10, "port").ns(PRICES, "rule.busy") < together < each


def test_a_table_is_entered_once_and_a_program_is_none() -> None:
    empty = RuleList(rules=0).bill(KNOWN, PRICES)
    assert empty.packet_ns == PRICES["netfilter.hook"]
    program = RuleList(match="ebpf").bill(KNOWN, PRICES)
    assert program.packet_ns == PRICES["ebpf.program"] + PRICES["ebpf.lookup"]
    assert RuleList(rules=7).bill(KNOWN, PRICES).rules == 7
