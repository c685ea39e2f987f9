"""What bursts pay at the stations of a tariff, told apart by part: the constant share of their time on the way.

All bursts of one tariff and size pay the same, so a trace is read by counting fares; what a fare consists of is worked
out when the run is over, for many sizes at once. Seconds on the time grid: a station's total is split by what its hops
bill, rounded to the grid, and the rounding goes to the largest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netsim.datapath.types import LINK_ROLES, Bill, Pass, Role
from netsim.engine.pricing import PAUSE, Tariff
from netsim.engine.queueing.grid import array_on_grid
from netsim.engine.queueing.tracing import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NS = 1e-9
_ENDS = {
    Role.SENDER_CORE: ("client-core", "server-core"),
    Role.SENDER_LINK: ("client-uplink", "server-uplink"),
    Role.RECEIVER_LINK: ("server-downlink", "client-downlink"),
    Role.SOFTIRQ_CORE: ("server-softirq", "client-softirq"),
    Role.STEERED_CORE: ("server-steered", "client-steered"),
    Role.RECEIVER_CORE: ("server-core", "client-core"),
}
"""Names of the stations at the two ends: on the way to the server, and back."""

Shares = Mapping[Part, float]


def station_name(role: Role, reply: bool) -> str:
    """Return what a station is called in a part: ``client-core``, ``server-softirq``, ``leaf-up``."""
    return _ENDS[role][reply] if role in _ENDS else role.name.lower().replace("_", "-")


class Stop(NamedTuple):
    """A station of a tariff.

    ``links`` says that it forwards packet by packet. ``folded`` and ``bills`` are its pass and what its hops bill;
    `None` and those of the station before where only the latency behind that one passes.
    """

    name: str
    links: bool
    folded: Pass | None
    bills: tuple[tuple[str, Bill], ...]

    @property
    def setup(self) -> dict[Part, float]:
        """Shares of the hops in the set-up of an idle station."""
        return {Part("wake-up", name): bill.setup_ns for name, bill in self.bills if bill.setup_ns}

    @property
    def scan(self) -> dict[Part, float]:
        """Shares of the hops in the walk of the list of Services."""
        return {Part("work", name): bill.scan_ns for name, bill in self.bills if bill.scan_ns}

    @property
    def latency(self) -> dict[Part, float]:
        """Shares of the hops in what passes behind the station."""
        return {Part("propagation", name): bill.latency_ns for name, bill in self.bills if bill.latency_ns}


def stops_of(tariff: Tariff) -> tuple[Stop, ...]:
    """Return the stations of a tariff, as bursts visit them."""
    route, reply = tariff.route, tariff.reply
    stops: list[Stop] = []
    number = 0
    for each in tariff.stops:
        if each == PAUSE:
            stops.append(Stop("pause", False, None, stops[-1].bills))
            continue
        bills = tuple((name, bill) for name, index, bill in route.hops if index == number)
        folded = route.passes[number]
        links = folded.pipelined and folded.role is not Role.BORDER
        stops.append(Stop(station_name(folded.role, reply), links, folded, bills))
        number += 1
    return tuple(stops)


def fares(tariff: Tariff, sizes: Sequence[int], upto: int) -> tuple[list[Part], Floats]:
    """Return the parts of what bursts of some sizes pay at the first ``upto`` stations: seconds, a row a size."""
    number = np.array(sizes, dtype=np.float64)
    segments = np.array([tariff.segments(size) for size in sizes], dtype=np.float64)
    found: dict[Part, Floats] = {}
    stops = stops_of(tariff)
    for index, stop in enumerate(stops[:upto]):
        behind = stops[index + 1] if index + 1 < len(stops) else None
        before = stops[index - 1] if index else None
        for part, seconds in _at(stop, before, behind, number, segments):
            found[part] = found[part] + seconds if part in found else seconds
    return list(found), np.stack(list(found.values()), axis=1) if found else np.zeros((len(sizes), 0))


def _at(
    stop: Stop, before: Stop | None, behind: Stop | None, sizes: Floats, segments: Floats
) -> list[tuple[Part, Floats]]:
    """Return the parts of what is paid at one station; as `netsim.engine.pricing.Tariff.named` has it."""
    folded = stop.folded
    ones = np.ones(len(sizes))
    if folded is None:
        assert before is not None
        return _latency(before, ones, stop.name)
    service = array_on_grid(folded.fixed_s + folded.byte_s * sizes + folded.segment_s * segments)
    if not stop.links:
        thread = folded.role in (Role.SENDER_CORE, Role.RECEIVER_CORE)
        work = _work(stop, folded, sizes, segments)
        return [*_split(service, work, Part("work", stop.name)), *([] if thread else _latency(stop, ones, stop.name))]
    whole = behind is None or not behind.links
    packet = np.where(segments == 1, service, np.minimum(service, array_on_grid(folded.packet_s * ones)))
    lead = before is not None and not before.links and before.folded is not None and _is_thread(before.folded.role)
    parts = [(Part("transmission", stop.name), service if whole else packet), *_latency(stop, ones, stop.name)]
    return [*(_latency(before, ones, stop.name) if lead and before is not None else []), *parts]


def _is_thread(role: Role) -> bool:
    return role in (Role.SENDER_CORE, Role.RECEIVER_CORE)


def _work(stop: Stop, folded: Pass, sizes: Floats, segments: Floats) -> dict[Part, Floats]:
    """Return what every hop bills; a station that is no core transmits."""
    found: dict[Part, Floats] = {}
    for name, bill in stop.bills:
        own = bill.packet_ns + bill.byte_ns * sizes + bill.segment_ns * segments
        if own.any():
            part = Part("transmission", stop.name) if folded.role in LINK_ROLES else Part("work", name)
            found[part] = found[part] + own if part in found else own
    return found


def _latency(stop: Stop, ones: Floats, name: str) -> list[tuple[Part, Floats]]:
    folded = stop.folded
    if folded is None or not folded.latency_s:
        return []
    shares = {part: each * ones for part, each in stop.latency.items()}
    return _split(array_on_grid(folded.latency_s * ones), shares, Part("propagation", name))


def _split(total: Floats, weights: Mapping[Part, Floats], otherwise: Part) -> list[tuple[Part, Floats]]:
    """Split durations by weights, all on the grid; what rounding leaves goes to the part that is largest in sum."""
    if not total.any():
        return []
    if not weights:
        return [(otherwise, total)]
    sums = sum(weights.values())
    found = {part: array_on_grid(total * each / np.where(sums == 0.0, 1.0, sums)) for part, each in weights.items()}
    largest = max(found, key=lambda part: float(found[part].sum()))
    found[largest] = found[largest] + (total - sum(found.values()))
    return list(found.items())


def split(total: Floats, weights: Shares) -> list[tuple[Part, Floats]]:
    """Split durations by constant weights."""
    ones = np.ones(len(total))
    return _split(total, {part: each * ones for part, each in weights.items()}, next(iter(weights)))
