"""Questions about a node that balances load for others: packets a second of all its cores, and what it leaves idle.

All packets come in at one card and leave again, so the cores' number and speed only enter as their product. One row of
the plainest mode gives it; what each mode does to a packet is a line of ``functions.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.calibration.published.bench import Answer, Bench, Cost
from netsim.calibration.published.case import Row
from netsim.calibration.published.packets import function_of
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.setting import Setting


@dataclass(frozen=True, slots=True)
class Balanced:
    """Packets a second that a node forwards to backends elsewhere."""

    kind: str = "balanced"
    calibrates: int = 1

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return one core's time for a packet, at the prices of a flood."""
        prices = bench.prices("flood")
        costs = function_of(setting.but(kind="balancer")).costs
        return Cost(sum(times * prices[key] for key, times in costs.items()) * 1e-9)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return one core's time for a packet."""
        return bench.hardware.cores / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Rows that are not held back by what is offered."""
        offered = row.setting.number("offered_mpps") * 1e6
        return not offered or row.quantity.si < 0.95 * offered

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the rate, at most what is offered."""
        rate, offered = bench.hardware.cores / seconds, setting.number("offered_mpps") * 1e6
        full = bool(offered) and rate >= offered
        return Answer(offered if full else rate, full, "all that is offered" if full else "")


@dataclass(frozen=True, slots=True)
class BalancerIdle(Balanced):
    """Share of a balancing node's cores left idle: what packets, interrupts and polls that find little do not take."""

    calibrates: int = 0

    def informs(self, bench: Bench, row: Row) -> bool:
        """Never: what is left idle holds the interrupts too."""
        return False

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the share; nothing is left of saturated cores, whatever the mode."""
        each = setting.number("offered_mpps") * 1e6 / bench.hardware.cores
        interrupts = min(each * bench.figure("interrupt.poll"), bench.figure("interrupt.share"))
        left = 1 - each * seconds - interrupts
        return Answer(left) if left > 0 else Answer(0.0, True, "saturated")
