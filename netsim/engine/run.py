"""One replication: from a `Model` to samples."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import TYPE_CHECKING

from netsim.engine.background.backdrop import Backdrop, Tracked, followed_flows
from netsim.engine.background.hungry import hungry_flows
from netsim.engine.background.sampling import Plan, plan
from netsim.engine.faults import Faults
from netsim.engine.kernel.bad_cables import damage_cables
from netsim.engine.kernel.moderation import moderate
from netsim.engine.kernel.neighbours import Neighbours
from netsim.engine.kernel.ports import Ports
from netsim.engine.kernel.qdisc import queue_before_cards
from netsim.engine.kernel.quotas import Quotas
from netsim.engine.kernel.shaping import Shapers
from netsim.engine.lifting import with_free_cores
from netsim.engine.measuring.hops import HopTime, hop_times
from netsim.engine.measuring.keeper import Kept, keep_parts, kept_parts
from netsim.engine.measuring.measures import Scalar, measure_stations, measure_traffic
from netsim.engine.measuring.probes import EdgeRecord, gather
from netsim.engine.measuring.stalls import stall_figures
from netsim.engine.network import Network
from netsim.engine.queueing.audit import audit
from netsim.engine.queueing.grid import HORIZON_S, on_grid
from netsim.engine.randomness.streams import Streams
from netsim.engine.workload.dns_client import Lookups
from netsim.engine.workload.traffic import Traffic, start_traffic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from netsim.engine.background.load import Flow
    from netsim.engine.model import Model

GRACE_S = 10.0
"""How long a run goes on after the last arrival, so that slow transactions are not cut off."""


@dataclass(frozen=True, slots=True)
class EdgeInfo:
    """An edge of the results: ``top`` is False for calls that servers make, ``counted`` as in `Plan`."""

    name: str
    service: str
    top: bool
    counted: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Replication:
    """What one replication measured.

    Parameters
    ----------
    edges: the edges, top-level ones and the calls they cause.
    edge: index into ``edges`` of every recorded transaction, in order of start (ties: of the edges).
    start_s: when each began.
    times: ``latency``, ``dns``, ``connect`` and ``request`` of each in seconds, `nan` for a phase it did not have.
    scalars: figures that are one number a replication.
    hops: work per hop and transaction.
    kept: where the latency of some transactions went, `None` where that was not wanted.
    duration_s: for how long clients sent.
    events: bursts served by stations.
    notes: what a reader must know.
    undisturbed_s: when the first fault happens.
    """

    edges: tuple[EdgeInfo, ...]
    edge: NDArray[np.int32]
    start_s: NDArray[np.float64]
    times: dict[str, NDArray[np.float64]]
    scalars: tuple[Scalar, ...]
    duration_s: float
    events: int
    notes: tuple[str, ...] = ()
    hops: tuple[HopTime, ...] = ()
    kept: Kept | None = None
    undisturbed_s: float = inf


def run_replication(model: Model, *, seed: int = 1, replication: int = 0, parts: bool = True) -> Replication:
    """Run one replication of a model.

    The same model, seed and replication give the same arrays to the last bit on any machine. ``parts`` keeps where the
    latency of some transactions went (`netsim.engine.measuring.keeper`); nothing else depends on it.

    Raises
    ------
    EngineError: the run broke conservation or Little's law (a defect of netsim).
    InputError: the run would be longer than the time grid can hold.
    """
    # the model stands still: the collector need not look through it, again and again, while the run makes its garbage
    gc.freeze()
    try:
        return _run(model, Streams(seed, replication), parts=parts)
    finally:
        gc.unfreeze()


def _run(model: Model, streams: Streams, *, parts: bool) -> Replication:
    chosen = plan(model, streams)
    network, traffic = prepare(model, streams, chosen, parts=parts)
    clock = network.clock
    duration = on_grid(min(chosen.duration_s, HORIZON_S - GRACE_S))
    clock.run(until=duration)
    traffic.stop(duration)
    stations = measure_stations(network)
    if clock.peek() <= duration + GRACE_S:
        clock.run(until=duration + GRACE_S)
    audit(clock, network.stations())
    return _collect(model, network, traffic, chosen, stations)


def prepare(model: Model, streams: Streams, chosen: Plan, *, parts: bool = False) -> tuple[Network, Traffic]:
    """Build the network of a replication and start its clients."""
    network = Network(model.cluster, model.datapath, streams, tcp=model.tcp, conntrack_max=model.conntrack_max)
    lookups = Lookups(network, model.dns)
    flows = cache(lambda: followed_flows(network, model, chosen, lookups))
    horizon_s = network.conntrack.horizon_s = chosen.duration_s + GRACE_S
    network.conntrack.settled = Tracked(network, flows)
    hungry = cache(lambda: hungry_flows(network, model, chosen, lookups))
    network.ports = Ports(
        model.cluster, model.ports, flows, hungry, streams.uniform("ports"), at_socket=model.datapath.proxy == "ebpf",
        horizon_s=horizon_s,
    )  # fmt: skip
    network.shapers = shapers = Shapers.over(model.cluster, model.datapath.plugin)
    if shapers is not None:
        shapers.followed, shapers.hungry = flows, hungry
    if model.cpu_limits:
        network.quotas = Quotas.over(model.cluster, lambda pod: streams.hash("quota", pod) * 2.0**-64)
    unseen: list[Flow] = []
    if not chosen.whole:
        backdrop = Backdrop(network, model, chosen, lookups)
        unseen = backdrop.flows
        if shapers is not None:
            shapers.unseen = backdrop.flows
        if network.quotas is not None:
            network.quotas.unseen = backdrop.flows
        network.places.make, network.conntrack.background = backdrop.make, backdrop.tracked
    if model.neighbours_max is not None:
        network.neighbours = Neighbours(
            model.cluster, model.datapath.plugin, model.neighbours_max, cache(lambda: [*flows(), *unseen]),
            streams.uniform("neighbours"),
        )  # fmt: skip
    if model.faults:
        Faults(network, model.faults, model.convergence, lookups)
    if model.cluster.fabric.loss > 0.0:
        network.places.fit.append(damage_cables(model.cluster.fabric.loss, streams))
    network.places.fit.append(moderate(model.datapath.prices_on))
    network.places.fit.append(queue_before_cards(clock=network.clock, stations=network.extra))
    if model.free_cores:
        network.places.make = with_free_cores(network.places.make)
    traffic = start_traffic(network, model, chosen, lookups)
    if parts:
        keep_parts(network.clock, streams, [record for record, _, _ in traffic.records()])
    return network, traffic


def _collect(
    model: Model, network: Network, traffic: Traffic, chosen: Plan, stations: tuple[Scalar, ...]
) -> Replication:
    records = [record for record, _, _ in traffic.records()]
    infos = tuple(
        EdgeInfo(record.label, service, top, counted)
        for performer, counted in zip(traffic.performers, chosen.counted, strict=True)
        for record, service, top in performer.records()
    )
    network_notes = [*_full_tables(network), *_no_neighbours(network), *_no_ports(network), *_stalls(network)]
    notes = [chosen.describe(model.edges), *_complaints(records), *network_notes, *_one_queue(model, chosen)]
    if network.faults is not None:
        stations = (*stations, *network.faults.figures())
        notes += network.faults.notes(chosen.duration_s, sampled=not chosen.whole)
    scalars = (*measure_traffic(traffic, chosen, model.edges), *stations, *stall_figures(traffic, chosen.counted))
    samples = gather(records)
    return Replication(
        infos, samples.edge, samples.start_s, samples.times, scalars, chosen.duration_s,
        sum(station.arrived for station in network.stations()), tuple(notes),
        hop_times(network, model, chosen, traffic.lookups), kept_parts(records, samples.order),
        min((fault.at_s for fault in model.faults), default=inf),
    )  # fmt: skip


def _one_queue(model: Model, chosen: Plan) -> list[str]:
    if chosen.whole or all(node.machine.qdisc == "unlimited" for node in model.cluster.nodes):
        return []
    return [
        "queueing disciplines: links that also carry clients' traffic nobody follows have one queue without end "
        "(run.clients: all follows everybody)"
    ]


def _full_tables(network: Network) -> list[str]:
    full = [table for _, table in sorted(network.conntrack.tables.items()) if table.dropped]
    if not full:
        return []
    worst = max(full, key=lambda table: table.dropped)
    return [
        f"warning: conntrack tables full on {len(full)} nodes: new connections are dropped; on {worst.name} "
        f"{worst.dropped} with a limit of {worst.limit}"
    ]


def _no_neighbours(network: Network) -> list[str]:
    tables = {} if network.neighbours is None else network.neighbours.tables
    full = [table for _, table in sorted(tables.items()) if table is not None and table.dropped]
    if not full:
        return []
    worst = max(full, key=lambda table: table.dropped)
    return [
        f"warning: neighbour tables overflow on {len(full)} nodes: {worst.name} wants {worst.wanted:.0f} entries, may "
        f"have {worst.limit} and dropped {worst.dropped} packets"
    ]


def _no_ports(network: Network) -> list[str]:
    return [
        f"warning: no {kind} left: {found[0].name} was refused {found[0].dropped} times with {found[0].limit} ports"
        + (f", {len(found) - 1} more such pairs" if len(found) > 1 else "")
        for kind, found in (network.ports.exhausted() if network.ports is not None else ())
    ]


def _stalls(network: Network) -> list[str]:
    quotas = {} if network.quotas is None else network.quotas.quotas
    stalled = [(quota.stalled_s, pod) for pod, quota in quotas.items() if quota is not None and quota.stalls]
    if not stalled:
        return []
    seconds, pod = max(stalled)
    return [
        f"CPU limits stalled {len(stalled)} pods, {network.cluster.pods[pod].key} for {seconds:.3g} s in all "
        "(cluster.cpu_limits: false leaves limits out)"
    ]


def _complaints(records: list[EdgeRecord]) -> list[str]:
    notes = []
    for record in records:
        for reason, count in sorted(record.failures.items()):
            notes.append(f"{record.label}: {count} of {record.started} transactions failed ({reason})")
        if record.unfinished:
            notes.append(f"{record.label}: {record.unfinished} of {record.started} transactions were unfinished")
    return notes
