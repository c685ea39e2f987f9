"""Questions about lists of rules that somebody else wrote: what a packet's walk costs, and what a server's list leaves.

A list is ``rules`` lines that match by ``match``: ``address``, ``port``, ``multiport`` (``ports`` of them each) or
``ipset``; ``ruleset`` says the same in words (``300 multiport rules = 4500 ports``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from netsim.calibration.published.bench import Answer, Bench, Cost
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.transport import PACKETS_OF_CONNECTION, host_cpu
from netsim.datapath.costs import Prices
from netsim.errors import InputError, Place

MATCHES = ("ipset", "multiport", "port", "address")
"""Ways to match; the first that a list's words hold is meant."""


class Ruleset(NamedTuple):
    """A list of rules, and of how many ports each tells."""

    rules: float
    match: str = "address"
    ports: float = 1.0

    def seconds(self, prices: Prices, rule: str) -> float:
        """Return the time to walk all of it.

        Parameters
        ----------
        prices: of one machine.
        rule: figure for one rule's comparison of an address: ``rule.first``, ``rule.busy`` or ``rule.established``.
        """
        port = prices["rule.port_match"]
        each = {
            "address": 0.0,
            "port": port,
            "multiport": port + (self.ports - 1) * prices["rule.ports"],
            "ipset": prices["ipset.lookup"],
        }[self.match]
        return self.rules * (prices[rule] + each) * 1e-9


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
        match = next((kind for kind in MATCHES if kind in words), "address")
        return Ruleset(float(rules[1]), match, float(ports[1]) / max(1.0, float(rules[1])) if ports else 1.0)
    if "rules" not in setting:
        raise InputError("the configuration does not say how many", place=Place(field="configuration.rules"))
    match = setting.text("match", "address")
    if match not in MATCHES:
        raise InputError("no such match", place=Place(field="configuration.match"), got=match,
                         allowed=", ".join(MATCHES))  # fmt: skip
    return Ruleset(setting.number("rules"), match, setting.number("ports", 1.0))


@dataclass(frozen=True, slots=True)
class Traversal:
    """Time or cycles of one packet's walk through a list that is out of cache, as for any rare packet.

    What the probe that sees it takes is the baseline row's.
    """

    kind: str = "traversal"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the walk."""
        share = 0.5 if "half" in setting.text("traversal", "full") else 1.0
        return Cost(share * ruleset_of(setting).seconds(bench.prices(), "rule.first"))

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time."""
        return row.quantity.si / (_hertz(bench) if row.quantity.dimension == "count" else 1.0)

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the time, or its cycles."""
        return Answer(seconds * (_hertz(bench) if dimension == "count" else 1.0))


NFT_BACKEND = (4, 18)
"""Kernel of the first distributions whose iptables is nft's (Red Hat 8; Debian 10 has 4.19)."""


def _hertz(bench: Bench) -> float:
    return (bench.hardware.clock_ghz or bench.profile.clock_ghz) * 1e9


@dataclass(frozen=True, slots=True)
class Accepted:
    """Connections a server accepts behind a list of rules that every packet it receives walks.

    The walk is softirq's, on the core that the card's queue wakes; the list stays in the last-level cache.
    Distributions with kernels before 4.18 had the legacy back-end of iptables alone, whose rules lie in one piece.

    Parameters
    ----------
    over_s: time the connections are counted for; 1 for a rate.
    """

    over_s: float = 1.0
    kind: str = "accepted"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the server's work for one connection."""
        bare = setting.but(cni=setting.text("cni", "none"), path=setting.text("path", "host-host"))
        kernel = bench.hardware.kernel_version
        legacy = "legacy" in setting.text("backend") or (kernel is not None and kernel < NFT_BACKEND)
        walk = ruleset_of(setting).seconds(bench.prices(), "rule.legacy" if legacy else "rule.busy")
        return host_cpu(bench, bare, "connection", "server").plus(Cost(PACKETS_OF_CONNECTION / 2 * walk))

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time between two connections."""
        return self.over_s / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the number of connections."""
        return Answer(self.over_s / seconds)
