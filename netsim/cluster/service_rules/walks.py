"""How many rules a packet is compared with, and how many hash look-ups are made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["forward", "out", "in"]
"""Through the node, out of the node's own stack, or into it. The outer packets of a tunnel go out and in: where the
node's conntrack tracks them, a new outer flow walks the rules of both directions."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Rules evaluated for one packet on one node, in the mean over Services' positions and backends and at worst.

    ``lookups`` counts probes of hash tables (ipset, nftables set or map, IPVS table, eBPF map), the same whatever their
    size. ``filter_*`` are the filter rules of the service proxy alone, before those of a policy engine.
    """

    nat_mean: float = 0.0
    nat_worst: int = 0
    filter_mean: float = 0.0
    filter_worst: int = 0
    lookups: int = 0

    def to_dict(self) -> dict[str, float]:
        """Return the four counts of the **rules** document."""
        return {
            "nat_mean": self.nat_mean,
            "nat_worst": self.nat_worst,
            "filter_mean": self.filter_mean,
            "filter_worst": self.filter_worst,
        }


@dataclass(frozen=True, slots=True)
class WalkModel:
    """The nat walk of a first packet, taken apart where chance enters.

    The rules met are ``before + position + affinity_rules + backend + after``: ``position`` is the place of the
    Service's line in a list of ``list_length`` lines, uniform and new at every full sync (the order is that of a Go
    map); ``backend`` is the place of the chosen endpoint among ``endpoints`` that are tried one after the other,
    uniform for every connection. Both count from 1. Modes that look services up in a hash table have lists of length 0.
    """

    list_length: int = 0
    before: int = 0
    after: int = 0
    endpoints: int = 0
    affinity: bool = False
    filter_mean: float = 0.0
    filter_worst: int = 0
    lookups: int = 0
    bucket: float = 0.0
    """Mean entries of the hash table's row that a Service is looked for in, where rows are lists of any length."""

    @property
    def affinity_rules(self) -> int:
        """``-m recent --rcheck`` lines, all of which a new client fails."""
        return self.endpoints if self.affinity else 0

    @property
    def fixed(self) -> int:
        """Rules met whatever the draw."""
        return self.before + self.affinity_rules + self.after

    def nat(self, position: int = 0, backend: int = 0) -> int:
        """Return the nat rules met at a drawn position and backend (1-based; 0 where the list is empty)."""
        return self.fixed + position + backend

    @property
    def mean(self) -> float:
        """Expected nat rules."""
        return self.fixed + _middle(self.list_length) + _middle(self.endpoints)

    @property
    def worst(self) -> int:
        """Nat rules when the Service's line and the endpoint's are the last ones."""
        return self.nat(self.list_length, self.endpoints)

    @property
    def walk(self) -> Walk:
        """The same as mean and worst."""
        return Walk(self.mean, self.worst, self.filter_mean, self.filter_worst, self.lookups)


def _middle(length: int) -> float:
    """Mean of a uniform draw from 1 to ``length``; 0 for an empty list."""
    return (length + 1) / 2 if length else 0.0
