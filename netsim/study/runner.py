"""One replication of one point, by the engine: what every worker of a study runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.cluster.faults import Fault, faults_of
from netsim.cluster.objects import Note
from netsim.cluster.traffic import traffic_of
from netsim.datapath.build import Stamp, cluster_of, datapath_of, impossible, input_stamp
from netsim.datapath.datapath import Datapath
from netsim.datapath.limits import Reason
from netsim.datapath.mtu import between_nodes
from netsim.datapath.programming import programming
from netsim.engine.kernel.ports import REUSE_S, TIME_WAIT_S, PortSettings
from netsim.engine.measuring.measures import Scalar
from netsim.engine.model import Convergence, Model
from netsim.engine.overload import warnings
from netsim.engine.queueing.grid import on_grid
from netsim.engine.run import Replication, run_replication
from netsim.engine.transport.congestion import CongestionControl, Cubic, Reno
from netsim.engine.transport.tcp import TcpSettings
from netsim.scenario import build
from netsim.scenario.spec import NetworkSpec, Scenario
from netsim.scenario.tcp import TcpSpec
from netsim.study.bands import Breakdown, part_times
from netsim.study.outcome import Edge, HopTime, Impossible, Measured, PartKey, PartTime
from netsim.study.selection import STANDARD_QUANTILES, quantiles_of
from netsim.study.settle import Settled, settled


def run_point(
    scenario: Scenario, *, seed: int, replication: int, free_cores: bool = False, lifted: tuple[str, ...] = ()
) -> Measured | Impossible:
    """Run one replication; a combination or size that cannot exist is an answer.

    ``free_cores`` and ``lifted`` (names of limits) take bottlenecks away, for the question what comes next.

    Raises
    ------
    InputError: the scenario names what does not exist.
    EngineError: the run broke conservation or Little's law.
    """
    reasons = [reason for reason in reasons_against(scenario) if (reason.limit_name or reason.text) not in lifted]
    if reasons:
        return Impossible("; ".join(dict.fromkeys(reason.text for reason in reasons)))
    model, notes = model_of(scenario)
    if free_cores:
        model = replace(model, free_cores=True)
    found = run_replication(model, seed=seed, replication=replication)
    return measured(
        found,
        warmup=scenario.run.warmup,
        quantiles=quantiles_of(scenario),
        notes=tuple(_told(note) for note in notes),
    )


def reasons_against(scenario: Scenario) -> tuple[Reason, ...]:
    """Return why the scenario cannot exist, worked out once a point. Raises `InputError`."""
    document = json.dumps(scenario.document, sort_keys=True, default=str)
    return _reasons(document, scenario.directory, scenario.file, input_stamp(scenario))


@lru_cache(maxsize=1)
def _reasons(document: str, directory: Path, file: str, stamp: Stamp) -> tuple[Reason, ...]:
    return impossible(build(json.loads(document), directory=directory, file=file))


def model_of(scenario: Scenario) -> tuple[Model, tuple[Note, ...]]:
    """Return the engine's model of a scenario that can exist, and what was assumed. Raises `InputError`."""
    document = json.dumps(scenario.document, sort_keys=True, default=str)
    with scenario.origin.placing():
        return _model(document, scenario.directory, scenario.file, input_stamp(scenario))


@lru_cache(maxsize=1)
def _model(document: str, directory: Path, file: str, stamp: Stamp) -> tuple[Model, tuple[Note, ...]]:
    # replications of a point follow each other: keeping one model saves compiling its paths again
    scenario = build(json.loads(document), directory=directory, file=file)
    cluster = cluster_of(scenario)
    edges, inferred = traffic_of(cluster, scenario)
    datapath = datapath_of(scenario)
    faults = faults_of(cluster, scenario.faults)
    model = Model(
        cluster, datapath, edges, dns=None if scenario.dns.lookups == "none" else scenario.dns, run=scenario.run,
        tcp=_tcp(scenario.network.tcp), conntrack_max=scenario.network.conntrack_max, ports=_ports(scenario.network),
        cpu_limits=scenario.cluster.cpu_limits, neighbours_max=scenario.network.neighbours_max,
        faults=faults, convergence=_convergence(scenario, datapath, faults) if faults else Convergence(),
    )  # fmt: skip
    load = (Note("overload", text, "warning") for text in warnings(model))
    return model, (*cluster.notes, *inferred, *datapath.notes, *_black_holes(datapath), *load)


def _black_holes(datapath: Datapath) -> Iterator[Note]:
    """Tell, once, that full-sized packets between nodes are lost."""
    nodes = datapath.cluster.nodes
    sizes = between_nodes(datapath.plugin, datapath.mtu, nodes) if len(nodes) > 1 else ()
    yield from islice((Note("mtu", each.warning, "warning") for each in sizes if each.black_hole), 1)


def _ports(spec: NetworkSpec) -> PortSettings:
    return PortSettings(spec.local_ports, spec.snat_ports, REUSE_S if spec.tcp_tw_reuse else TIME_WAIT_S)


_CONGESTION: Mapping[str, type[CongestionControl]] = {"cubic": Cubic, "reno": Reno}


def _tcp(spec: TcpSpec) -> TcpSettings:
    return TcpSettings(
        initial_window=spec.initial_window, receive_window_bytes=spec.receive_window,
        send_buffer_bytes=spec.send_buffer, small_queue_bytes=spec.small_queue,
        minimum_rto_s=on_grid(spec.rto_min), syn_retries=spec.syn_retries, congestion=_CONGESTION[spec.congestion],
    )  # fmt: skip


def _convergence(scenario: Scenario, datapath: Datapath, faults: Sequence[Fault]) -> Convergence:
    """Return how news of the faults travel, by the pace of the scenario's proxy."""
    cluster, stated = datapath.cluster, scenario.convergence
    gone = {cluster.pods[pod].key for fault in faults for pod in fault.pods}
    changed = [s.key for s in cluster.services if any(each.pod in gone for each in cluster.endpoints(s.key))]
    node = cluster.nodes[0].name if cluster.nodes else ""
    pace = programming(cluster, datapath.proxy, changed, datapath.prices_on(node))
    return Convergence(
        stated.node_grace, stated.node_check, stated.lease_renewal, stated.container_check, stated.readiness_period,
        stated.propagation, pace.min_sync_s if stated.min_sync is None else stated.min_sync,
        pace.sync_s if stated.sync is None else stated.sync,
    )  # fmt: skip


def _told(note: Note) -> str:
    return f"warning: {note.text}" if note.level == "warning" else note.text


def measured(
    found: Replication,
    *,
    warmup: float | str = "auto",
    quantiles: Sequence[float] = STANDARD_QUANTILES,
    notes: tuple[str, ...] = (),
) -> Measured:
    """Return a replication as the study keeps it, without the transactions that started in its warm-up.

    ``warmup`` is in seconds, or ``"auto"``: the start at which latencies have settled.
    """
    edges = tuple(Edge(edge.name, edge.service, edge.top, edge.counted) for edge in found.edges)
    if isinstance(warmup, str):
        latency_s = found.times["latency"]
        # a fault is no warm-up: the start is judged by what was over before it
        before = found.start_s + latency_s < found.undisturbed_s
        start = settled(edges, found.edge[before], found.start_s[before], latency_s[before])
    else:
        start = Settled(warmup, ())
    kept = found.start_s >= start.since_s
    times = {metric: values[kept] for metric, values in found.times.items()}
    top = np.isin(found.edge, [index for index, edge in enumerate(edges) if edge.top])
    users = int(np.count_nonzero(top))
    events = Scalar("scenario", "", "events", "mean", found.events / max(1, users), "1", users)
    return Measured(
        edges=edges,
        edge=found.edge[kept],
        start_s=found.start_s[kept],
        times=times,
        parts=_parts(found, kept, edges, quantiles),
        scalars=(*found.scalars, events),
        hops=tuple(HopTime(*hop) for hop in found.hops),
        notes=(*notes, *found.notes, *start.notes),
    )


def _parts(
    found: Replication, recorded: NDArray[np.bool_], edges: Sequence[Edge], quantiles: Sequence[float]
) -> tuple[PartTime, ...]:
    """Return where the latency went of the transactions that are ``recorded``: those behind the warm-up."""
    kept = found.kept
    if kept is None:
        return ()
    chosen = recorded[kept.rows]
    place = np.cumsum(recorded) - 1
    breakdown = Breakdown(
        tuple(PartKey(phase, *part) for phase, part in kept.parts), place[kept.rows[chosen]], kept.seconds[chosen],
        kept.weights[chosen],
    )  # fmt: skip
    times = {metric: values[recorded] for metric, values in found.times.items()}
    return part_times(breakdown, edges=edges, edge=found.edge[recorded], times=times, quantiles=quantiles)
