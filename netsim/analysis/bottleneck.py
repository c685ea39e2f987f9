"""What limits a point: the stations by utilisation, the parts of a transaction's time, and what stops a search."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from netsim.analysis.objectives import Judged
from netsim.analysis.trials import Trial
from netsim.stats.estimates import Interval
from netsim.study.bands import band_of
from netsim.study.figures import Figure, find, natural
from netsim.study.outcome import Measured, PartKey
from netsim.study.result import StudyResult
from netsim.study.tabulate import parts_of

LOADED = 0.5
"""Below this utilisation a station queues less than it works: what is slow there is the work itself."""
UNLIMITED_WORKERS = 1024
FAST_LINK = "100Tbit/s"

Kind = Literal["core", "link", "pool", "bucket"]


# ------------------------------------------------------------------------------------------------ utilisation


@dataclass(frozen=True, slots=True)
class StationLoad:
    """One station of a point: share of time it is busy, and how many bursts are there in the mean."""

    name: str
    kind: Kind
    utilization: Interval
    present: Interval


_CORE, _LINK, _BUCKET = re.compile(r"/core\d+$"), re.compile(r"/(up|down)$"), re.compile(r"/(ingress|egress)-rate$")


def station_kind(name: str) -> Kind:
    """Return the kind of a station by its name.

    ``node-3/core0``, ``node-3/up``, ``leaf1/spine0/down``, ``shop/web-0/egress-rate``; everything else is a pool.
    """
    kinds: tuple[tuple[re.Pattern[str], Kind], ...] = ((_CORE, "core"), (_LINK, "link"), (_BUCKET, "bucket"))
    return next((kind for pattern, kind in kinds if pattern.search(name)), "pool")


def station_kind_named(word: str) -> Kind:
    """Return the kind that a word of the tables stands for."""
    kinds: tuple[Kind, ...] = ("core", "link", "bucket")
    return next((kind for kind in kinds if kind == word), "pool")


def station_ranking(figures: Sequence[Figure]) -> tuple[StationLoad, ...]:
    """Return the stations of a point, busiest first, with intervals over replications.

    A replication lists its busiest stations only, and draws anew which core a pod lives on; a station's value is the
    mean over the replications that list it.
    """
    found = []
    for figure in figures:
        if figure.key.scope == "station" and figure.key.metric == "utilization":
            queue = find(figures, "station", figure.key.name, "queue", "mean")
            present = Interval(math.nan, math.nan, math.nan) if queue is None else queue.estimate.interval()
            name = figure.key.name
            found.append(StationLoad(name, station_kind(name), figure.estimate.interval(), present))
    return tuple(sorted(found, key=lambda load: (-load.utilization.value, natural(load.name))))


def utilisation(result: StudyResult, point: int = 0) -> tuple[StationLoad, ...]:
    """Return the stations of one point of a study, busiest first."""
    return station_ranking(result.summaries[point].figures)


# ------------------------------------------------------------------------------------------------ parts of the time


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a transaction's time: seconds with their interval, and its share of the whole."""

    key: PartKey
    seconds: Interval
    share: float


def time_split(
    runs: Iterable[Measured], *, stat: str = "mean", scope: str = "scenario", name: str = ""
) -> tuple[Part, ...]:
    """Return what a transaction's time is made of, the largest part first.

    Parameters
    ----------
    runs: replications of one point. stat: ``mean``, or a quantile: what transactions at ``p99`` spend their time on.
    scope, name: whose transactions, as in the figures.
    """
    parts = parts_of(runs, (scope, name, band_of(stat)))
    total = math.fsum(part.seconds.value for part in parts)
    return tuple(Part(part.key, part.seconds, part.seconds.value / total if total else 0.0) for part in parts)


# ------------------------------------------------------------------------------------------------ what stops a search


@dataclass(frozen=True, slots=True)
class Cause:
    """What stops a search.

    ``kind`` is ``limit`` (a table, an address range, a quota), ``core``, ``link``, ``pool`` or ``bucket`` (a station
    that is busy or drops; the last a pod's bandwidth limit), or ``part`` (no station is busy: this part of a
    transaction takes too long by itself).
    """

    kind: Literal["limit", "core", "link", "pool", "bucket", "part"]
    name: str
    utilization: float | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return the cause as the JSON document has it."""
        return {"kind": self.kind, "name": self.name, "utilization": self.utilization, "text": self.text}


def cause_of(trial: Trial) -> Cause:
    """Return what makes a trial miss its objectives: a hard limit, the station that drops or queues, or a part."""
    if trial.stops:
        stop = trial.stops[0]
        used = None if stop.used is None or not stop.limit else stop.used / stop.limit
        return Cause("limit", stop.name, used, stop.text)
    missed = max(trial.judged, key=lambda item: (item.verdict == "missed", item.strain))
    if missed.objective.metric in ("loss", "failed"):
        dropping = _exhausted(trial.figures) or _dropping(trial.figures)
        if dropping is not None:
            return dropping
    busiest = _busiest(trial.figures)
    if busiest is not None and (trial.overloaded or (busiest.utilization or 0.0) >= LOADED):
        return busiest
    return _slow(missed, trial, busiest)


def _busiest(figures: Sequence[Figure]) -> Cause | None:
    """Return the busiest kind of station, by the mean over replications of its busiest one, with that one's name."""
    kinds = [each for each in figures if each.key[2:4] == ("utilization", "max") and each.key.scope == "scenario"]
    top = max(kinds, key=lambda figure: figure.estimate.value, default=None)
    if top is None:
        return None
    kind, used = station_kind_named(top.key.name), top.estimate.value
    name = next((load.name for load in station_ranking(figures) if load.kind == kind), kind)
    return Cause(kind, name, used, f"{kind} {name} is busy {used:.0%} of the time")


def _exhausted(figures: Sequence[Figure]) -> Cause | None:
    """Return the table that refuses most, under the name of its limit."""
    counts = [each for each in figures if each.key.metric in ("port_refusals", "conntrack_drops")]
    worst = max(counts, key=lambda figure: figure.estimate.value, default=None)
    if worst is None or worst.estimate.value <= 0.0:
        return None
    name = worst.key.name or "conntrack entries"
    return Cause("limit", name, None, f"{name}: {worst.estimate.value:.3g} connections found none left")


def _dropping(figures: Sequence[Figure]) -> Cause | None:
    losses = [each for each in figures if each.key.scope == "station" and each.key.metric == "loss"]
    worst = max(losses, key=lambda figure: figure.estimate.value, default=None)
    if worst is None or worst.estimate.value <= 0.0:
        return None
    name = worst.key.name
    busy = find(figures, "station", name, "utilization", "mean")
    used = None if busy is None else busy.estimate.value
    return Cause(station_kind(name), name, used, f"{name} drops {worst.estimate.value:.2%} of what it is sent")


def _slow(missed: Judged, trial: Trial, busiest: Cause | None) -> Cause:
    used = None if busiest is None else busiest.utilization
    parts = time_split(trial.runs, stat=missed.objective.statistic) or time_split(trial.runs)
    if not parts:
        return Cause("part", missed.figure, used, f"{missed.figure} with no station busy")
    largest = parts[0]
    name = str(largest.key)
    text = f"{name} takes {largest.share:.0%} of {missed.figure}, with no station busier than {used or 0.0:.0%}"
    return Cause("part", name, used, text)


# ------------------------------------------------------------------------------------------------ lifting it


@dataclass(frozen=True, slots=True)
class Lift:
    """How a bottleneck is taken away for a second search: settings, cores without service times, ignored limits."""

    how: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    free_cores: bool = False
    limits: tuple[str, ...] = ()


LIFTED: Mapping[str, Mapping[str, Any]] = {
    "conntrack entries": {"network.conntrack_max": 1 << 40},
    "ephemeral ports per destination": {"network.local_ports": 1 << 40},
    "masquerade ports per destination": {"network.snat_ports": 1 << 40},
}
"""Settings that lift a limit the engine plays out too."""


def lift_of(cause: Cause) -> Lift | None:
    """Return how to take a cause away; `None` for work itself, which no resource shortens."""
    if cause.kind == "limit":
        return Lift(f"with the limit '{cause.name}' lifted", LIFTED.get(cause.name, {}), limits=(cause.name,))
    if cause.kind == "core":
        return Lift("with cores that take no time", free_cores=True)
    if cause.kind == "link":
        settings = {"cluster.machine.nic": FAST_LINK, "cluster.fabric.oversubscription": 1.0}
        return Lift(f"with links of {FAST_LINK} and no oversubscription", settings)
    if cause.kind == "pool":
        return Lift(f"with {UNLIMITED_WORKERS} workers for every DNS replica", {"dns.workers": UNLIMITED_WORKERS})
    return None
