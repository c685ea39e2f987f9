"""Starting the clients of every edge, by what kind of traffic it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netsim.datapath.datapath import ExternalParty
from netsim.engine.randomness.draws import durations
from netsim.engine.transport.datagrams import UdpCaller
from netsim.engine.workload.arrivals import OpenArrivals, Until, closed_loop
from netsim.engine.workload.calls import Client, Performer, Surroundings, begin
from netsim.engine.workload.dns_client import Lookups
from netsim.engine.workload.lookups import LookupCaller
from netsim.engine.workload.rpc import RpcCaller
from netsim.engine.workload.streaming import Streamer
from netsim.errors import InputError

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call, Edge
    from netsim.engine.background.sampling import Plan
    from netsim.engine.measuring.probes import EdgeRecord
    from netsim.engine.model import Model
    from netsim.engine.network import Network, Party

@dataclass(frozen=True, slots=True)
class Traffic:
    """The clients of a run: one performer an edge, how they resolve names, and when they stop."""

    performers: tuple[Client, ...]
    lookups: Lookups
    until: Until

    def stop(self, now: float) -> None:
        """Start nothing more; book what streams have delivered."""
        self.until.time = min(self.until.time, now)
        for performer in self.performers:
            if isinstance(performer, Streamer):
                performer.finish(now)

    def records(self) -> list[tuple[EdgeRecord, str, bool]]:
        """Return all records, in the order of the edges, each with its Service and whether it is top-level."""
        return [each for performer in self.performers for each in performer.records()]


def start_traffic(network: Network, model: Model, chosen: Plan, lookups: Lookups) -> Traffic:
    """Start the followed clients of every edge."""
    until = Until(chosen.duration_s)
    performers = tuple(
        _START[edge.kind](network, edge, followed, lookups, until)
        for edge, followed in zip(model.edges, chosen.followed, strict=True)
    )
    return Traffic(performers, lookups, until)


def _parties(edge: Edge, followed: Sequence[int]) -> Sequence[Party]:
    return (ExternalParty(),) if edge.external else followed


def _surroundings(network: Network, edge: Edge, lookups: Lookups) -> Surroundings:
    """Clients outside enter at a random node and resolve names elsewhere."""
    if not edge.external:
        return Surroundings(lookups.of_call, pool=edge.pool)
    draw, nodes = network.streams.uniform(f"{edge.label}/entry"), len(network.cluster.nodes)
    return Surroundings(lookups.of_call, False, lambda: int(draw() * nodes), edge.pool)


Start = Callable[["Network", "Edge", Sequence[int], Lookups, Until], Client]


def _calling(make: Callable[[Network, Call, str, Surroundings], Performer]) -> Start:
    """Return what starts the clients of an edge whose transactions ``make`` performs."""

    def start(
        network: Network, edge: Edge, followed: Sequence[int], lookups: Lookups, until: Until
    ) -> Client:
        assert edge.call is not None
        performer = make(network, edge.call, edge.label, _surroundings(network, edge, lookups))
        _start_clients(performer, edge, _parties(edge, followed), until)
        return performer

    return start


def _start_clients(performer: Client, edge: Edge, clients: Sequence[Party], until: Until) -> None:
    if not clients:
        return  # an edge that was not drawn
    if edge.closed is None:
        OpenArrivals(performer, clients, edge.rate_per_s, until)
        return
    think = durations(performer.network.streams, f"{edge.label}/think", edge.closed.think)
    for client in clients:
        for _ in range(edge.closed.concurrency):
            begin(closed_loop(performer, client, think, until))


def _start_streams(
    network: Network, edge: Edge, followed: Sequence[int], lookups: Lookups, until: Until
) -> Client:
    assert edge.call is not None
    performer = Streamer(network, edge.call, edge.label, _surroundings(network, edge, lookups), edge.writes)
    for client in _parties(edge, followed):
        for _ in range(edge.streams):
            begin(performer.stream(client))
    return performer


def _start_lookups(
    network: Network, edge: Edge, followed: Sequence[int], lookups: Lookups, until: Until
) -> Client:
    resolver = lookups.of_name(edge.lookup)
    if resolver is None:
        raise InputError("the cluster has no DNS Service to ask", place=edge.place, got=edge.lookup)
    client = LookupCaller(network, edge.label, edge.lookup, resolver)
    _start_clients(client, edge, followed, until)
    return client


_START: dict[str, Start] = {
    "rpc": _calling(RpcCaller),
    "udp": _calling(UdpCaller),
    "stream": _start_streams,
    "dns": _start_lookups,
}
