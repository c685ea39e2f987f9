"""The network of one replication: from two parties to a connection.

Ties together the clock, the stations, the datapath's routes and the random decisions of a connection (backend, flow
hash, position of the Service in the rules). Everything here is per kind or per node; nothing is per pair of nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from netsim.datapath.conntrack import TCP_CLOSED_S, UDP_SHORT_S
from netsim.datapath.types import Role, Turn
from netsim.engine.backends import Backends
from netsim.engine.kernel.conntrack import Conntrack, Entries
from netsim.engine.kernel.sockets import Socket
from netsim.engine.places import Place, Places, agent_of
from netsim.engine.pricing import Limits, Tariff
from netsim.engine.queueing.clock import Clock
from netsim.engine.transport.tcp import Connection, TcpSettings
from netsim.engine.transport.ways import Way

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.cluster.objects import Protocol as Transport
    from netsim.cluster.objects import Service
    from netsim.datapath.costs import Prices
    from netsim.datapath.plugin import Plugin
    from netsim.datapath.types import Route, Routes
    from netsim.engine.faults import Faults
    from netsim.engine.kernel.neighbours import Neighbours
    from netsim.engine.kernel.ports import Ports
    from netsim.engine.kernel.quotas import Quotas
    from netsim.engine.kernel.shaping import Shapers
    from netsim.engine.queueing.burst import Leg
    from netsim.engine.queueing.stations import Station
    from netsim.engine.randomness.streams import Streams

Party = Any
"""A pod (its index in the cluster), or one of the datapath's `HostParty` and `ExternalParty`."""


class Seen(Protocol):
    """Who answers for a Service as one node sees it at this time (`netsim.engine.backends.Backends.of`)."""

    def __call__(
        self, service: Service, port_name: str, node: int | None, *, external: bool = False
    ) -> Sequence[int]:
        """Return the pods that may answer clients on a node (`None`: outside)."""
        ...


class Datapath(Protocol):
    """What the engine needs of `netsim.datapath.datapath.Datapath`."""

    @property
    def proxy(self) -> str:
        """The proxy mode."""
        ...

    @property
    def plugin(self) -> Plugin:
        """The network plugin."""
        ...

    def routes(
        self, source: Party, target: Party, *, protocol: Transport = "TCP", port: int = 0,
        service: tuple[str, int] | None = None, entry_node: int | None = None,
    ) -> Routes:
        """Return the compiled routes of a connection."""
        ...

    def prices_on(self, name: str) -> Prices:
        """Return the prices on a node; those of the profile itself for the outside."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """The tariffs of one kind of connection, both directions: first and later packets, acknowledgements of TCP.

    ``entries`` are what it takes in conntrack tables.
    """

    routes: Routes
    first: Tariff
    first_reply: Tariff
    forward: Tariff
    reply: Tariff
    forward_acks: Tariff | None
    reply_acks: Tariff | None
    entries: Entries


class Network:
    """One cluster at one time, ready to carry connections.

    Parameters
    ----------
    cluster, datapath: what exists and what packets meet.
    streams: the replication's random streams.
    tcp: constants of the TCP stacks.
    conntrack_max: entries a node's conntrack table holds, if stated.
    """

    def __init__(
        self, cluster: Cluster, datapath: Datapath, streams: Streams, *, tcp: TcpSettings | None = None,
        conntrack_max: int | None = None,
    ) -> None:  # fmt: skip
        self.clock = Clock()
        self.cluster, self.datapath, self.streams = cluster, datapath, streams
        self.tcp = tcp or TcpSettings()
        self.places = Places(cluster, streams.hash("places"))
        self.backends = Backends(cluster)
        self.conntrack = Conntrack(cluster, conntrack_max, streams.uniform("conntrack"))
        self.ports: Ports | None = None
        self.seen: Seen = self.backends.of
        self.faults: Faults | None = None
        self.shapers: Shapers | None = None
        self.neighbours: Neighbours | None = None
        self.quotas: Quotas | None = None
        self.extra: list[Station] = []
        self._kinds: dict[tuple[Routes, bool], Kind] = {}
        self._tariffs: dict[tuple[Route, bool, bool], Tariff] = {}
        self._positions: dict[tuple[str, int], float] = {}
        self._sockets: dict[tuple[Party, int], Socket] = {}
        self._homes: dict[Party, tuple[Place | None, int]] = {}

    def stations(self) -> Iterator[Station]:
        """Yield every station touched so far, in a fixed order; ``extra`` are those that belong to no node or link."""
        yield from self.places.stations()
        yield from sorted(self.extra, key=lambda station: station.name)

    # ------------------------------------------------------------------------------------------ who is where

    def node_of(self, party: Party) -> int | None:
        """Return the node a party runs on, `None` outside."""
        if isinstance(party, int):
            return self.cluster.node_index[self.cluster.pods[party].node]
        node: int | None = getattr(party, "node", None)
        return node

    def home(self, party: Party) -> tuple[Place | None, int]:
        """Return a party's place and core; `None` for the outside world."""
        known = self._homes.get(party)
        if known is None:
            node = self.node_of(party)
            if node is None:
                known = None, 0
            else:
                place = self.places.place(node)
                identity = party if isinstance(party, int) else agent_of(node)
                known = place, self.places.home_core(identity, place.cores)
            self._homes[party] = known
        return known

    def thread(self, party: Party) -> Leg | None:
        """Return where a party's own work is done; `None` for the outside world."""
        place, core = self.home(party)
        if place is None:
            return None
        seat = None if self.faults is None else self.faults.seat(party)
        thread = place.thread(core) if seat is None else seat.thread
        return thread if self.quotas is None else self.quotas.behind(party, thread)

    def position(self, service: str, node: int) -> float:
        """Return where a Service lies in a node's rules: uniform, drawn once a replication (one sync epoch)."""
        key = (service, node)
        known = self._positions.get(key)
        if known is None:
            known = self._positions[key] = self.streams.hash("position", service, node) * 2.0**-64
        return known

    # ------------------------------------------------------------------------------------------ connections

    def kind(
        self, source: Party, target: Party, protocol: Transport, port: int, *,
        service: tuple[str, int] | None = None, entry_node: int | None = None,
    ) -> Kind:  # fmt: skip
        """Return the tariffs between two parties, compiled once a kind."""
        routes = self.datapath.routes(
            source, target, protocol=protocol, port=port, service=service, entry_node=entry_node
        )
        if self.shapers is not None:
            routes = self.shapers.routes(routes, source, target)
        datagrams = protocol == "UDP"
        known = self._kinds.get((routes, datagrams))
        if known is None:
            known = self._kinds[routes, datagrams] = Kind(
                routes,
                self._tariff(routes.first, datagrams, target),
                self._tariff(routes.first_reply, datagrams, source, reply=True),
                self._following(routes.forward, routes.turns[0], datagrams, target),
                self._following(routes.reply, routes.turns[1], datagrams, source, reply=True),
                None if routes.forward_acks is None else self._tariff(routes.forward_acks, datagrams, target),
                None if routes.reply_acks is None else self._tariff(routes.reply_acks, datagrams, source, reply=True),
                Entries.of(routes, UDP_SHORT_S if datagrams else TCP_CLOSED_S),
            )
        return known

    def _following(
        self, route: Route, turns: Mapping[Turn, Route], datagrams: bool, receiver: Party, *, reply: bool = False
    ) -> Tariff:
        """Return the tariff of later packets, which knows those of packets without data."""
        found = self._tariff(route, datagrams, receiver, reply=reply)
        for turn, other in turns.items():
            setattr(found, turn, self._tariff(other, datagrams, receiver, reply=reply))
        return found

    def _tariff(self, route: Route, datagrams: bool, receiver: Party, *, reply: bool = False) -> Tariff:
        known = self._tariffs.get((route, datagrams, reply))
        if known is None:
            node = self.node_of(receiver)
            machine = None if node is None else self.cluster.nodes[node].machine
            ring, backlog = (inf, inf) if machine is None else (float(machine.ring), float(machine.backlog))
            limits = Limits(ring, float(self.cluster.fabric.buffer_bytes), backlog)
            known = self._tariffs[route, datagrams, reply] = Tariff(route, limits, reply)
        return known

    def ways(
        self, kind: Kind, source: Party, target: Party, flow: int, *, service: str = "",
        entry_node: int | None = None, socket: int = 0, port: int = 0,
    ) -> tuple[Way, Way]:  # fmt: skip
        """Bind both directions of a connection to its stations; ``flow`` stands for its header hash.

        ``socket`` is the port a UDP server listens at; 0 for TCP, whose window keeps senders from overrunning a socket,
        and whose port is ``port``.
        """
        homes = self._homes
        sender, core = homes.get(source) or self.home(source)
        receiver, peer_core = homes.get(target) or self.home(target)
        via = None if entry_node is None else self.places.place(entry_node)
        node = sender.index if sender is not None else -1 if via is None else via.index
        position = self.position(service, node) if service else 0.0
        there, again = flow, flow >> 4
        if kind.routes.forward.paired and via is None and sender is not None and receiver is not None:
            there, again = self.places.pair_flow(sender, receiver), self.places.pair_flow(receiver, sender)
        legs = self.places.legs(sender, core, receiver, peer_core, flow=there, via=via)
        back = self.places.legs(receiver, peer_core, sender, core, flow=again, via=via)
        if socket:
            if receiver is not None:
                legs[Role.RECEIVER_CORE] = self._listening(target, socket, receiver.core(peer_core)).read
            if sender is not None:
                back[Role.RECEIVER_CORE] = Socket(sender.core(core)).read
        if self.faults is not None:
            self.faults.take_seats(legs, source, target, datagrams=bool(socket))
            self.faults.take_seats(back, target, source, datagrams=bool(socket))
        if self.quotas is not None:
            for way, one, other in ((legs, source, target), (back, target, source)):
                way[Role.SENDER_CORE] = self.quotas.behind(one, way[Role.SENDER_CORE])
                way[Role.RECEIVER_CORE] = self.quotas.behind(other, way[Role.RECEIVER_CORE])
        if self.shapers is not None:
            self.extra += self.shapers.place(legs, source, target) + self.shapers.place(back, target, source)
        clock = self.clock
        gates = self.conntrack.gates(
            kind.entries, None if sender is None else sender.index, None if receiver is None else receiver.index,
            entry_node,
        )  # fmt: skip
        if self.neighbours is not None:
            ends = (None if place is None else place.index for place in (sender, receiver))
            gates += self.neighbours.gates(*ends)
        if kind.routes.snat and node >= 0 and self.ports is not None:
            by = node if entry_node is None else entry_node
            lifetime_s = UDP_SHORT_S if socket else TCP_CLOSED_S
            gates += self.ports.masquerade(by, service, target, socket or port, lifetime_s)
        return (
            Way(clock, legs, kind.first, kind.forward, position, gates, kind.forward_acks),
            Way(clock, back, kind.first_reply, kind.reply, position, (), kind.reply_acks),
        )

    def _listening(self, party: Party, port: int, core: Station) -> Socket:
        """Return the socket a server listens at: one for all its clients."""
        known = self._sockets.get((party, port))
        if known is None:
            known = self._sockets[party, port] = Socket(core)
        return known

    def connection(
        self, source: Party, target: Party, port: int, *, flow: int, service: Service | None = None,
        service_port: int = 0, entry_node: int | None = None,
    ) -> Connection | Kind:  # fmt: skip
        """Return a TCP connection, or the kind whose policies refuse it.

        ``port`` is what the target listens at; ``service`` and ``service_port`` what the client addresses, if that is
        a Service.
        """
        key = "" if service is None else service.key
        addressed = None if service is None else (key, service_port)
        kind = self.kind(source, target, "TCP", port, service=addressed, entry_node=entry_node)
        if kind.routes.verdict != "ALLOW":
            return kind
        forth, back = self.ways(kind, source, target, flow, service=key, entry_node=entry_node, port=port)
        if self.faults is not None:
            return self.faults.connection(forth, back, source, target)
        return Connection(forth, back, self.tcp)

    def datagrams(
        self, source: Party, target: Party, port: int, *, flow: int, service: Service | None = None,
        service_port: int = 0, entry_node: int | None = None,
    ) -> tuple[Way, Way] | None:  # fmt: skip
        """Return both ways of a UDP flow, `None` where policies refuse it; parameters as for `connection`."""
        key = "" if service is None else service.key
        addressed = None if service is None else (key, service_port)
        kind = self.kind(source, target, "UDP", port, service=addressed, entry_node=entry_node)
        if kind.routes.verdict != "ALLOW":
            return None
        return self.ways(kind, source, target, flow, service=key, entry_node=entry_node, socket=port)
