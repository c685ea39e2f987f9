"""The datapath of a whole cluster: routes compiled once for each kind of connection, then looked up.

A kind is made of small integers: what the ends are (machine, host network or not, family), how far apart their nodes are, what
the Service costs, what policies cost and say, the protocol. Two pairs of pods of one kind share their routes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Family, Machine, Node, Note, Pod, family_of
from netsim.cluster.policy import Outside, Verdicts
from netsim.cluster.policy import Party as PolicyParty
from netsim.cluster.service_rules import ProxyConfig, ProxyMode, ServedPort
from netsim.datapath.conntrack import Conntrack
from netsim.datapath.costs import Prices, load_profile
from netsim.datapath.ebpf import Program
from netsim.datapath.encapsulation import OuterConntrack
from netsim.datapath.passes import fold
from netsim.datapath.path import EXTERNAL, Composer, Connection, Path, Terminal, rack_of
from netsim.datapath.plugin import Plugin, load_plugin
from netsim.datapath.policy import PolicyFacts, PolicyWalk, policy_notes, read_engine
from netsim.datapath.services import ServiceRules
from netsim.datapath.step import PolicyWalks, ServiceWalks
from netsim.datapath.types import Packet, Role, Route, Routes, Verdict
from netsim.errors import InputError, Place

EXTERNAL_ADDRESS: dict[Family, str] = {"IPv4": "203.0.113.10", "IPv6": "2001:db8::10"}
"""Documentation addresses (RFC 5737, RFC 3849) that stand for any host outside."""
FAMILIES: tuple[Family, ...] = ("IPv4", "IPv6")


@dataclass(frozen=True, slots=True)
class HostParty:
    """A process on a node's own network: kubelet, kube-proxy, node-local DNS. ``node`` is the node's index."""

    node: int


@dataclass(frozen=True, slots=True)
class ExternalParty:
    """A host outside the cluster."""


Party = int | HostParty | ExternalParty
"""An end of a connection: a pod as its index in ``cluster.pods``, a node's process, or the outside."""


class _End(NamedTuple):
    """What of a party a kind depends on; -1 where it does not apply."""

    kind: int
    node: int
    rack: int
    zone: int
    identity: int


class _Policy(NamedTuple):
    """What policies cost a kind of connection, by end, and what they say."""

    walks: tuple[tuple[PolicyWalks, PolicyWalks], tuple[PolicyWalks, PolicyWalks]]
    """((source forward, source reply), (target forward, target reply))."""
    verdict: Verdict
    reason: str


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
    ) -> None:
        self.cluster = cluster
        self.plugin = load_plugin(plugin) if isinstance(plugin, str) else plugin
        self.proxy: ProxyMode = proxy or self.plugin.usual_proxy
        self.prices = prices if prices is not None else load_profile("server").prices()
        self.mtu = mtu
        if mtu != "auto" and mtu < 576:
            raise InputError("an MTU below 576 carries no useful packet", place=Place(field="network.mtu"), got=mtu)
        self.services = ServiceRules(cluster, self.proxy, config or ProxyConfig())
        self.engine = read_engine(self.plugin.policy)
        self.verdicts = Verdicts(cluster)
        self.policy_facts = PolicyFacts(cluster, self.verdicts)
        self._legs = self.plugin.legs_for(self.proxy)
        self._by_address = any(
            peer.ip_block is not None
            for policy in cluster.policies
            for rule in (*policy.ingress, *policy.egress)
            for peer in rule.peers
        )
        self._routes: dict[tuple[Hashable, ...], Routes] = {}
        self._ends: dict[Party, _End] = {}
        self._kinds: dict[Hashable, int] = {}
        self._places: dict[Hashable, int] = {}
        self._service_kinds: dict[Hashable, int] = {}
        self._policy_kinds: dict[Hashable, int] = {}
        self._policies: dict[int, _Policy] = {}
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
        service: key and port of the Service the client addresses; ``None`` for a connection to the server itself.
        entry_node: index of the node at whose node port, or behind whose load balancer, the connection enters; for
            clients outside the target's own node when left out.
        """
        ends = self._ends
        one = ends.get(source) or self._end(source)
        other = ends.get(target) or self._end(target)
        if one.node < 0 and entry_node is None and service is not None:
            entry_node = other.node
        key = (
            one.kind,
            other.kind,
            -1 if source == target else self._distance(one, other),
            -1 if service is None else self._service_kind(service, protocol, one, other, entry_node),
            self._policy_kind(source, target, one, other, port, protocol, entry_node),
            protocol,
            None if entry_node is None else self._entry_kind(one, other, entry_node),
        )
        found = self._routes.get(key)
        if found is None:
            found = self._routes[key] = self._compile(
                self.connection(source, target, protocol=protocol, port=port, service=service, entry_node=entry_node),
                self._policies.get(key[4], _OPEN),
            )
        return found

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What a reader must know of the policies under this plugin."""
        return policy_notes(self.engine, self.policy_facts)

    @property
    def compiled(self) -> int:
        """Return how many kinds of connection have been compiled so far."""
        return len(self._routes)

    # ---------------------------------------------------------------- kinds

    def _end(self, party: Party) -> _End:
        terminal = self.terminal(party)
        node = terminal.node
        if node is None:
            end = _End(self._kind(("external",)), -1, -1, -1, -2)
        else:
            kind = self._kind((node.machine, terminal.on_host, terminal.address.count(":") > 1))
            rack = self._place(rack_of(self.cluster, node))
            zone = self._place(("zone", node.zone)) if node.zone else -1
            identity = self.verdicts.identity(terminal.pod) if terminal.pod is not None else None
            index = self.cluster.node_index[node.name]
            end = _End(kind, index, rack, zone, -1 if identity is None else identity.index)
        self._ends[party] = end
        return end

    def _kind(self, what: Hashable) -> int:
        return self._kinds.setdefault(what, len(self._kinds))

    def _place(self, what: Hashable) -> int:
        return self._places.setdefault(what, len(self._places))

    @staticmethod
    def _distance(one: _End, other: _End) -> int:
        """0 same node, 1 same rack, 2 other rack, 3 other zone, 4 through the border."""
        if one.node == other.node:
            return 0
        if one.node < 0 or other.node < 0:
            return 4
        if one.zone != other.zone and one.zone >= 0 and other.zone >= 0:
            return 3
        return 1 if one.rack == other.rack else 2

    def _entry_kind(self, one: _End, other: _End, entry_node: int) -> tuple[int, ...]:
        entry = self._ends.get(HostParty(entry_node)) or self._end(HostParty(entry_node))
        return entry.kind, self._distance(one, entry), self._distance(entry, other)

    def _service_kind(
        self, service: tuple[str, int], protocol: str, one: _End, other: _End, entry_node: int | None
    ) -> int:
        node = entry_node if entry_node is not None else one.node
        key = (service, protocol, entry_node is not None)
        known = self._service_kinds.get(key)
        if known is None:
            _, served = self.services.find(*service, protocol, FAMILIES)
            if served.uses_local or any(end.zone_hints or end.node_hints for end in served.backends):
                key = (service, protocol, entry_node is not None, node)  # type: ignore[assignment]
                known = self._service_kinds.get(key)
        if known is None:
            model = self.services.walk_model(served, self.cluster.nodes[node], outside=entry_node is not None)
            known = self._kind(("service", model, served.external_local, served.family))
            self._service_kinds[key] = known
        return known

    # ---------------------------------------------------------------- policies

    def _policy_kind(
        self, source: Party, target: Party, one: _End, other: _End, port: int, protocol: str, entry_node: int | None
    ) -> int:
        if not self.engine.enforces:
            return 0
        key: Hashable = (one.identity, other.identity, one.node == other.node, port, protocol, entry_node is None)
        if self._by_address:
            key = (source, target, port, protocol, entry_node)
        known = self._policy_kinds.get(key)
        if known is None:
            policy = self._policy(self.terminal(source), self.terminal(target), port, protocol, entry_node)
            known = self._kind(("policy", policy))
            self._policies[known] = policy
            self._policy_kinds[key] = known
        return known

    def _policy(self, source: Terminal, target: Terminal, port: int, protocol: str, entry_node: int | None) -> _Policy:
        from_party, to_party = _policy_party(source), _policy_party(target)
        aim = (port, protocol)

        def walks(pod: Pod | None, way: str, peer: PolicyParty) -> tuple[PolicyWalks, PolicyWalks]:
            if pod is None:
                return _NO_WALKS, _NO_WALKS
            back = "ingress" if way == "egress" else "egress"

            def walk(direction: str, stage: str) -> PolicyWalk:
                return self.engine.walk(self.policy_facts, pod, direction, stage, peer=peer, target=aim)  # type: ignore[arg-type]

            reply = walk(back, "reply")
            return PolicyWalks(walk(way, "first"), walk(way, "established")), PolicyWalks(reply, reply)

        verdict, reason = self._verdict(source, target, port, protocol, entry_node)
        both = (walks(source.pod, "egress", to_party), walks(target.pod, "ingress", from_party))
        return _Policy(both, verdict, reason)

    def _verdict(
        self, source: Terminal, target: Terminal, port: int, protocol: str, entry_node: int | None
    ) -> tuple[Verdict, str]:
        """Return what policies say of a new connection, and which end says it."""
        one, other = _policy_party(source), _policy_party(target)
        if not self.verdicts.egress_allows(one, other, port, protocol):  # type: ignore[arg-type]
            return self.engine.denial, f"egress of {source.name}: {self._selecting(source, 'egress')}"
        seen_as = None
        if entry_node is not None and source.pod is None:
            seen_as = next(iter(self.cluster.nodes[entry_node].addresses), None)
        if not self.verdicts.ingress_allows(one, other, port, protocol, seen_as=seen_as):  # type: ignore[arg-type]
            return self.engine.denial, f"ingress of {target.name}: {self._selecting(target, 'ingress')}"
        return "ALLOW", ""

    def _selecting(self, end: Terminal, direction: Literal["egress", "ingress"]) -> str:
        policies = self.verdicts.policies_of(end.pod, direction) if end.pod is not None else ()
        return "no rule allows it of " + ", ".join(policy.key for policy in policies)

    # ---------------------------------------------------------------- connections and paths

    def terminal(self, party: Party, family: Family | None = None) -> Terminal:
        """Return a party as an end of a path, with its address of a family (its primary one when left out)."""
        if isinstance(party, ExternalParty):
            return Terminal(EXTERNAL, EXTERNAL_ADDRESS[family or "IPv4"])
        if isinstance(party, HostParty):
            node = self.cluster.nodes[party.node]
            return Terminal(f"node/{node.name}", _address(node.addresses, family, node.name), node)
        pod = self.cluster.pods[party]
        index = self.cluster.node_index.get(pod.node)
        if index is None:
            raise InputError("the pod runs on no node", got=pod.key)
        node = self.cluster.nodes[index]
        if pod.template.host_network:
            return Terminal(pod.key, _address(node.addresses, family, node.name), node)
        return Terminal(pod.key, _address(pod.addresses, family, pod.key), node, pod)

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
        nodes = self.cluster.nodes
        if service is None:
            one, other = self._pair(source, target, None)
            return Connection(one, other, protocol, port)
        family, served = self.services.find(*service, protocol, self._families(target))
        one, other = self._pair(source, target, family)
        if entry_node is None and one.node is None and other.node is not None:
            entry_node = self.cluster.node_index[other.node_name]
        at_socket = self.proxy == "ebpf" and one.node is not None
        entry = nodes[entry_node] if entry_node is not None and not at_socket else None
        place = entry or one.node or nodes[0]
        return Connection(
            one, other, protocol, port,
            frontend=self.services.frontend(served, nodes[entry_node] if entry_node is not None else None),
            service=self.services.walk_model(served, place, outside=entry is not None),
            entry=entry,
            at_socket=at_socket,
            masquerade=self._masquerades(served, one, other, entry, at_socket),
        )  # fmt: skip

    def _pair(self, source: Party, target: Party, family: Family | None) -> tuple[Terminal, Terminal]:
        """Return both ends with addresses of one family: the Service's, or the target's primary one that both have."""
        if family is None:
            family = next(iter(self._families(target)))
            if family not in self._families(source):
                family = next(iter(self._families(source)))
        return self.terminal(source, family), self.terminal(target, family)

    def _families(self, party: Party) -> tuple[Family, ...]:
        if isinstance(party, ExternalParty):
            return FAMILIES
        if isinstance(party, HostParty):
            addresses = self.cluster.nodes[party.node].addresses
        else:
            addresses = self.cluster.pods[party].addresses
        return tuple(dict.fromkeys(family_of(address) for address in addresses)) or FAMILIES

    def _masquerades(
        self, served: ServedPort, source: Terminal, target: Terminal, entry: Node | None, at_socket: bool
    ) -> bool:
        """Tell whether the translating node hides the client: on a second hop, and when a pod reaches itself."""
        if at_socket:
            return False
        if entry is not None:
            spared = self.proxy == "ebpf" and target.node_name == entry.name
            return not served.external_local and not spared
        return self.services.config.masquerade_all or (source.pod is not None and source.pod is target.pod)

    def composer(self, family: Family, policy: _Policy | None = None, source: Terminal | None = None) -> Composer:
        """Return the composer of paths in one family, with the policy walks of one kind of connection."""

        def walks(node: Node) -> ServiceWalks:
            return self.services.walks(family, node)

        def of_pod(pod: Pod, way: str, reply: bool) -> PolicyWalks | None:
            if policy is None or source is None:
                return None
            found = policy.walks[0 if pod is source.pod else 1][reply]
            return None if found == _NO_WALKS else found

        return Composer(self.cluster, self.plugin, self._legs, walks, of_pod)

    def paths(self, asked: Connection, policy: _Policy | None = None) -> tuple[Path, Path]:
        """Return the path from client to server, and the path back."""
        composer = self.composer(family_of(asked.target.address), policy, asked.source)
        return composer.forward(asked), composer.reply(asked)

    def policy_of(self, asked: Connection) -> _Policy:
        """Return what policies cost one connection and what they say of it."""
        if not self.engine.enforces:
            return _OPEN
        entry = self.cluster.node_index[asked.entry.name] if asked.entry is not None and asked.masquerade else None
        return self._policy(asked.source, asked.target, asked.port, asked.protocol, entry)

    # ---------------------------------------------------------------- compiling

    def _compile(self, asked: Connection, policy: _Policy) -> Routes:
        forward, reply = self.paths(asked, policy)
        mtu, path_mtu = self.mtus(asked)

        def route(path: Path, packet: Packet) -> Route:
            return fold(path, packet, self.prices_on, mtu_bytes=mtu, path_mtu_bytes=path_mtu)

        kinds = [(path, first, path is reply) for path in (forward, reply) for first in (True, False)]
        first, later, first_reply, later_reply = (
            route(path, Packet(opens, back, asked.protocol)) for path, opens, back in kinds
        )
        verdict, reason = self.answer(asked, policy)
        tracked = {crossing.role: None for crossing in forward.crossings if _tracks(crossing.hop)}
        outer = any(isinstance(c.hop, OuterConntrack) and c.hop.per_flow for c in forward.crossings)
        return Routes(
            first, first_reply, later, later_reply, verdict, reason, tuple(tracked),
            snat=asked.masquerade or self.leaves(asked), outer_conntrack=2 if outer else 0,
        )  # fmt: skip

    def leaves(self, asked: Connection) -> bool:
        """Tell whether the plugin masquerades the connection."""
        return asked.source.pod is not None and self.composer("IPv4").leaves_cluster(asked)

    def answer(self, asked: Connection, policy: _Policy) -> tuple[Verdict, str]:
        """Return what becomes of the connection: what policies say, or a Service that keeps to its own node."""
        if asked.via is not None and not asked.masquerade:
            return "DROP", f"externalTrafficPolicy Local: {asked.via.name} has no endpoint of its own"
        return policy.verdict, policy.reason

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

    def mtus(self, asked: Connection) -> tuple[int, int]:
        """Return the MTU both ends use, and the largest inner packet that passes every link on the way.

        A process of a node knows the MTU of the tunnel it sends through; a pod knows only its own interface's.
        """
        ends = [end for end in (asked.source, asked.target) if end.node is not None]
        nodes = [end.node for end in ends if end.node is not None] + ([asked.via] if asked.via else [])
        ipv6 = any(":" in node.addresses[0] for node in nodes if node.addresses)
        crossed = len({node.name for node in nodes}) > 1
        tunnel = self.plugin.tunnel_bytes(ipv6) if crossed and asked.target.pod is not None else 0
        own = []
        for end in ends:
            assert end.node is not None
            if end.on_host:
                own.append(end.node.machine.mtu - tunnel)
            else:
                own.append(self.plugin.pod_mtu_bytes(end.node.machine.mtu, ipv6) if self.mtu == "auto" else self.mtu)
        mtu = min(own, default=1500)
        if not crossed and len(ends) == 2:
            return mtu, mtu
        return mtu, min(node.machine.mtu for node in nodes) - tunnel


_NO_WALKS = PolicyWalks(PolicyWalk(), PolicyWalk())
_OPEN = _Policy(((_NO_WALKS, _NO_WALKS), (_NO_WALKS, _NO_WALKS)), "ALLOW", "")


def _address(addresses: tuple[str, ...], family: Family | None, name: str) -> str:
    """Return the address of a family, the primary one where there is none, the name where there is no address."""
    matching = (address for address in addresses if family is None or family_of(address) == family)
    return next(matching, addresses[0] if addresses else name)


def _policy_party(end: Terminal) -> PolicyParty:
    if end.node is None:
        return Outside(end.address)
    return end.pod if end.pod is not None else end.node


def _tracks(hop: object) -> bool:
    """Tell whether a hop keeps an entry per connection."""
    return isinstance(hop, Conntrack) or (isinstance(hop, Program) and hop.tracks)


__all__ = ["Datapath", "ExternalParty", "HostParty", "Party", "Role"]
