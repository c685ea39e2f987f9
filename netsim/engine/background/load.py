"""Offered load: how much work the traffic brings to every station, before any clock runs.

What a transaction puts on the network (`netsim.engine.background.exchanges`), multiplied by the rates of clients, gives
the utilisation of any station, used to warn of overload before a run, and the arrival processes of background traffic
(`netsim.engine.background.jobs`).

Who is how far from whom is taken from `PAIRS` random pairs of client and backend a flow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from netsim.datapath.parties import HostParty
from netsim.engine.background.exchanges import End, Exchange, Jobs, Packet, packets_of, query_packets
from netsim.engine.background.pacing import DATAGRAMS, Pace
from netsim.engine.queueing.grid import on_grid
from netsim.engine.randomness.draws import quantiles

if TYPE_CHECKING:
    from netsim.cluster.objects import Service
    from netsim.cluster.traffic import Call, Edge
    from netsim.engine.network import Kind, Network, Party
    from netsim.engine.workload.dns_client import Lookups, NameResolver

PAIRS = 16
FEW_PAIRS = 4
"""As many do where edges are so many that they are drawn: together they show what the few of one do not."""
WORK_CLASSES = 8
"""A distribution of server work is represented by that many of its quantiles."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Traffic from some parties to others, all alike.

    ``label`` is that of its record, ``service`` the key of the Service that is meant; ``rate_per_s`` is transactions a
    second and source; ``kept`` tells that connections are kept.
    """

    name: str
    label: str
    service: str
    sources: Sequence[Party]
    targets: Sequence[int]
    rate_per_s: float
    exchange: Exchange
    kept: bool = False

    @property
    def jobs(self) -> Jobs:
        """What a transaction brings to the stations at both ends."""
        return self.exchange.jobs

    @property
    def outside(self) -> bool:
        """The sources are not in the cluster."""
        return not isinstance(self.sources[0], int)

    @property
    def ends(self) -> tuple[tuple[End, Sequence[Party]], ...]:
        """The pods at both ends."""
        return ("source", () if self.outside else self.sources), ("target", self.targets)

    def rate_at(self, end: End) -> float:
        """Transactions a second of one pod at an end."""
        return self.rate_per_s if end == "source" else self.total_per_s / len(self.targets)

    @property
    def total_per_s(self) -> float:
        """Transactions a second of all sources."""
        return self.rate_per_s * len(self.sources)


class LoadModel:
    """The flows of a scenario's traffic on a network, each known from so many random pairs."""

    def __init__(self, network: Network, lookups: Lookups, pairs: int = PAIRS) -> None:
        self.network, self._lookups, self._pairs = network, lookups, pairs
        self._known: dict[int, Exchange] = {}
        self._known_queries: dict[tuple[Packet, ...], Exchange] = {}

    def flows(self, edge: Edge, sources: Sequence[Party]) -> Iterator[Flow]:
        """Yield the flows that some of an edge's clients cause, nested calls included.

        For closed loops and streams, whose rate is not known beforehand, the rate of the flows means nothing.
        """
        if not sources:
            return
        if edge.call is not None:
            yield from self._call_flows(edge.call, edge.kind, edge.label, sources, edge.rate_per_s)
        elif (resolver := self._lookups.of_name(edge.lookup)) is not None and not edge.external:
            yield from self._lookup_flows(resolver, edge.label, edge.label, sources, edge.rate_per_s)

    def _call_flows(
        self, call: Call, kind: str, label: str, sources: Sequence[Party], rate_per_s: float
    ) -> Iterator[Flow]:
        for service, group in self._by_service(call, sources):
            targets = self.network.backends.of(service, call.port.name, None)
            if not targets:
                continue
            exchange = self._known.get(id(call))
            if exchange is None:
                # the instances of a repeated application are alike
                exchange = self._known[id(call)] = self._exchange(call, kind, service, group, targets)
            name = f"{label}@{service.key}"
            flow = Flow(name, label, service.key, group, targets, rate_per_s, exchange, call.keep_alive)
            yield flow
            asking = None if call.keep_alive else self._lookups.of_call(call)
            if asking is not None and not flow.outside:
                yield from self._lookup_flows(asking, name, label, group, rate_per_s)
            each = flow.total_per_s / len(targets)
            for index, child in enumerate(call.then):
                wanted = each * child.count * child.probability
                below = f"{label}/{index}:{child.service.name}"
                yield from self._call_flows(child, "rpc", below, targets, wanted)

    def _lookup_flows(
        self, resolver: NameResolver, name: str, label: str, sources: Sequence[Party], rate_per_s: float
    ) -> Iterator[Flow]:
        """Yield the flows of queries that look-ups cause; what a node-local cache asks in turn is left out."""
        dns = resolver.dns
        targets = () if dns.service is None or dns.local else dns.backends(None)
        if dns.service is None or not (dns.local or targets):
            return
        service = (dns.service.key, 53)
        for index, (packets, group) in enumerate(self._by_lookup(resolver, sources)):
            each = f"{name}/{index}/dns"
            exchange = self._known_queries.get(packets)
            if exchange is None:
                # lookups of equally long names are alike
                if dns.local:
                    kinds = tuple(self._kinds_at_home(each, group))
                else:
                    kinds = tuple(self._kinds(each, group, targets, protocol="UDP", port=53, service=service))
                exchange = self._known_queries[packets] = Exchange(packets, (), kinds, pooled=1, local=dns.local)
            yield Flow(each, label, "" if dns.local else service[0], group, targets, rate_per_s, exchange)

    def _kinds_at_home(self, name: str, sources: Sequence[Party]) -> Iterator[tuple[Kind, float]]:
        """Yield the kind of connection between random clients and the cache on their own node."""
        draw = self.network.streams.uniform(f"load/{name}")
        some = [sources[int(draw() * len(sources))] for _ in range(self._pairs)]
        for pod in some:
            yield self.network.kind(pod, self._host(pod), "UDP", 53), draw()

    def _host(self, pod: Party) -> HostParty:
        node = self.network.node_of(pod)
        assert node is not None
        return HostParty(node)

    def _by_lookup(
        self, resolver: NameResolver, sources: Sequence[Party]
    ) -> list[tuple[tuple[Packet, ...], Sequence[Party]]]:
        """Group clients by what their resolvers send: it depends on the namespace and the DNS policy."""
        pods = self.network.cluster.pods
        by_template: dict[int, list[Party]] = {}
        for source in sources:
            by_template.setdefault(id(pods[source].template), []).append(source)
        groups: dict[tuple[Packet, ...], list[Party]] = {}
        for some in by_template.values():
            groups.setdefault(tuple(query_packets(resolver.script(some[0]))), []).extend(some)
        return list(groups.items())

    def _exchange(
        self, call: Call, kind: str, service: Service, sources: Sequence[Party], targets: Sequence[int]
    ) -> Exchange:
        kinds = self._kinds(
            service.key, sources, targets, protocol="UDP" if kind == "udp" else "TCP", port=call.port.port,
            service=None if service.headless else (service.key, call.port.port),
        )  # fmt: skip
        buffer = self.network.cluster.fabric.buffer_bytes
        pace = DATAGRAMS if kind == "udp" else Pace.of_tcp(self.network.tcp, buffer, kept=call.keep_alive)
        return Exchange(tuple(packets_of(call, kind)), tuple(_work(call)), tuple(kinds), pace)

    def _kinds(
        self, name: str, sources: Sequence[Party], targets: Sequence[int], *, protocol: Literal["TCP", "UDP"],
        port: int, service: tuple[str, int] | None,
    ) -> Iterator[tuple[Kind, float]]:  # fmt: skip
        """Yield the kind of connection between random pairs, each with a position in the service list."""
        draw = self.network.streams.uniform(f"load/{name}")
        for _ in range(self._pairs):
            source, target = sources[int(draw() * len(sources))], targets[int(draw() * len(targets))]
            yield self.network.kind(source, target, protocol, port, service=service), draw()

    def _by_service(self, call: Call, sources: Sequence[Party]) -> list[tuple[Service, Sequence[Party]]]:
        """Group clients by the Service they mean."""
        if not call.instances or not isinstance(sources[0], int):
            return [(call.service, sources)]
        groups: dict[str, tuple[Service, list[int]]] = {}
        for pod in sources:
            service = call.service_for(self.network.cluster.pods[pod].namespace)
            groups.setdefault(service.key, (service, []))[1].append(pod)
        return list(groups.values())


def _work(call: Call) -> Sequence[tuple[float, float]]:
    """Return the server's work as a few (duration, share)."""
    if call.work.mean <= 0.0:
        return ()
    middles = (np.arange(WORK_CLASSES) + 0.5) / WORK_CLASSES
    return [(on_grid(float(value)), 1.0 / WORK_CLASSES) for value in quantiles(call.work, middles)]
