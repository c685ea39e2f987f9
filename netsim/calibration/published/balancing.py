"""Questions about a node under a packet generator, as load balancer or as filter: packets a second of all its cores.

All packets come in at one card, so the cores' number and speed only enter as their product. One row of the plainest
mode gives it; what each mode does to a packet is a line of ``functions.yaml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.packets import function_of, idle_share
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost
from netsim.calibration.published.rulesets import list_of
from netsim.calibration.published.setting import Setting
from netsim.datapath.types import Packet

_KNOWN = Packet(first=False, reply=False)
SMALLEST_BITS = 84 * 8
"""Of an Ethernet frame on the wire, preamble and gap included."""


@dataclass(frozen=True, slots=True)
class Balanced:
    """Packets a second that a node deals with: forwards to backends elsewhere, drops, or lets through a list of rules.

    ``what`` is ``balancer``, ``filter`` or ``filter-forward``, the word before the mode's own in ``functions.yaml``.
    """

    what: str = "balancer"
    kind: str = "balanced"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return one core's time for a packet, at the prices of a flood."""
        prices = bench.prices("flood")
        costs = function_of(setting.but(kind=self.what)).costs
        ns = math.fsum(times * prices[key] for key, times in costs.items())
        if "rule.established" in costs:  # it stands for a list, of one rule where the row does not say how many
            listed = list_of(setting if "rules" in setting else setting.but(rules="1"), bench.hardware)
            ns += listed.bill(_KNOWN, prices).packet_ns if listed is not None else 0.0
            ns -= prices["netfilter.hook"] + prices["rule.established"]
        return Cost(ns * 1e-9)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return one core's time for a packet."""
        return self._cores(bench, row.setting) / row.quantity.si

    @staticmethod
    def _cores(bench: Bench, setting: Setting) -> int:
        """Return how many cores share the work: as stated, else all of the node's."""
        return setting.count("cores", bench.hardware.cores)

    def informs(self, bench: Bench, row: Row) -> bool:
        """Never by itself: how much slower the node is depends on how many cores it has, so only ratios count."""
        return False

    def busy_s(self, bench: Bench, setting: Setting, seconds: float) -> float:
        """Return the node's time for a packet: the model's, scaled by the baseline row that nothing held back."""
        cores = self._cores(bench, setting)
        for row, question in bench.baselines(self.kind):
            offered = row.setting.number("offered_mpps") * 1e6
            if not offered or row.quantity.si < HELD_BACK * offered:
                modelled = bench.factor * question.cost(bench, row.setting).work
                bench.note(f"rate of a core over the model's, by cores ({row.id})", modelled * row.quantity.si, row.id)
                return seconds / modelled / row.quantity.si * self._cores(bench, row.setting) / cores
        return seconds / cores

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the rate, at most what is offered and what the line carries."""
        line = bench.testbed.machine.nic_bps / SMALLEST_BITS
        rate, most = 1.0 / self.busy_s(bench, setting, seconds), min(setting.number("offered_mpps") * 1e6 or line, line)
        full = rate >= most
        return Answer(most if full else rate, full, "all that is offered" if full else "")


HELD_BACK = 0.95
"""A rate above this share of what is offered may be the generator's, not the node's."""


@dataclass(frozen=True, slots=True)
class BalancerIdle(Balanced):
    """Share of a balancing node's cores left idle: what packets, interrupts and polls that find little do not take."""

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the share; nothing is left of saturated cores, whatever the mode."""
        cores = self._cores(bench, setting)
        rate = setting.number("offered_mpps") * 1e6 / cores
        left = idle_share(bench, rate, self.busy_s(bench, setting, seconds) * cores)
        return Answer(left, not left, "" if left else "saturated")
