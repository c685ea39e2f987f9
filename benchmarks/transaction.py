"""A full transaction on netsim's engine, and the same with a SimPy process per burst and a Resource per station.

DNS, connect, request, response and close through a Service with policies and an overlay. Both run the same clients,
resolver, TCP and prices; only how bursts meet stations differs, so the samples must be equal.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from heapq import heappush
from typing import Any

import numpy as np
import simpy

from netsim.engine.backends import Backends
from netsim.engine.background.sampling import Plan
from netsim.engine.kernel.sockets import Socket
from netsim.engine.model import Model
from netsim.engine.network import Network
from netsim.engine.places import Site
from netsim.engine.queueing.burst import Burst
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Core, CoreCharge, Delay, Link, LinkCharge, Pool, Station
from netsim.engine.randomness.streams import Streams
from netsim.engine.run import prepare
from netsim.scenario import build
from netsim.study.runner import model_of

URGENT, RUNNING, WAITING = 0, 1, 2


def scenario(nodes: int) -> Model:
    """Return the model of a cluster with an overlay, policies and a Service that a fixed number of pods call."""
    document = {
        "name": "transaction",
        "cluster": {"synthetic": {"nodes": nodes, "pods_per_node": 10, "services": 2 * nodes, "policies": 8}},
        "network": {"plugin": "calico-vxlan", "conntrack_max": 100_000_000},
        "traffic": [{"from": "all", "to": "ns-2/service-12", "rate": "40/s", "response": "8KiB", "work": "20us"}],
    }
    model, _ = model_of(build(document))
    edge = model.edges[0]
    allowed = [client for client in edge.clients[:: max(1, len(edge.clients) // 400)] if _reaches(model, client)]
    if not allowed:
        raise LookupError("policies let nobody call the Service")
    return replace(model, edges=(replace(edge, clients=tuple(allowed[:100])),))


def _reaches(model: Model, client: int) -> bool:
    """Tell whether policies let a client resolve names and call the Service."""
    call = model.edges[0].call
    assert call is not None
    backends = Backends(model.cluster)
    dns = model.cluster.services_by_key[model.cluster.dns_service]
    asked = ((call.service, call.port.name, call.port.port, "TCP"), (dns, dns.ports[0].name, 53, "UDP"))
    return all(
        model.datapath.routes(client, target, protocol=protocol, port=port, service=(service.key, port)).verdict
        == "ALLOW"
        for service, name, port, protocol in asked
        for target in backends.of(service, name, None)
    )


@dataclass(frozen=True)
class Outcome:
    """What a run yields: latencies in order of completion, CPU time, bursts served."""

    latency: np.ndarray
    seconds: float
    events: int


def run(model: Model, duration_s: float, dress: Callable[[Network], None], *, parts: bool = False) -> Outcome:
    """Run a model, as `netsim.engine.run.run_replication` does, on stations that ``dress`` may replace.

    ``parts`` keeps where the latency of some transactions went, which every run of a scenario does.
    """
    chosen = Plan(duration_s, (model.edges[0].clients,), (1.0,), (1.0,), (1.0,))
    gc.freeze()
    try:
        network, traffic = prepare(model, Streams(1), chosen, parts=parts)
        dress(network)
        began = time.process_time()
        network.clock.run(until=duration_s + 1.0)
        seconds = time.process_time() - began
    finally:
        gc.unfreeze()
    record = traffic.records()[0][0]
    return Outcome(record.column("latency"), seconds, sum(station.arrived for station in network.stations()))


def fast(model: Model, duration_s: float, *, parts: bool = False) -> Outcome:
    """Run on the engine's stations."""
    return run(model, duration_s, lambda network: None, parts=parts)


def naive(model: Model, duration_s: float) -> Outcome:
    """Run with a process per burst."""

    def dress(network: Network) -> None:
        network.places.make = lambda site, name: _make(network.clock, site, name)

    return run(model, duration_s, dress)


# ------------------------------------------------------------------------------------------------ naive stations


class NaiveCore(Core):
    """A core as a preemptive resource."""

    __slots__ = ("last", "resource")

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__(name)
        self.resource = simpy.PreemptiveResource(clock, 1)

    def softirq(self, burst: Burst, now: float, charge: CoreCharge) -> None:
        """Start a process that takes the burst all its way."""
        burst.clock.process(_travel(burst))

    def thread(self, burst: Burst, now: float, charge: CoreCharge) -> None:
        """Start a process that takes the burst all its way."""
        burst.clock.process(_travel(burst, RUNNING if self.book.current_s == now else WAITING))


class NaiveLink(Link):
    """A link as a resource."""

    __slots__ = ("resource",)

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__(name)
        self.resource = simpy.Resource(clock, 1)


class NaivePool(Pool):
    """Workers as a resource."""

    __slots__ = ("resource",)

    def __init__(self, clock: Clock, workers: int, name: str) -> None:
        super().__init__(workers, name)
        self.resource = simpy.Resource(clock, workers)

    def serve(self, burst: Burst, now: float, charge: CoreCharge) -> None:
        """Start a process that takes the burst all its way."""
        burst.clock.process(_travel(burst))


def _make(clock: Clock, site: Site, name: str) -> Station:
    if site.what == "core":
        return NaiveCore(clock, name)
    return NaivePool(clock, site.number, name) if site.what == "pool" else NaiveLink(clock, name)


Steps = Generator[Any, Any, None]


def _travel(burst: Burst, first: int = WAITING) -> Steps:
    """Take a burst through its stations: request, hold, release at each."""
    clock, rank, lag = burst.clock, first, 0.0
    serial = next(clock._eid)
    for leg, charge in zip(burst.legs, burst.charges, strict=True):
        station = getattr(leg, "__self__", None)
        if station is None:
            leg(burst, clock.now, charge)
            return
        if isinstance(station, Socket):
            station = station._thread.__self__  # its buffer never fills here
        if isinstance(station, NaiveCore) and not charge[0]:
            burst.book = station.passed
            continue
        station.arrived += 1
        burst.book = station.book
        if isinstance(station, NaiveCore):
            yield from _core(clock, station, charge, URGENT if leg.__name__ == "softirq" else rank, serial)
        elif isinstance(station, NaiveLink):
            lag = yield from _link(clock, station, charge, lag, serial)
        elif isinstance(station, NaivePool):
            with station.resource.request() as turn:
                yield turn
                yield _timeout(clock, charge[0], serial)
        else:
            assert isinstance(station, Delay)
            yield _timeout(clock, sum(charge[:3]), serial)
        rank = WAITING


def _timeout(clock: Clock, delay_s: float, serial: int) -> simpy.Event:
    """Return a timeout with a burst's serial number: what falls on the same instant happens in order of birth."""
    event = simpy.Event(clock)
    event._ok, event._value = True, None
    heappush(clock._heap, (clock.now + delay_s, 1, serial, event))
    return event


def _core(clock: Clock, core: NaiveCore, priced: tuple[float, ...], rank: int, serial: int) -> Steps:
    charge = CoreCharge(*priced)
    left, came = charge.service_s, (clock.now, core.arrived)  # who is interrupted keeps his turn
    if not core.resource.count and not core.resource.queue:
        left += charge.setup_s
    while left > 0.0:
        with core.resource.request(priority=(rank, *came), preempt=rank < WAITING) as turn:
            yield turn
            began = clock.now
            try:
                yield _timeout(clock, left, serial)
                left = 0.0
            except simpy.Interrupt:
                left -= clock.now - began
    if charge.after_s:
        yield _timeout(clock, charge.after_s, serial)


def _link(
    clock: Clock, link: NaiveLink, priced: tuple[Any, ...], lag: float, serial: int
) -> Generator[Any, Any, float]:  # fmt: skip
    charge = LinkCharge(*priced)
    if charge.lead_s:
        yield _timeout(clock, charge.lead_s, serial)
    head = clock.now
    turn = link.resource.request()
    yield turn
    start = clock.now
    end = max(start + charge.service_s, head + lag + charge.packet_s)
    out = end if charge.whole else start + charge.packet_s
    if out == start + charge.service_s:
        yield _timeout(clock, out - start, serial)
        link.resource.release(turn)
    else:
        clock.process(_release(clock, link, turn, charge.service_s))
        yield _timeout(clock, out - start, serial)
    if charge.after_s:
        yield _timeout(clock, charge.after_s, serial)
    return end - out


def _release(clock: Clock, link: NaiveLink, turn: simpy.resources.resource.Request, after_s: float) -> Steps:
    yield clock.timeout(after_s)
    link.resource.release(turn)
