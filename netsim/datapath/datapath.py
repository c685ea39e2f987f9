"""The datapath of a whole cluster: routes compiled once for each kind of connection, then looked up.

A kind is made of small integers: what the ends are (machine, host network or not, family), how far apart their nodes
are, what the Service costs, what policies cost and say, the protocol. Two pairs of pods of one kind share their routes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Machine, Node, Note, family_of
from netsim.cluster.service_rules import ProxyConfig, ProxyMode, ServedPort
from netsim.datapath.acknowledgements import acknowledgements
from netsim.datapath.conntrack import Conntrack
from netsim.datapath.costs import Prices, load_profile
from netsim.datapath.disorder import mixed
from netsim.datapath.ebpf import Program
from netsim.datapath.encapsulation import OuterConntrack
from netsim.datapath.gro import polled
from netsim.datapath.mtu import Mtus, mtus
from netsim.datapath.parties import FAMILIES, ExternalParty, HostParty, Party, families, pair, terminal
from netsim.datapath.passes import fold
from netsim.datapath.path import Composer, Connection, Path, Terminal, rack_of
from netsim.datapath.plugin import Plugin, load_plugin, loses_hairpins, proxy_without
from netsim.datapath.policing import OPEN, Policing, PolicyCase
from netsim.datapath.services import ServiceRules
from netsim.datapath.types import Packet, Route, Routes, Turn, Verdict
from netsim.errors import InputError, Place

SAME_PARTY, SAME_NODE, SAME_RACK, OTHER_RACK, OTHER_ZONE, BORDER = range(6)
"""How far apart two parties are, as part of a kind."""
SMALLEST_MTU = 576
"""What every IPv4 host must take (RFC 791); below it a pod's network is not usable."""


@dataclass(frozen=True, slots=True, eq=False)
class _End:
    """What of a party a kind depends on; -1 where it does not apply."""

    kind: int
    node: int
    rack: int
    zone: int
    identity: int
    closed: tuple[bool, bool]
    """Whether policies isolate it for egress and for ingress."""
    crowd: float
    """Pods on its node, which the chains of some policy engines depend on."""
    alike: int
    """The same for ends that differ in nothing but their places."""


class Datapath:
    """Routes between any two parties of a cluster.

    Parameters
    ----------
    cluster: what exists, at the revision that the nodes have programmed.
    plugin: the network plugin, or its name.
    proxy: the proxy mode; ``None`` takes the plugin's usual one.
    prices: costs at their profile's clock; every machine's follow from its own clock.
    mtu: pod MTU in bytes, or ``auto`` for what the plugin would set.
    config: settings of the service proxy.
    alike: count service rules once for all nodes (they differ in Services of traffic policy Local only).

    Raises
    ------
    InputError
        When plugin and proxy mode cannot be combined, or an MTU leaves no room for a packet.
    """

    def __init__(
        self,
        cluster: Cluster,
        plugin: Plugin | str = "flannel-vxlan",
        proxy: ProxyMode | None = None,
        prices: Prices | None = None,
        *,
        mtu: int | Literal["auto"] = "auto",
        config: ProxyConfig | None = None,
        alike: bool = True,
    ) -> None:
        self.cluster = cluster
        self.plugin = load_plugin(plugin) if isinstance(plugin, str) else plugin
        self.proxy: ProxyMode = proxy or proxy_without(cluster, self.plugin)
        self.prices = prices if prices is not None else load_profile("server").prices()
        self.mtu = mtu
        if mtu != "auto" and mtu < SMALLEST_MTU:
            allowed = f"at least {SMALLEST_MTU}, or auto"
            raise InputError("a pod MTU too small", place=Place(field="network.mtu"), got=mtu, allowed=allowed)
        self.services = ServiceRules(cluster, self.proxy, config or ProxyConfig.of(cluster), alike)
        self.policing = Policing.over(cluster, self.plugin.policy)
        self._enforces = self.policing.enforces
        self._by_address = any(
            peer.ip_block is not None
            for policy in cluster.policies
            for rule in (*policy.ingress, *policy.egress)
            for peer in rule.peers
        )
        self._legs = self.plugin.legs_for(self.proxy)
        self._loses_hairpins = loses_hairpins(cluster, self.plugin, self.proxy)
        self._routes: dict[tuple[Hashable, ...], Routes] = {}
        self._usual: dict[tuple[Hashable, ...], Routes] = {}
        self._ends: dict[Party, _End] = {}
        self._numbers: dict[Hashable, int] = {}
        self._service_kinds: dict[Hashable, int] = {}
        self._policy_kinds: dict[Hashable, int] = {}
        self._machine_prices: dict[Machine, Prices] = {}

    # ---------------------------------------------------------------- the question

    def routes(
        self,
        source: Party,
        target: Party,
        *,
        protocol: str = "TCP",
        port: int = 80,
        service: tuple[str, int] | None = None,
        entry_node: int | None = None,
    ) -> Routes:
        """Return the routes of a connection.

        Parameters
        ----------
        source: the client.
        target: the server; where a Service is used, the backend that was drawn.
        protocol: ``TCP``, ``UDP`` or ``SCTP``.
        port: the port the server listens at.
        service: key and port of the Service the client addresses; ``None`` for a connection to the server itself, which
            a headless Service amounts to.
        entry_node: index of the node at whose node port, or behind whose load balancer, the connection enters; for
            clients outside the target's own node when left out.

        Raises
        ------
        InputError
            When there is no such Service or port, or a pod runs on no node.
        """
        if service is not None and service[0] in self.services.direct:
            service = None
        ends = self._ends
        one = ends.get(source) or self._end(source)
        other = ends.get(target) or self._end(target)
        usual = None
        if entry_node is None and one.node >= 0 and not self._by_address:
            # nearly all connections: what ends are alike in, distance and question say it all, in a third of the time
            distance = SAME_PARTY if source == target else _distance(one, other)
            usual = one.alike, other.alike, distance, service, protocol, port
            found = self._usual.get(usual)
            if found is not None:
                return found
        entry: Hashable = None
        if entry_node is not None or one.node < 0:
            entry = self._entry_kind(one, other, other.node if entry_node is None else entry_node)
        key = (
            one.kind,
            other.kind,
            SAME_PARTY if source == target else _distance(one, other),
            None if service is None else self._service_kind(service, protocol, one, entry_node, other),
            self._policy_kind(one, other, source, target, protocol, port, service, entry_node) if self._enforces else 0,
            protocol,
            entry,
        )
        found = self._routes.get(key)
        if found is None:
            asked = self.connection(
                source, target, protocol=protocol, port=port, service=service, entry_node=entry_node
            )
            found = self._routes[key] = self.compile(asked)
        if usual is not None and (service is None or (service, protocol, False) in self._service_kinds):
            self._usual[usual] = found
        return found

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader must know of the policies under this plugin."""
        return self.policing.notes

    @property
    def compiled(self) -> int:
        """Return how many kinds of connection have been compiled so far."""
        return len(self._routes)

    # ---------------------------------------------------------------- kinds

    def _number(self, what: Hashable) -> int:
        return self._numbers.setdefault(what, len(self._numbers))

    def _end(self, party: Party) -> _End:
        end = terminal(self.cluster, party)
        node, seen = end.node, self.policing.features(end)
        if node is None:
            kind, at, rack, zone = self._number("external"), -1, -1, -1
        else:
            kind = self._number((node.machine, end.on_host, families(self.cluster, party)))
            at, rack = self.cluster.node_index[node.name], self._number(("rack", rack_of(self.cluster, node)))
            zone = self._number(("zone", node.zone)) if node.zone else -1
        found = _End(kind, at, rack, zone, *seen, self._number(("end", kind, seen)))
        self._ends[party] = found
        return found

    def _entry_kind(self, one: _End, other: _End, entry_node: int) -> Hashable:
        if entry_node < 0:
            return None
        entry = self._ends.get(HostParty(entry_node)) or self._end(HostParty(entry_node))
        return entry.kind, _distance(one, entry), _distance(entry, other)

    def _service_kind(
        self, service: tuple[str, int], protocol: str, one: _End, entry_node: int | None, other: _End
    ) -> int:
        """Number what a Service costs. Only Services of policy Local, or with hints, differ between nodes."""
        if entry_node is None and one.node < 0:
            entry_node = other.node
        node = one.node if entry_node is None else entry_node
        outside = entry_node is not None
        known = self._service_kinds.get((service, protocol, outside))
        if known is None:
            known = self._service_kinds.get((service, protocol, outside, node))
        if known is None:
            _, served = self.services.find(*service, protocol, FAMILIES)
            model = self.services.walk_model(served, self.cluster.nodes[node], outside=outside)
            known = self._number(("service", model, served.external_local, served.family))
            differs = served.uses_local or any(end.zone_hints or end.node_hints for end in served.backends)
            key = (service, protocol, outside, node) if differs else (service, protocol, outside)
            self._service_kinds[key] = known
        return known

    def _policy_kind(  # noqa: PLR0917 - called for every connection
        self, one: _End, other: _End, source: Party, target: Party, protocol: str, port: int,
        service: tuple[str, int] | None, entry_node: int | None,
    ) -> int:  # fmt: skip
        """Number what policies cost and say; pods that policies cannot tell apart share an answer.

        Who the other end is matters only to an end that some policy isolates.
        """
        key: Hashable
        if self._by_address:
            key = (source, target, protocol, port, service, entry_node)
        else:
            entered = service is not None and (entry_node is not None or one.node < 0)
            key = (one.identity < 0, other.identity < 0, one.node == other.node, one.crowd, other.crowd)
            if one.closed[0] or other.closed[1]:
                key = (*key, one.identity, other.identity, port, protocol, entered)
        known = self._policy_kinds.get(key)
        if known is None:
            asked = self.connection(
                source, target, protocol=protocol, port=port, service=service, entry_node=entry_node
            )
            known = self._policy_kinds[key] = self._number(self.policing.case(asked))
        return known

    # ---------------------------------------------------------------- connections and paths

    def connection(
        self,
        source: Party,
        target: Party,
        *,
        protocol: str = "TCP",
        port: int = 80,
        service: tuple[str, int] | None = None,
        entry_node: int | None = None,
    ) -> Connection:
        """Return what the composer is asked for two parties; parameters as for `routes`."""
        if service is None or service[0] in self.services.direct:
            return Connection(*pair(self.cluster, source, target), protocol, port)
        family, served = self.services.find(*service, protocol, families(self.cluster, target))
        one, other = pair(self.cluster, source, target, family)
        entry = self.cluster.nodes[entry_node] if entry_node is not None else None
        return self.through_service(one, other, served, port, entry)

    def through_service(
        self, source: Terminal, target: Terminal, served: ServedPort, port: int, entry: Node | None = None,
        *, frontend: tuple[str, int] | None = None, masquerade: bool | None = None,
    ) -> Connection:  # fmt: skip
        """Return a connection to one backend of a Service port, from inside or through an ``entry`` node.

        ``frontend`` is the address and port the client writes, ``masquerade`` whether the translating node hides the
        client; left out: the usual ones, the cluster IP inside and what the outside is given.
        """
        if source.node is None:
            entry = entry or target.node
        at_socket = self.proxy == "ebpf" and source.node is not None
        translator = None if at_socket else entry
        place = translator or source.node or self.cluster.nodes[0]
        outside = translator is not None or frontend not in (None, (served.cluster_ip, served.port))
        if masquerade is None:
            masquerade = self._masquerades(served, source, target, translator)
        return Connection(
            source,
            target,
            served.protocol,
            port,
            frontend=frontend or self.services.frontend(served, entry),
            service=self.services.walk_model(served, place, outside=outside),
            entry=translator,
            at_socket=at_socket,
            masquerade=not at_socket and masquerade,
        )

    def _masquerades(self, served: ServedPort, source: Terminal, target: Terminal, entry: Node | None) -> bool:
        """Tell whether the translating node hides the client: at a node port, and when a pod reaches itself."""
        if entry is not None:
            spared = self.proxy == "ebpf" and target.node_name == entry.name
            return not served.external_local and not spared
        return self.services.config.masquerade_all or (source.pod is not None and source.pod is target.pod)

    def composer(self, asked: Connection, case: PolicyCase = OPEN) -> Composer:
        """Return the composer for a connection's family, with what policies cost it."""
        family = family_of(asked.target.address)
        return Composer(
            self.cluster,
            self.plugin,
            self._legs,
            walks=lambda node: self.services.walks(family, node),
            policy=lambda pod, reply: case.walks(asked, pod, reply),
        )

    def paths(self, asked: Connection, case: PolicyCase = OPEN) -> tuple[Path, Path]:
        """Return the path from client to server, and the path back."""
        composer = self.composer(asked, case)
        return composer.forward(asked), composer.reply(asked)

    # ---------------------------------------------------------------- compiling

    def compile(self, asked: Connection) -> Routes:
        """Return a connection's routes: both directions, for the packets that open it and for later ones."""
        case = self.policing.case(asked)
        forward, reply = self.paths(asked, case)
        sizes = self.mtus(asked)

        def route(path: Path, packet: Packet) -> Route:
            folded = fold(path, packet, self.prices_on, mtu_bytes=sizes.used, path_mtu_bytes=sizes.path)
            if packet.by_stack or packet.first:
                return folded
            following = polled(folded, path, packet, self.prices_on, sizes.used)
            sender = self.cluster.node_index.get(path.crossings[0].node)
            return following if sender is None else mixed(following, self.cluster.nodes[sender].machine, self.prices)

        def turns(path: Path, back: bool) -> dict[Turn, Route]:
            """Return the routes of packets without data: those of one direction that `Turn` names."""
            of_client: tuple[Turn, ...] = ("close", "bare") if back else ("accept", "close", "bare")
            return {turn: route(path, Packet(False, back, turn=turn)) for turn in of_client if asked.protocol == "TCP"}

        def acks(path: Path, *, reply: bool) -> Route | None:
            return acknowledgements(path, self.prices_on, reply=reply) if asked.protocol == "TCP" else None

        verdict, reason = self.answer(asked, case)
        tracked = dict.fromkeys(crossing.role for crossing in forward.crossings if _tracks(crossing.hop))
        outer = any(isinstance(crossing.hop, OuterConntrack) for crossing in forward.crossings)
        tunnel = self.plugin.encapsulation
        return Routes(
            first=route(forward, Packet(True, False, asked.protocol)),
            first_reply=route(reply, Packet(True, True, asked.protocol)),
            forward=route(forward, Packet(False, False, asked.protocol)),
            reply=route(reply, Packet(False, True, asked.protocol)),
            forward_acks=acks(forward, reply=False),
            reply_acks=acks(reply, reply=True),
            turns=(turns(forward, False), turns(reply, True)),
            verdict=verdict,
            reason=reason,
            conntrack=tuple(tracked),
            snat=asked.masquerade or self.composer(asked).leaves_cluster(asked),
            outer_conntrack=tunnel.outer_entries if tunnel is not None and outer else 0,
        )

    def answer(self, asked: Connection, case: PolicyCase) -> tuple[Verdict, str]:
        """Return what becomes of a connection: what policies say, or a Service that keeps to the entry node."""
        if asked.via is not None and not asked.masquerade:
            return "DROP", f"externalTrafficPolicy Local: no endpoint of the Service runs on {asked.via.name}"
        if self._loses_hairpins and asked.frontend is not None and asked.source.pod is asked.target.pod is not None:
            return "DROP", "hairpin mode is off: the bridge sends no frame back through the port it came from"
        return case.verdict, case.reason

    def mtus(self, asked: Connection) -> Mtus:
        """Return the MTU both ends of a connection use, and what its way can carry."""
        return mtus(self.plugin, self.mtu, asked)

    def prices_on(self, name: str) -> Prices:
        """Return the prices on a node; links and the outside have the profile's own."""
        index = self.cluster.node_index.get(name)
        if index is None:
            return self.prices
        machine = self.cluster.nodes[index].machine
        known = self._machine_prices.get(machine)
        if known is None:
            known = self._machine_prices[machine] = self.prices.at_clock(machine.clock_ghz)
        return known


def _distance(one: _End, other: _End) -> int:
    if one.node == other.node:
        return SAME_NODE
    if one.node < 0 or other.node < 0:
        return BORDER
    if one.zone != other.zone and one.zone >= 0 and other.zone >= 0:
        return OTHER_ZONE
    return SAME_RACK if one.rack == other.rack else OTHER_RACK


def _tracks(hop: object) -> bool:
    """Tell whether a hop keeps an entry per connection."""
    return isinstance(hop, Conntrack) or (isinstance(hop, Program) and hop.tracks)


__all__ = ["Datapath", "ExternalParty", "HostParty", "Party"]
