"""What nobody states of a testbed, as one draw of the costs has it: what cards do for tunnels, credits spent."""

from __future__ import annotations

import math
from collections.abc import Mapping

from netsim.calibration.published.hardware import Hardware, Tunnels

UNUSUAL = 2.0
"""From how many times the usual on, up or down, a draw of a thing that nobody states is the unusual one."""


def tunnels(hardware: Hardware, drawn: Mapping[str, float]) -> Tunnels | None:
    """Return what cards of which nothing is said do for packets in tunnels; `None` for the usual thing."""
    share = drawn.get("tunnel.unstated", 1.0)
    wanted: tuple[Tunnels, ...] = ("whole",) if share > UNUSUAL else ("cut", "unmerged") if share < 1 / UNUSUAL else ()
    return next((each for each in wanted if each in hardware.tunnels), None)


def without_credits(hardware: Hardware, spent: float) -> float:
    """Return how much longer work takes on a burstable instance that is busy and may have spent its credits.

    Providers lower its share of a processor gradually to the one it always has, and nobody states how far a test was.

    Parameters
    ----------
    spent: 0 for a whole processor, 1 for the share it always has.
    """
    return math.pow(hardware.credits, -spent)
