"""Offered load above what a station can carry, told before any clock runs.

A queue that is offered more than it can carry has no steady state: its latency is a matter of how long one looks. The
run goes on all the same, for what overload does is a question of its own; its reader has to know.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netsim.engine.background.backdrop import followed_flows
from netsim.engine.background.sampling import plan
from netsim.engine.network import Network
from netsim.engine.randomness.streams import Streams
from netsim.engine.workload.dns_client import Lookups
from netsim.engine.workload.dns_server import LOCAL_WORKERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from netsim.cluster.cluster import Cluster
    from netsim.cluster.objects import Pod
    from netsim.engine.background.exchanges import What
    from netsim.engine.background.load import Flow
    from netsim.engine.model import Model

TOLD = 5
"""So many overloaded stations are named."""
Loads = dict["What", "NDArray[np.float64]"]
"""Seconds of work a second that a pod's traffic causes, by kind of station and position of the pod."""


class Offer(NamedTuple):
    """Work that traffic brings to a station: seconds of work a second, for each of its servers."""

    station: str
    utilization: float


def overloaded(model: Model) -> tuple[Offer, ...]:
    """Return the stations whose offered load reaches their capacity, the worst of each kind, the worst kind first.

    Closed loops and streams wait for the network, so they offer nothing beforehand. Pods of a workload are alike: the
    worst of them speaks for all.
    """
    streams = Streams(1, 0)
    everyone = replace(model, run=model.run.model_copy(update={"clients": "all"}))
    network = Network(model.cluster, model.datapath, streams, tcp=model.tcp)
    pairs = plan(model, streams).pairs
    flows = followed_flows(network, everyone, plan(everyone, streams), Lookups(network, model.dns), pairs)
    loads = _loads(len(model.cluster.pods), flows)
    worst: dict[str, float] = {}
    for station, load in (*_pods(model, loads), *_nodes(model.cluster, loads)):
        if load >= 1.0:
            worst[station] = max(worst.get(station, 0.0), load)
    return tuple(sorted((Offer(*each) for each in worst.items()), key=lambda offer: -offer.utilization))


def warnings(model: Model) -> tuple[str, ...]:
    """Say which stations are offered more than they can carry."""
    found = overloaded(model)
    said = [
        f"offered load above capacity: {station} gets {load:.0%} of what it can carry; its queue grows all the time"
        for station, load in found[:TOLD]
    ]
    more = [f"{len(found) - TOLD} more kinds of stations are offered more than they can carry"]
    return (*said, *(more if len(found) > TOLD else ()))


def _loads(pods: int, flows: list[Flow]) -> Loads:
    loads: Loads = defaultdict(lambda: np.zeros(pods))
    for flow in flows:
        for (end, what), jobs in flow.jobs.items():
            if end == "target" or not flow.outside:
                members = np.asarray(flow.sources if end == "source" else flow.targets, np.int64)
                work_s = math.fsum(job.service_s * job.per_transaction for job in jobs)
                loads[what][members] += flow.rate_at(end) * work_s
    return loads


def _pods(model: Model, loads: Loads) -> Iterator[tuple[str, float]]:
    """Yield the load of pods above their capacity: the core a pod's thread may use, the workers of a DNS server."""
    workers = 1 if model.dns is None else model.dns.workers
    held = loads["thread"] / np.array([_cores(pod, model.cpu_limits) for pod in model.cluster.pods])
    for name, load in (("the CPU", held), ("a worker", loads["pool"] / workers)):
        for pod in np.flatnonzero(load >= 1.0).tolist():
            each = model.cluster.pods[pod]
            yield f"{name} of {each.namespace}/{each.template.owner or each.name}", float(load[pod])


def _cores(pod: Pod, limited: bool) -> float:
    limit = pod.template.cpu_limit_millis if limited else None
    return 1.0 if not limit else min(1.0, limit / 1000.0)


def _nodes(cluster: Cluster, loads: Loads) -> Iterator[tuple[str, float]]:
    """Yield the load of the busiest node's cores together, and of both directions of its link."""
    node_of = np.fromiter((cluster.node_index[pod.node] for pod in cluster.pods), np.int64, len(cluster.pods))
    cores = np.array([node.machine.cores for node in cluster.nodes])

    def busiest(load: NDArray[np.float64], servers: NDArray[np.int64] | int = 1) -> float:
        return float(np.max(np.bincount(node_of, load, len(cluster.nodes)) / servers))

    yield "all cores of a node", busiest(loads["thread"] + loads["host"] + loads["softirq"] + loads["steered"], cores)
    yield "a node's DNS cache", busiest(loads["local-dns"], LOCAL_WORKERS)
    yield "a node's link, sending", busiest(loads["up"])
    yield "a node's link, receiving", busiest(loads["down"])
