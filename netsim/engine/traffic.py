"""Starting the clients of every edge, by what kind of traffic it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netsim.datapath.datapath import ExternalParty
from netsim.engine.arrivals import OpenArrivals, Until, closed_loop
from netsim.engine.calls import Performer, Resolver, Surroundings, begin
from netsim.engine.datagrams import UdpCaller
from netsim.engine.draws import durations
from netsim.engine.rpc import RpcCaller
from netsim.engine.streaming import Streamer

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call, Edge
    from netsim.engine.model import Model
    from netsim.engine.network import Network, Party
    from netsim.engine.probes import EdgeRecord
    from netsim.engine.sampling import Plan

Resolvers = Callable[["Call"], Resolver | None]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The clients of a run: one performer an edge, and when they stop."""

    performers: tuple[Performer, ...]
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


def start_traffic(network: Network, model: Model, chosen: Plan, resolvers: Resolvers) -> Traffic:
    """Start the followed clients of every edge."""
    until = Until(chosen.duration_s)
    performers = tuple(
        _START[edge.kind](network, edge, followed, resolvers, until)
        for edge, followed in zip(model.edges, chosen.followed, strict=True)
    )
    return Traffic(performers, until)


def _parties(edge: Edge, followed: Sequence[int]) -> Sequence[Party]:
    return (ExternalParty(),) if edge.external else followed


def _surroundings(network: Network, edge: Edge, resolvers: Resolvers) -> Surroundings:
    """Clients outside enter at a random node and resolve names elsewhere."""
    if not edge.external:
        return Surroundings(resolvers, pool=edge.pool)
    draw, nodes = network.streams.uniform(f"{edge.label}/entry"), len(network.cluster.nodes)
    return Surroundings(entry=lambda: int(draw() * nodes), pool=edge.pool)


Start = Callable[["Network", "Edge", Sequence[int], Resolvers, Until], Performer]


def _calling(make: Callable[[Network, Call, str, Surroundings], Performer]) -> Start:
    """Return what starts the clients of an edge whose transactions ``make`` performs."""

    def start(
        network: Network, edge: Edge, followed: Sequence[int], resolvers: Resolvers, until: Until
    ) -> Performer:
        assert edge.call is not None
        performer = make(network, edge.call, edge.label, _surroundings(network, edge, resolvers))
        _start_clients(performer, edge, _parties(edge, followed), until)
        return performer

    return start


def _start_clients(performer: Performer, edge: Edge, clients: Sequence[Party], until: Until) -> None:
    if edge.closed is None:
        OpenArrivals(performer, clients, edge.rate_per_s, until)
        return
    think = durations(performer.network.streams, f"{edge.label}/think", edge.closed.think)
    for client in clients:
        for _ in range(edge.closed.concurrency):
            begin(closed_loop(performer, client, think, until))


def _start_streams(
    network: Network, edge: Edge, followed: Sequence[int], resolvers: Resolvers, until: Until
) -> Performer:
    assert edge.call is not None
    performer = Streamer(network, edge.call, edge.label, _surroundings(network, edge, resolvers))
    for client in _parties(edge, followed):
        for _ in range(edge.streams):
            begin(performer.stream(client))
    return performer


_START: dict[str, Start] = {"rpc": _calling(RpcCaller), "udp": _calling(UdpCaller), "stream": _start_streams}
