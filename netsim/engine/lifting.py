"""Cores that take no time: for the question what would limit a network next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.engine.queueing.stations import Core, CoreCharge

if TYPE_CHECKING:
    from netsim.engine.places import Site, StationMaker
    from netsim.engine.queueing.burst import Burst
    from netsim.engine.queueing.stations import Station


class FreeCore(Core):
    """A core that serves everything at once; time that passes elsewhere (devices, moderation) still does."""

    __slots__ = ()

    def softirq(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a burst in interrupt context."""
        _, _, after_s, limit_s, _ = charge
        return super().softirq(burst, now, CoreCharge(0.0, 0.0, after_s, limit_s))

    def thread(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a burst in a thread."""
        _, _, after_s, limit_s, _ = charge
        return super().thread(burst, now, CoreCharge(0.0, 0.0, after_s, limit_s))


def with_free_cores(make: StationMaker) -> StationMaker:
    """Return a maker of stations whose cores are free; other stations are made as before."""

    def made(site: Site, name: str) -> Station:
        station: Station = FreeCore(name) if site.what == "core" else make(site, name)
        return station

    return made
