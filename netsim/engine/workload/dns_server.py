"""DNS servers in the simulation: CoreDNS replicas, caches on the nodes, servers outside.

A server is a pool of workers with a cache. A query takes a worker for `QUERY_WORK_S`; what the cache does not hold is
asked upstream, which occupies nobody but takes its round trips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netsim.datapath.datapath import ExternalParty, HostParty
from netsim.engine.kernel.clashes import Clashes
from netsim.engine.places import Site
from netsim.engine.queueing.burst import deliver
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.stations import CoreCharge, Pool
from netsim.engine.queueing.tracing import Job
from netsim.engine.workload.scripts import Ask, Scripts

if TYPE_CHECKING:
    from netsim.engine.network import Network, Party
    from netsim.engine.transport.ways import Way
    from netsim.scenario.spec import DnsSpec

QUERY_WORK_S = on_grid(50e-6)
"""CPU time of CoreDNS a query, beyond the kernel's share which the path bills: 33,700 queries/s on 2 vCPU make 59 us
(CoreDNS's published scaling test), less about 9 us for receiving and sending two datagrams."""
LOCAL_WORK_S = on_grid(25e-6)
"""The node-local cache answers from memory only; taken as half of a full query."""
LOCAL_WORKERS = 1
OUTSIDE_WORKERS = 1024
LOCAL_TTL_S = 30.0
"""How long the node-local cache keeps what the cluster's DNS would keep longer (its Corefile's ``cache 30``)."""
JOB, LOCAL_JOB = Job("CoreDNS", "CoreDNS workers"), Job("node-local DNS", "node-local DNS worker")
OUTSIDE_JOB = Job("outside DNS", "outside DNS")
_FLOWS = float(1 << 52)


class Replica:
    """One DNS server: workers, and a cache of names with the time each entry expires."""

    __slots__ = ("cache", "legs", "pool", "work")

    def __init__(self, pool: Pool, work_s: float, job: Job) -> None:
        self.pool = pool
        self.legs = pool.serve, deliver
        self.work = tuple(CoreCharge(work_s)), job
        self.cache: dict[tuple[str, str], float] = {}

    def holds(self, ask: Ask, now: float) -> bool:
        """Tell whether the cache has the answer."""
        return self.cache.get(ask.question, -1.0) > now

    def keep(self, ask: Ask, now: float, most_s: float) -> None:
        """Put an answer into the cache."""
        if ask.ttl_s > 0.0:
            self.cache[ask.question] = now + on_grid(min(ask.ttl_s, most_s))


class Dns:
    """The DNS of one replication."""

    def __init__(self, network: Network, spec: DnsSpec) -> None:
        self.network, self.spec = network, spec
        cluster = network.cluster
        self.scripts = Scripts(cluster, spec)
        self.local = spec.node_local or bool(cluster.node_local_corefile)
        self.service = cluster.services_by_key.get(cluster.dns_service)
        ports = () if self.service is None else self.service.ports
        self._port = next((port.name for port in ports if port.port == 53 and port.protocol == "UDP"), "")
        self._replicas: dict[Party, Replica] = {}
        self._upstream_s = on_grid(spec.upstream_latency)
        streams = network.streams
        self._choice = streams.uniform("dns/replica")
        self._flow = streams.uniform("dns/flow")
        self.sent = self.dropped = self.relayed = 0
        self.loses = spec.loss > 0.0
        self._loss = streams.uniform("dns/loss")
        translated = not self.local and network.datapath.proxy != "ebpf"
        self.clashes = Clashes(spec.clash, spec.racing, streams.uniform("dns/clash"), translated=translated)

    def replica(self, party: Party) -> Replica:
        """Return the server that runs at a party."""
        known = self._replicas.get(party)
        if known is None:
            if isinstance(party, HostParty):
                name = f"{self.network.cluster.nodes[party.node].name}/node-dns"
                site = Site("local-dns", party.node, LOCAL_WORKERS)
                known = Replica(self.network.places.make(site, name), LOCAL_WORK_S, LOCAL_JOB)
            elif isinstance(party, ExternalParty):
                known = Replica(Pool(OUTSIDE_WORKERS, "external-dns"), 0.0, OUTSIDE_JOB)
            else:
                site = Site("pool", party, self.spec.workers)
                known = Replica(self.network.places.make(site, self.network.cluster.pods[party].key), QUERY_WORK_S, JOB)
            self._replicas[party] = known
            self.network.extra.append(known.pool)
        return known

    def stop(self, gone: Callable[[Party], bool]) -> list[Pool]:
        """Empty the caches of servers that stop; return their workers."""
        stopped = [replica for party, replica in self._replicas.items() if gone(party)]
        for replica in stopped:
            replica.cache.clear()
        return [replica.pool for replica in stopped]

    def server(self, source: Party, ask: Ask) -> Party | None:
        """Return who gets a query of a new socket; `None` when nobody serves DNS."""
        if not ask.cluster:
            return ExternalParty()
        if self.local and isinstance(source, int):
            place, _ = self.network.home(source)
            if place is not None:
                return HostParty(place.index)
        return self.central(source)

    def central(self, source: Party) -> Party | None:
        """Return a replica of the cluster's DNS, drawn like any backend."""
        place, _ = self.network.home(source)
        backends = self.backends(None if place is None else place.index)
        return backends[int(self._choice() * len(backends))] if backends else None

    def backends(self, node: int | None) -> Sequence[int]:
        """Return the replicas that clients on a node use."""
        if self.service is None:
            return ()
        return self.network.seen(self.service, self._port, node)

    def ways(self, source: Party, target: Party) -> tuple[Way, Way] | None:
        """Return both ways of a new socket's flow to a DNS server; `None` where policies refuse it."""
        service = self.service if isinstance(target, int) else None
        return self.network.datagrams(
            source, target, 53, flow=int(self._flow() * _FLOWS), service=service, service_port=53
        )

    def lost(self) -> bool:
        """Draw whether a datagram is lost on top of what full queues lose."""
        return self._loss() < self.spec.loss

    @property
    def loss(self) -> float:
        """Return the probability that a datagram is lost: as stated, and as queues and tables dropped them so far."""
        return 1.0 - (1.0 - self.spec.loss) * (1.0 - self.dropped / max(1, self.sent))

    @property
    def relays(self) -> float:
        """Return how many questions a node's cache passed on, for each it was asked."""
        asked = sum(each.pool.arrived for party, each in self._replicas.items() if isinstance(party, HostParty))
        return self.relayed / asked if asked else 0.0

    def wait_s(self, ask: Ask) -> float:
        """Return how long upstream servers take over a query."""
        return ask.forwarded * self._upstream_s if ask.cluster else self._upstream_s
