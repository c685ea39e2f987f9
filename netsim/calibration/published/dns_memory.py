"""Questions about the memory of a DNS server: what it watches, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.syncing import SERVED, services_of_pods
from netsim.errors import InputError, Place


class Watched(NamedTuple):
    """Objects of a cluster that a server may keep."""

    services: float
    endpoints: float
    pods: float


def _watched(setting: Setting) -> Watched:
    """Return what there is: as stated, else pods and Services in the proportion of the scalability tests' load.

    The sums of Scaling_CoreDNS are that load's on 500, 2,000 and 5,000 nodes (15,000 pods and 820 Services, ...).
    """
    pods, services = setting.number("pods"), setting.number("services")
    if "pods_plus_services" in setting:
        pods = setting.number("pods_plus_services") / (1.0 + services_of_pods(1.0))
        services = services_of_pods(pods)
    each = services * setting.number("endpoints_per_service") if "endpoints_per_service" in setting else SERVED * pods
    return Watched(services, setting.number("endpoints", each), pods)


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a DNS server that watches Services and endpoints, and with verified pods every pod."""

    kind: str = "memory"
    calibrates: int = 0

    def _model(self, bench: Bench, setting: Setting) -> float:
        if not {"pods_plus_services", "pods", "services"} & setting.values.keys():
            raise InputError("memory of what is watched needs its number", place=Place(field="configuration.services"))
        watched = _watched(setting)
        kept = watched.services * bench.figure("dns.service_bytes")
        kept += watched.endpoints * bench.figure("dns.endpoint_bytes")
        if "on" in setting.text("autopath") or "verified" in setting.text("pods"):
            kept += watched.pods * bench.figure("dns.pod_bytes")
        cached = CACHE_ENTRIES * bench.figure("dns.cached_bytes") if setting.text("cache") == "full" else 0.0
        return bench.figure("dns.base_bytes") + kept + cached

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return bytes, as waiting: no machine makes them fewer."""
        return Cost(0.0, self._model(bench, setting))

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return bytes."""
        return row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return bytes; an empty server is the baseline again."""
        again = not sum(_watched(setting)) and setting.text("cache") != "full" and any(bench.baselines(self.kind))
        return Answer(seconds, again, "nothing watched" if again else "")


CACHE_ENTRIES = 2 * 9984
"""Answers and denials that CoreDNS keeps by default (plugin cache: 9984 of each)."""
