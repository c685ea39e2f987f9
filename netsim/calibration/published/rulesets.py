"""Lists of rules of a published row: somebody's own, which packets of its connections walk beside what a plugin has.

A list is ``rules`` lines that match by ``match``: ``address``, ``port``, ``multiport`` (``ports`` of them each) or
``ipset``; ``ruleset`` says the same in words (``300 multiport rules = 4500 ports``), and ``filter`` by what means
(``iptables``, ``ipset``, ``nftables``, ``tc-bpf``): a set or a program looks an address up once, however many it has.
``chain`` is where it is: ``INPUT`` of the server unless it says ``OUTPUT`` (egress of the client) or ``FORWARD``.
"""

from __future__ import annotations

import re
from typing import Literal

from netsim.calibration.published.hardware import Hardware
from netsim.calibration.published.setting import Setting
from netsim.datapath.rule_list import MATCHES, Match, RuleList, Ruleset
from netsim.errors import InputError, Place

Chain = Literal["input", "forward", "output"]


def ruleset_of(setting: Setting) -> Ruleset:
    """Return the list a row states.

    Raises
    ------
    InputError
        When it does not say how many rules, or how they match.
    """
    if "ruleset" in setting:
        words = setting.text("ruleset").lower()
        rules, ports = re.search(r"(\d+)\D*rule", words), re.search(r"(\d+) ports", words)
        if rules is None:
            raise InputError("does not say how many rules", place=Place(field="configuration.ruleset"), got=words)
        match = next((kind for kind in MATCHES if kind in words), MATCHES[-1])
        return Ruleset(float(rules[1]), match, float(ports[1]) / max(1.0, float(rules[1])) if ports else 1.0)
    if "rules" not in setting:
        raise InputError("the configuration does not say how many", place=Place(field="configuration.rules"))
    stated = setting.text("match", MATCHES[-1])
    known = next((kind for kind in MATCHES if kind == stated), None)
    if known is None:
        raise InputError("no such match", place=Place(field="configuration.match"), got=stated,
                         allowed=", ".join(MATCHES))  # fmt: skip
    return Ruleset(setting.number("rules"), known, setting.number("ports", 1.0))


NO_FILTER = re.compile(r"none|no|off|baseline|0|")
SETS: tuple[tuple[str, Match], ...] = (("ipset", "ipset"), (r"(nft|nftables).*(set|map)", "map"), ("bpf|xdp", "ebpf"))
"""Filters whose number of entries is no number of rules: one look-up finds any."""
NFT_BACKEND = (4, 18)
"""Kernel of the first distributions whose iptables is nft's (Red Hat 8; Debian 10 has 4.19)."""


def rule_of(setting: Setting, hardware: Hardware) -> Literal["rule.legacy", "rule.busy"]:
    """Return the figure of one rule that every packet walks: a legacy table's lie in one piece, the others' do not."""
    kernel, words = hardware.kernel_version, f"{setting.text('backend')} {setting.text('filter')}".lower()
    if "legacy" in words:
        return "rule.legacy"
    return "rule.legacy" if kernel is not None and kernel < NFT_BACKEND and "nft" not in words else "rule.busy"


def list_of(setting: Setting, hardware: Hardware) -> RuleList | None:
    """Return the list that the packets of a row's connections walk, ``None`` where there is none."""
    words = setting.text("filter").lower()
    if "entries" in setting and "rules" not in setting and words:
        setting = setting.but(rules=setting.text("entries"))
    if not ({"rules", "ruleset"} & setting.values.keys()) or (words and NO_FILTER.fullmatch(words)):
        return None
    match = next((match for pattern, match in SETS if re.search(pattern, words)), None)
    listed = Ruleset(1.0, match) if match is not None else ruleset_of(setting)
    if not (listed.rules and setting.number("rules", 1.0)):
        return None
    return RuleList("rules", *listed, rule_of(setting, hardware))


def chain_of(setting: Setting) -> Chain:
    """Return where a row's list is walked."""
    words = f"{setting.text('chain')} {setting.text('direction')}".lower()
    return "output" if re.search("output|egress", words) else "forward" if "forward" in words else "input"
