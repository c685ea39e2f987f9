"""Times below what a measuring tool resolves: it sorts them into buckets and reads percentiles off along a line.

Where all times are within the first bucket, whose lower end is 0, a percentile is that share of the bucket, whatever
the network does: the same for Prometheus (``histogram_quantile``) and for fortio.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import baselines
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.steady import rate_of, waited_more
from netsim.calibration.published.transport import Connection, RoundTrip
from netsim.errors import InputError, Place
from netsim.units import seconds as seconds_in

RESOLUTIONS_S = {"fortio": 1e-3}
"""First bucket of a tool by its name (fortio: ``-r``)."""


def resolution_of(setting: Setting) -> float:
    """Return the width of the first bucket, 0 for a tool that keeps the times themselves.

    Raises
    ------
    InputError
        When ``resolution`` is no time.
    """
    if "resolution" in setting:
        try:
            return seconds_in(setting.text("resolution"))
        except InputError as error:
            raise error.at(Place(field="configuration.resolution")) from None
    return next((width for tool, width in RESOLUTIONS_S.items() if tool in setting.text("tool").lower()), 0.0)


@dataclass(frozen=True, slots=True)
class RequestTime(RoundTrip):
    """A request and its answer, below saturation, as a tool reads it out; on a connection of its own or a kept one."""

    family: str = "http"

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the round trip's.

        Raises
        ------
        InputError
            When the resolution is none, or neither a tool's nor a baseline row say anything of the server's work.
        """
        told = any("http" in row.metric.lower() or rate_of(row.setting) for row in baselines(bench.case))
        if not resolution_of(setting) and not told:
            raise InputError("no baseline row says what the server does for a request", place=Place(field="metric"))
        return _exchange(setting).cost(bench, setting)

    def asleep(self, bench: Bench, setting: Setting) -> float:
        """Return what wakes up on the ways that the client waits for."""
        return _exchange(setting).asleep(bench, setting)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the time, or its share of the tool's first bucket."""
        seconds += waited_more(bench, self, setting)
        found = RoundTrip.answer(self, bench, setting, seconds, dimension)
        width = resolution_of(setting)
        if dimension != "time" or found.value >= width:
            return found
        return Answer(self.percentile * width, True, "the tool's first bucket")


def _exchange(setting: Setting) -> RoundTrip:
    return Connection() if setting.text("keepalive", "on") == "off" else RoundTrip()
