"""Offered load above what a station can carry, told before any clock runs.

A queue that is offered more than it can carry has no steady state: its latency is a matter of how long one looks. The
run goes on all the same, for what overload does is a question of its own; its reader has to know.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from netsim.engine.backdrop import followed_flows, presence
from netsim.engine.dns_client import Lookups
from netsim.engine.network import Network
from netsim.engine.sampling import plan
from netsim.engine.streams import Streams

if TYPE_CHECKING:
    from netsim.engine.backdrop import Presence
    from netsim.engine.load import Flow, Job, What
    from netsim.engine.model import Model

TOLD = 5
"""So many overloaded stations are named."""


class Offer(NamedTuple):
    """Work that traffic brings to a station: seconds of work a second, for each of its servers."""

    station: str
    utilization: float


def overloaded(model: Model) -> tuple[Offer, ...]:
    """Return the stations whose offered load reaches their capacity, the worst first, by kind of station.

    Closed loops and streams wait for the network, so they offer nothing beforehand. Pods of a workload are alike: the
    worst of them speaks for all.
    """
    streams = Streams(1, 0)
    everyone = replace(model, run=model.run.model_copy(update={"clients": "all"}))
    network = Network(model.cluster, model.datapath, streams, tcp=model.tcp)
    lookups = Lookups(network, model.dns)
    flows = followed_flows(network, everyone, plan(everyone, streams), lookups)
    worst: dict[str, float] = {}
    for offer in (*_threads(model, flows), *_nodes(network, flows)):
        worst[offer.station] = max(worst.get(offer.station, 0.0), offer.utilization)
    above = [Offer(station, value) for station, value in worst.items() if value >= 1.0]
    return tuple(sorted(above, key=lambda offer: -offer.utilization))


def warnings(model: Model) -> tuple[str, ...]:
    """Say which stations are offered more than they can carry."""
    found = overloaded(model)
    said = [
        f"offered load above capacity: {station} gets {value:.0%} of what it can carry; its queue grows all the time"
        for station, value in found[:TOLD]
    ]
    more = [f"{len(found) - TOLD} more kinds of stations are offered more than they can carry"]
    return (*said, *(more if len(found) > TOLD else ()))


def _threads(model: Model, flows: list[Flow]) -> Iterator[Offer]:
    """Yield the load of every workload's pods: a pod's thread runs on one core, a DNS server's queries on its own."""
    of_pod: dict[tuple[What, int], list[float]] = defaultdict(list)
    for flow in flows:
        for (end, what), jobs in flow.jobs.items():
            if what in ("thread", "pool") and not (end == "source" and flow.outside):
                workers = model.dns.workers if what == "pool" and model.dns else 1
                busy = flow.rate_at(end) * _work(jobs) / workers
                for pod in flow.sources if end == "source" else flow.targets:
                    if isinstance(pod, int):
                        of_pod[what, pod].append(busy)
    for (what, pod), loads in of_pod.items():
        each = model.cluster.pods[pod]
        name = f"{each.namespace}/{each.template.owner or each.name}"
        yield Offer(f"a {'worker' if what == 'pool' else 'core'} of {name}", math.fsum(loads))


def _nodes(network: Network, flows: list[Flow]) -> Iterator[Offer]:
    """Yield the load of every node's cores together and of both directions of its link."""
    for node, here in presence(network, flows).items():
        each = network.cluster.nodes[node]
        cores = (_load(here, "thread") + _load(here, "softirq")) / each.machine.cores
        yield Offer(f"all cores of a node ({each.machine.cores} cores)", cores)
        yield Offer("a node's link, sending", _load(here, "up"))
        yield Offer("a node's link, receiving", _load(here, "down"))


def _load(here: list[Presence], what: What) -> float:
    return math.fsum(len(pods) * flow.rate_at(end) * _work(flow.jobs.get((end, what), ())) for flow, end, pods in here)


def _work(jobs: Sequence[Job]) -> float:
    return math.fsum(job.service_s * job.per_transaction for job in jobs)
