"""The time grid: every time in the engine is a multiple of 2⁻³⁸ s (3.6 ps).

A float holds such multiples exactly up to 2¹⁵ s (nine hours), so adding times never rounds: the order of additions does
not matter, and a value computed ahead, in a batch or event by event is the same to the last bit. Durations are rounded
once, where they enter the engine (prices of bursts, draws), never afterwards.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TICKS_PER_S = 2.0**38
TICK_S = 2.0**-38
HORIZON_S = 2.0**15
"""No run may last longer: beyond it a float cannot hold every multiple of the tick."""


def on_grid(duration_s: float) -> float:
    """Round a duration to the grid, halves up."""
    return floor(duration_s * TICKS_PER_S + 0.5) * TICK_S


def array_on_grid(durations_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round an array to the grid, the same way as `on_grid`."""
    import numpy as np

    return np.floor(durations_s * TICKS_PER_S + 0.5) * TICK_S
