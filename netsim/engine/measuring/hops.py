"""Work per hop: recovered from what a transaction sends and what each hop of its routes bills.

No clock is needed for it: a hop's work depends on the burst, not on who else is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netsim.datapath.datapath import ExternalParty
from netsim.engine.background.exchanges import Exchange, sent
from netsim.engine.background.load import LoadModel

if TYPE_CHECKING:
    from netsim.engine.background.sampling import Plan
    from netsim.engine.model import Model
    from netsim.engine.network import Network
    from netsim.engine.pricing import Tariff
    from netsim.engine.workload.dns_client import Lookups

_NS = 1e-9


class HopTime(NamedTuple):
    """Mean work of one hop per transaction of an edge.

    ``station`` is the role of the station that does it; ``seconds`` its work, ``crossings`` how often it is met,
    ``rules`` how many rules it walks.
    """

    edge: str
    hop: str
    station: str
    seconds: float
    crossings: float
    rules: float


def hop_times(network: Network, model: Model, chosen: Plan, lookups: Lookups) -> tuple[HopTime, ...]:
    """Return the work of every hop per transaction of every followed edge, nested calls and look-ups included."""
    load = LoadModel(network, lookups, chosen.pairs)
    sums: dict[tuple[str, str, str], list[float]] = {}
    for edge, share in zip(model.edges, chosen.share, strict=True):
        if share == 0.0:
            continue
        sources = (ExternalParty(),) if edge.external else edge.clients
        seen: set[tuple[str, bool]] = set()  # flows to the instances of a repeated application are alike
        for flow in load.flows(edge, sources):
            query = flow.name.endswith("/dns")
            if (flow.label, query) in seen:
                continue
            seen.add((flow.label, query))
            for (hop, station), found in _work(flow.exchange).items():
                known = sums.setdefault((flow.label, hop, station), [0.0, 0.0, 0.0])
                for index, value in enumerate(found):
                    known[index] += value
    return tuple(HopTime(label, hop, station, *values) for (label, hop, station), values in sums.items())


def _work(exchange: Exchange) -> dict[tuple[str, str], list[float]]:
    """Return (seconds, crossings, rules) by hop and station of one transaction, averaged over the kinds."""
    found: dict[tuple[str, str], list[float]] = {}
    share = 1.0 / len(exchange.kinds)
    for kind, position in exchange.kinds:
        for tariff, size, number in sent(exchange, kind):
            for place, fixed_ns, scan_ns, rules in _bills(tariff, size):
                known = found.get(place)
                if known is None:
                    known = found[place] = [0.0, 0.0, 0.0]
                known[0] += (fixed_ns + scan_ns * position) * _NS * number * share
                known[1] += number * share
                known[2] += rules * number * share
    return found


def _bills(tariff: Tariff, size: int) -> list[tuple[tuple[str, str], float, float, float]]:
    """Return what every hop bills a burst: (hop, station), ns, ns for the whole service list, rules."""
    key = "bills", size
    known: list[tuple[tuple[str, str], float, float, float]] | None = tariff.memo.get(key)
    if known is None:
        segments, passes = tariff.segments(size), tariff.route.passes
        known = tariff.memo[key] = [
            (
                (name, passes[index].role.name.lower().replace("_", "-")),
                bill.packet_ns + bill.byte_ns * size + bill.segment_ns * segments, bill.scan_ns, bill.rules,
            )
            for name, index, bill in tariff.route.hops
        ]  # fmt: skip
    return known
