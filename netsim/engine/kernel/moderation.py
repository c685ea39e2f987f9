"""Adaptive interrupt moderation: a card that brings much work holds its interrupts back.

By default an idle core is woken as the round trips of quiet hosts have it (`interrupt.latency`). A card whose driver
adapts (Linux lib/dim/net_dim.c, ``ethtool -C adaptive-rx on``) steps up with the load of its queue, and every interrupt
of a busy one comes that much later (`netsim.datapath.nic.held_back_ns`). The load is what the core's interrupts have
taken of the last millisecond or more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netsim.datapath.nic import held_back_ns
from netsim.engine.queueing.grid import on_grid

if TYPE_CHECKING:
    from netsim.datapath.costs import Prices
    from netsim.engine.places import Place
    from netsim.engine.queueing.burst import Burst, Leg
    from netsim.engine.queueing.stations import Station

WINDOW_S = 1e-3


class Moderation:
    """The interrupts of a core as a leg, later the busier they keep it.

    Parameters
    ----------
    core: the core.
    leg: its interrupts.
    prices: those of its node.
    """

    __slots__ = ("_before_s", "_core", "_held_s", "_leg", "_prices", "_since_s")

    def __init__(self, core: Station, leg: Leg, prices: Prices) -> None:
        self._core, self._leg, self._prices = core, leg, prices
        self._since_s = self._before_s = self._held_s = 0.0

    def softirq(self, burst: Burst, now: float, charge: Any) -> float | None:
        """Serve a burst; one that finds the core idle has waited for its interrupt."""
        core = self._core
        core.catch_up(now)
        span_s = now - self._since_s
        if span_s >= WINDOW_S:
            work_s = core.ahead_s
            self._held_s = on_grid(held_back_ns((work_s - self._before_s) / span_s, self._prices) * 1e-9)
            self._since_s, self._before_s = now, work_s
        if core.free_s <= now:
            service, setup, *rest = charge
            charge = (service, setup + self._held_s, *rest)
        return self._leg(burst, now, charge)


def moderate(prices_on: Callable[[str], Prices]) -> Callable[[Place], None]:
    """Return what makes the cards of new places moderate their interrupts, where the machine's do."""

    def fit(place: Place) -> None:
        if place.machine.moderation != "adaptive":
            return
        dress, prices = place.dress, prices_on(place.name)

        def dressed(core: Any) -> tuple[Leg, Leg]:
            thread, softirq = dress(core)
            return thread, Moderation(core, softirq, prices).softirq

        place.dress = dressed

    return fit
