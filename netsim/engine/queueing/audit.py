"""Every run checks itself: conservation and Little's law at every station.

Arrivals and departures are booked by different code at different times (see `netsim.engine.queueing.stations`). What
arrived must have left or still be there, waiting or as a pending event, and the time integral of the number present,
kept by departures as the clock saw them, must equal the sum of the sojourns that stations promised.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum
from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Burst

if TYPE_CHECKING:
    from netsim.engine.queueing.clock import Clock
    from netsim.engine.queueing.stations import Station


class EngineError(Exception):
    """The engine broke one of its own laws: a defect of netsim, never of the input."""


def audit(clock: Clock, stations: Iterable[Station]) -> int:
    """Check all stations at the end of a run; return how many were checked.

    Raises
    ------
    EngineError: bursts vanished or appeared, or Little's law does not hold, at a named station.
    """
    inside: dict[int, list[float]] = {}
    for time, event in clock.pending():
        if isinstance(event, Burst):
            inside.setdefault(id(event.station), []).append(time)
    now = float(clock.now)
    checked = 0
    for station in stations:
        leaving = inside.get(id(station), [])
        present = len(leaving) + station.settle(now)
        if station.arrived != station.left + present:
            raise EngineError(
                f"{station.name}: {station.arrived} bursts arrived, {station.left} left, {present} are inside"
            )
        occupancy = station.occupancy_s + fsum(leaving)
        # times are exact; only their sums round, by at most an ulp of the sum for every addition
        horizon = max(now, *leaving) if leaving else now
        tolerance = 2.0**-50 * (horizon + 1.0) * (station.arrived + 1.0) ** 2 + 1e-12
        if abs(occupancy - station.sojourn_s) > min(tolerance, 1e-6 * (station.sojourn_s + 1.0)):
            raise EngineError(
                f"{station.name}: Little's law is broken: the number present integrates to {occupancy:.9f} s, sojourns "
                f"add up to {station.sojourn_s:.9f} s over {station.arrived} bursts"
            )
        checked += 1
    return checked
