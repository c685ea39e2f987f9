"""Ports: what a client, or a node that masquerades, can keep open to one destination.

A client's connection occupies one of ``net.ipv4.ip_local_port_range`` for each destination address and port, and goes
on doing so for 60 s in TIME_WAIT after the client has closed it (with ``tcp_tw_reuse`` 1 it serves again after 1 s);
beyond that connect() fails with EADDRNOTAVAIL. Where the proxy translates at the socket, destinations are backends,
elsewhere the Service's address. A node that puts its own address in front of a connection needs a port of its own for
each destination until conntrack forgets the connection; beyond that the packet is dropped (``insert_failed``).

Like conntrack tables port ranges start as full as hours of the same traffic leave them; of a closed loop that is what
it could open if nobody made it wait. A range that open arrivals will never fill half way is not counted at all.

Sources: Linux Documentation/networking/ip-sysctl.rst (ip_local_port_range 32768-60999, tcp_tw_reuse and its delay of
1 s), include/net/tcp.h (TCP_TIMEWAIT_LEN 60 s), net/netfilter/nf_nat_core.c (ports 1024-65535 for clients above 1023).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

from netsim.engine.kernel.conntrack import ConntrackTable, Gates

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.engine.background.load import Flow
    from netsim.engine.network import Party
    from netsim.engine.workload.calls import Performer

TIME_WAIT_S, REUSE_S = 60.0, 1.0
LOCAL_PORTS, SNAT_PORTS = 28_232, 64_512
WATCHED = 0.5
"""Ranges that will be fuller than this are counted."""


@dataclass(frozen=True, slots=True)
class PortSettings:
    """How many ports a client and a masquerading node have for a destination, and how soon one serves again."""

    local: int = LOCAL_PORTS
    snat: int = SNAT_PORTS
    time_wait_s: float = TIME_WAIT_S


class Ports:
    """The port ranges of a replication, made on first use.

    Parameters
    ----------
    cluster: gives names.
    settings: how many ports there are.
    at_socket: clients connect to backends, not to Services.
    flows: the traffic whose rate is known.
    hungry: that of streams, and of closed loops with the most they may ask.
    draw: uniform numbers.
    horizon_s: when the run is over.
    """

    def __init__(
        self, cluster: Cluster, settings: PortSettings, flows: Callable[[], Sequence[Flow]],
        hungry: Callable[[], Sequence[Flow]], draw: Callable[[], float], *, at_socket: bool, horizon_s: float = inf,
    ) -> None:  # fmt: skip
        self._cluster, self._settings, self._flows, self._hungry, self._draw = cluster, settings, flows, hungry, draw
        self._at_socket, self._horizon_s = at_socket, horizon_s
        self.local: dict[Hashable, ConntrackTable | None] = {}
        self.snat: dict[Hashable, ConntrackTable | None] = {}

    @cached_property
    def _by_service(self) -> dict[str, list[Flow]]:
        found: dict[str, list[Flow]] = {}
        for flow in (*self._flows(), *self._hungry()):
            found.setdefault(flow.service, []).append(flow)
        return found

    @cached_property
    def _closing(self) -> dict[str, list[tuple[Flow, frozenset[Party]]]]:
        """The flows to each Service whose sources in the cluster close their connections, and these sources."""
        return {
            service: [(flow, frozenset(flow.sources)) for flow in flows if not flow.kept and not flow.outside]
            for service, flows in self._by_service.items()
        }

    @cached_property
    def _known(self) -> frozenset[str]:
        """Callers whose rate is known; the others wait for their answers."""
        return frozenset(flow.label for flow in self._flows())

    # ------------------------------------------------------------------------------------------ clients

    def connect(self, caller: Performer, source: Party, target: Party, now: float) -> bool:
        """Take a port of a client for a connection that it will close; False when it has none left."""
        service = caller.service(source)
        direct = self._at_socket or service.headless
        key = (source, target if direct else service.key, caller.call.port.port)
        if key not in self.local:
            self.local[key] = self._client(caller.name, source, service.key, direct)
        table = self.local[key]
        return table is None or table.admit(now, ((self._settings.time_wait_s, 1),))

    def _client(self, caller: str, source: Party, service: str, direct: bool) -> ConntrackTable | None:
        if not isinstance(source, int):
            return None  # clients outside are many
        limit, lifetime_s = self._settings.local, self._settings.time_wait_s
        rate = 0.0
        for flow, sources in self._closing.get(service, ()):
            if source in sources:
                rate += flow.rate_per_s / (len(flow.targets) if direct else 1)
        if caller in self._known and rate * lifetime_s < WATCHED * limit:
            return None
        name = f"{self._cluster.pods[source].key} to {service}"
        return self._range(name, limit, lifetime_s, rate)

    # ------------------------------------------------------------------------------------------ masquerading nodes

    def masquerade(self, node: int, service: str, target: Party, port: int, lifetime_s: float) -> Gates:
        """Return the range that a masqueraded connection needs a port of; nothing where it cannot run out."""
        key = (node, target, port)
        if key not in self.snat:
            self.snat[key] = self._masquerading(node, service, target, lifetime_s)
        table = self.snat[key]
        return () if table is None else ((table, ((lifetime_s, 1),)),)

    def _masquerading(self, node: int, service: str, target: Party, lifetime_s: float) -> ConntrackTable | None:
        flows = [flow for flow in self._by_service.get(service, ()) if flow.outside and target in flow.targets]
        # clients outside enter by any node alike
        rate = sum(flow.total_per_s / len(flow.targets) for flow in flows) / len(self._cluster.nodes)
        if flows and rate * lifetime_s < WATCHED * self._settings.snat:
            return None
        there = self._cluster.pods[target].key if isinstance(target, int) else "outside"
        name = f"{self._cluster.nodes[node].name} to {there}"
        return self._range(name, self._settings.snat, lifetime_s, rate)

    def _range(self, name: str, limit: int, lifetime_s: float, rate_per_s: float) -> ConntrackTable:
        """Return a range as full as a rate of connections keeps it."""
        settled = {lifetime_s: rate_per_s * lifetime_s}
        return ConntrackTable(name, limit, settled, 0.0, self._draw, horizon_s=self._horizon_s)

    # ------------------------------------------------------------------------------------------ what became of them

    def exhausted(self) -> list[tuple[str, list[ConntrackTable]]]:
        """Return the ranges that ran out, by kind, those that refused most first."""
        kinds = (("ephemeral ports per destination", self.local), ("masquerade ports per destination", self.snat))
        found = []
        for kind, tables in kinds:
            out = [table for table in tables.values() if table is not None and table.dropped]
            if out:
                found.append((kind, sorted(out, key=lambda table: (-table.dropped, table.name))))
        return found
