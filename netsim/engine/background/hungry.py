"""Traffic that takes what it gets: streams, and closed loops, whose rate follows from how fast they are answered.

Nobody knows a closed loop's rate beforehand. What is known is that it asks again no sooner than its pause and an answer
that waits for nobody allow: a rate that it may come near and never exceed. Tables that fill over minutes start by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import fsum
from typing import TYPE_CHECKING

from netsim.datapath.parties import ExternalParty
from netsim.engine.background.exchanges import Exchange, tariff_of
from netsim.engine.background.load import Flow, LoadModel

if TYPE_CHECKING:
    from netsim.cluster.traffic import Edge
    from netsim.engine.background.sampling import Plan
    from netsim.engine.model import Model
    from netsim.engine.network import Network
    from netsim.engine.workload.dns_client import Lookups


def hungry_flows(network: Network, model: Model, chosen: Plan, lookups: Lookups) -> list[Flow]:
    """Return the flows of streams and closed loops, those of loops with the most they may ask a second."""
    load = LoadModel(network, lookups, chosen.pairs)
    return [
        flow
        for edge in model.edges
        if edge.closed is not None or edge.kind == "stream"
        for flow in _flows(edge, load)
    ]


def _flows(edge: Edge, load: LoadModel) -> Iterator[Flow]:
    found = list(load.flows(edge, (ExternalParty(),) if edge.external else edge.clients))
    if edge.closed is None:  # a stream opens one connection and keeps it
        yield from (replace(flow, rate_per_s=0.0) for flow in found)
        return
    if not found:
        return
    most = edge.closed.concurrency / (edge.closed.think.mean + unloaded_s(found[0].exchange))
    for flow in found:
        yield replace(flow, rate_per_s=flow.rate_per_s * most / edge.rate_per_s)


def unloaded_s(exchange: Exchange) -> float:
    """Return the mean time to the end of the answer where nobody waits for anybody, in seconds."""
    work_s = fsum(duration_s * share for duration_s, share in exchange.work)
    last = max(index for index, packet in enumerate(exchange.packets) if packet.size)
    total = []
    for kind, _ in exchange.kinds:
        there: list[float] = []
        for packet in exchange.packets[: last + 1]:
            sent_s = 0.0 if packet.after is None or packet.after < 0 else there[packet.after]
            arrived_s = sent_s + tariff_of(kind, packet).unloaded_s(packet.size)
            there.append(arrived_s + work_s * packet.works)
        total.append(there[-1])
    return fsum(total) / len(total)
