"""Questions about lists of rules that somebody else wrote: what a packet's walk costs, and what a server's list leaves.

How rows state lists is read in `netsim.calibration.published.rulesets`.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost
from netsim.calibration.published.rulesets import ruleset_of
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.transport import host_cpu


@dataclass(frozen=True, slots=True)
class Traversal:
    """Time or cycles of one packet's walk through a list that is out of cache, as for any rare packet.

    What the probe that sees it takes is the baseline row's, and no part of it the list's.
    """

    kind: str = "traversal"
    calibrates: int = 0
    rest_is_apart: bool = True

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the walk."""
        share = 0.5 if "half" in setting.text("traversal", "full") else 1.0
        return Cost(share * ruleset_of(setting).ns(bench.prices(), "rule.first") * 1e-9)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time."""
        return row.quantity.si / (_hertz(bench) if row.quantity.dimension == "count" else 1.0)

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the time, or its cycles."""
        return Answer(seconds * (_hertz(bench) if dimension == "count" else 1.0))


def _hertz(bench: Bench) -> float:
    return (bench.hardware.clock_ghz or bench.profile.clock_ghz) * 1e9


@dataclass(frozen=True, slots=True)
class Accepted:
    """Connections a server accepts behind a list of rules that every packet it receives walks.

    The walk is softirq's, on the core that the card's queue wakes; the list stays in the last-level cache.

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
        ruleset_of(setting)  # refuses what is none; its walk is on the way of every packet to the server
        return host_cpu(bench, bare, "connection", "server")

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time between two connections."""
        return self.over_s / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the number of connections."""
        return Answer(self.over_s / seconds)
