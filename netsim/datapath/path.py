"""Paths: the ordered hops from one end of a connection to the other, with the headers behind each.

A path is a pure function of the cluster, the plugin and the connection. It is composed from legs (the way through one
node, listed by the plugin) and wires (links and fabric), the same for every pair of ends of a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Interrupts, Node, Pod
from netsim.cluster.service_rules import WalkModel
from netsim.datapath.encapsulation import Decapsulate
from netsim.datapath.fragments import Datagrams, cut_behind_hooks, datagrams, tracked
from netsim.datapath.link import Border, Link, Locality, fabric_links
from netsim.datapath.netfilter import Netfilter
from netsim.datapath.nic import Backlog, ReceiveDma, Steer, merge_after_decapsulation, receive, steered, transmit
from netsim.datapath.placement import placement
from netsim.datapath.plugin import Legs, LegSteps, Plugin
from netsim.datapath.service_nat import SocketBalancer
from netsim.datapath.socket import Loopback, SocketReceive, SocketSend, StackReceive
from netsim.datapath.step import NO_SERVICE, Leg, Nat, PolicyWalks, ServiceWalks, Tunnel
from netsim.datapath.types import Crossing, Headers, Hop, Packet, Role

CLIENT_PORT = 40000
"""Stands for the ephemeral port a client would draw."""
ETHERNET_BYTES, IPV4_BYTES, IPV6_BYTES = 14, 20, 40
TRANSPORT_BYTES = {"TCP": 20, "UDP": 8, "SCTP": 28}
"""TCP without options; SCTP's common header and one DATA chunk's."""
EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Terminal:
    """One end of a connection: a pod, a process of a node (host-network pods are such), or a host outside.

    ``node`` is ``None`` outside the cluster; ``pod`` is set for pods with a network of their own only.
    """

    name: str
    address: str
    node: Node | None = None
    pod: Pod | None = None

    @property
    def on_host(self) -> bool:
        """Lives in its node's network namespace."""
        return self.node is not None and self.pod is None

    @property
    def node_name(self) -> str:
        """Name of its node, ``external`` outside the cluster."""
        return self.node.name if self.node is not None else EXTERNAL


@dataclass(frozen=True, slots=True)
class Connection:
    """What is asked of the composer.

    ``target`` is the backend where a Service is used; ``frontend`` the Service's address and port as the client wrote
    it. ``entry`` is a third node that translates and forwards (a node port's second hop); ``at_socket`` means that
    connect() exchanges the address; ``masquerade`` that the translating node hides the client's address.
    """

    source: Terminal
    target: Terminal
    protocol: str = "TCP"
    port: int = 80
    frontend: tuple[str, int] | None = None
    service: WalkModel = NO_SERVICE
    entry: Node | None = None
    at_socket: bool = False
    masquerade: bool = False

    @property
    def via(self) -> Node | None:
        """Return the entry node where it is neither end's own."""
        ends = {self.source.node_name, self.target.node_name}
        return self.entry if self.entry is not None and self.entry.name not in ends else None

    @property
    def translator(self) -> Node | None:
        """Return the node that translates the Service's address."""
        if self.frontend is None or self.at_socket:
            return None
        return self.entry or self.source.node or self.target.node

    @property
    def seen_as(self) -> str | None:
        """Return the address under which a masqueraded client arrives, ``None`` for its own."""
        return address_of(self.translator) if self.masquerade and self.translator is not None else None

    @property
    def on_wire(self) -> Datagrams:
        """Return how datagrams above the MTU travel between nodes."""
        return "cut" if self.protocol == "UDP" else ""

    @property
    def same_pod(self) -> bool:
        """Both ends are containers of one pod."""
        return self.source.pod is not None and self.source.pod is self.target.pod

    @property
    def loops_back(self) -> bool:
        """The packet never leaves a network namespace (a Service's translation would lead it through the node)."""
        return self.same_pod and (self.frontend is None or self.at_socket)


@dataclass(frozen=True, slots=True)
class Path:
    """One direction of a connection: the headers as the sender's socket writes them, and the hops."""

    start: Headers
    crossings: tuple[Crossing, ...]

    def trace(self, packet: Packet) -> Iterator[tuple[Crossing, Headers, Headers]]:
        """Yield each crossing with the headers in front of it and behind it."""
        headers = self.start
        for crossing in self.crossings:
            behind = crossing.hop.rewrite(headers, packet)
            yield crossing, headers, behind
            headers = behind

    def arriving(self, packet: Packet) -> Headers:
        """Return the headers as the receiver sees them."""
        headers = self.start
        for crossing in self.crossings:
            headers = crossing.hop.rewrite(headers, packet)
        return headers


PolicyOf = Callable[[Pod, bool], PolicyWalks | None]
"""(pod, reply) -> what the plugin's policy engine walks at that end of the connection."""


def localities(cluster: Cluster) -> Callable[[Node, Node], Locality]:
    """Return the function that says how far apart two nodes of a cluster are."""

    def locality(one: Node, other: Node) -> Locality:
        if one.name == other.name:
            return "same node"
        if one.zone and other.zone and one.zone != other.zone:
            return "other zone"
        return "same rack" if rack_of(cluster, one) == rack_of(cluster, other) else "other rack"

    return locality


def rack_of(cluster: Cluster, node: Node) -> str:
    """Return a node's rack; nodes that state none fill racks in cluster order."""
    if node.rack:
        return node.rack
    return f"#{cluster.node_index[node.name] // max(1, cluster.fabric.nodes_per_rack)}"


@dataclass(frozen=True)
class Composer:
    """Composes paths under one plugin and proxy mode.

    Parameters
    ----------
    cluster: what exists; its fabric and the places of its nodes are read.
    plugin, legs: the plugin and its legs under the proxy mode.
    walks: service rules of a node, by its name.
    policy: what the plugin's policy engine walks.
    """

    cluster: Cluster
    plugin: Plugin
    legs: Legs
    walks: Callable[[Node], ServiceWalks]
    policy: PolicyOf

    def forward(self, asked: Connection) -> Path:
        """Return the path from the client to the server."""
        address, port = asked.frontend or (asked.target.address, asked.port)
        start = Headers(asked.source.address, address, CLIENT_PORT, port, None, header_bytes(asked))
        return Path(start, tuple(self._crossings(asked, asked.source, asked.target, reply=False)))

    def reply(self, asked: Connection) -> Path:
        """Return the path back: it starts with the addresses under which the server saw the client."""
        seen = self.forward(asked).arriving(Packet(first=True, reply=False, protocol=asked.protocol))
        start = Headers(seen.dst, seen.src, seen.dst_port, seen.src_port, None, header_bytes(asked))
        return Path(start, tuple(self._crossings(asked, asked.target, asked.source, reply=True)))

    # ---------------------------------------------------------------- from socket to socket

    def _crossings(self, asked: Connection, sender: Terminal, receiver: Terminal, *, reply: bool) -> Iterator[Crossing]:
        yield from self._sending(asked, sender, receiver, reply)
        if sender.node is not None and sender.node_name == receiver.node_name and asked.via is None:
            node = sender.node
            hops = self._within(asked, sender, receiver, reply)
            if datagrams(asked.protocol, node.machine) == "cut":
                hops = tracked(hops)
            read, joined = self._read(asked, sender, receiver), self._joined(asked, sender, receiver)
            stack = StackReceive(read, joined, bool(asked.on_wire))
            yield from (Crossing(hop, Role.SENDER_CORE, node.name) for hop in (*hops, stack))
        else:
            yield from self._across(asked, sender, receiver, reply)
        if receiver.node is not None:
            joined, in_pod = self._joined(asked, sender, receiver), receiver.pod is not None
            reader = SocketReceive(self._read(asked, sender, receiver), joined, in_pod)
            yield Crossing(reader, Role.RECEIVER_CORE, receiver.node_name)
            if asked.at_socket and reply and asked.protocol == "UDP":
                yield Crossing(self._balancer(asked), Role.RECEIVER_CORE, receiver.node_name)

    def _sending(self, asked: Connection, sender: Terminal, receiver: Terminal, reply: bool) -> Iterator[Crossing]:
        if sender.node is None:
            return
        if asked.at_socket and not reply:
            yield Crossing(self._balancer(asked), Role.SENDER_CORE, sender.node_name)
        leaves = sender.node_name != receiver.node_name or asked.via is not None
        checksums = sender.node.machine.checksum or not leaves
        aggregates = checksums if asked.protocol != "UDP" else self._takes_whole(sender, leaves)
        freed = placement(sender.node.machine) if leaves else "steered"
        joined = self._joined(asked, sender, receiver)
        yield Crossing(SocketSend(aggregates, not checksums, freed, joined), Role.SENDER_CORE, sender.node_name)

    def _takes_whole(self, sender: Terminal, leaves: bool) -> bool:
        """Tell whether datagrams of any size leave a socket whole: to an old virtual device, or to hooks of its own."""
        assert sender.node is not None
        if datagrams("UDP", sender.node.machine, to_card=sender.on_host and leaves) == "whole":
            return True
        legs = self.legs
        if sender.on_host:
            return cut_behind_hooks(legs.host_out if leaves else legs.host_to_pod)
        return cut_behind_hooks(legs.egress if leaves else legs.local)

    def _joined(self, asked: Connection, sender: Terminal, receiver: Terminal) -> bool:
        """Tell whether the plugin joins the sockets of both ends: TCP between pods of one node."""
        pods = sender.pod is not None and receiver.pod is not None and sender.node_name == receiver.node_name
        return self.plugin.joins_sockets and pods and asked.protocol == "TCP" and asked.via is None

    @staticmethod
    def _read(asked: Connection, sender: Terminal, receiver: Terminal) -> Interrupts:
        """Return where a receiver's data come from: its card's interrupts, or the sender on the same node."""
        assert receiver.node is not None
        within = sender.node_name == receiver.node_name and asked.via is None
        return "hashed" if within and receiver.node.machine.cores > 1 else placement(receiver.node.machine)

    def _balancer(self, asked: Connection) -> SocketBalancer:
        assert asked.frontend is not None
        assert asked.source.node is not None
        walks = self.walks(asked.source.node).of_service(asked.service)
        client = (asked.source.address, CLIENT_PORT)
        return SocketBalancer(walks, Nat(client, asked.frontend, (asked.target.address, asked.port)))

    def _within(self, asked: Connection, sender: Terminal, receiver: Terminal, reply: bool) -> Iterator[Hop]:
        """Yield the hops between two ends on one node."""
        assert sender.node is not None
        if asked.loops_back:
            yield Loopback()
            return
        if sender.on_host and receiver.on_host:
            yield Loopback()
        walks = [self.policy(end.pod, reply) for end in (sender, receiver) if end.pod is not None]
        leg = replace(self._leg(asked, sender.node, reply), policy=_joined(walks))
        for step in self._local_steps(sender, receiver, leg):
            yield from step.hops(leg)

    def _local_steps(self, sender: Terminal, receiver: Terminal, leg: Leg) -> LegSteps:
        if sender.on_host:
            return _HOST_LOOP if receiver.on_host else self.legs.host_to_pod
        return self.legs.pod_to_host if receiver.on_host else self.legs.between_pods(leg, leaves=True, arrives=True)

    def _across(self, asked: Connection, sender: Terminal, receiver: Terminal, reply: bool) -> Iterator[Crossing]:
        """Yield egress, wires, the entry node with its wires if there is one, ingress."""
        via = asked.via
        last = via or sender.node
        if sender.node is not None:
            leg = replace(
                self._leg(asked, sender.node, reply),
                policy=self.policy(sender.pod, reply) if sender.pod is not None else None,
                tunnel_out=self._tunnel(asked, sender.node, via or receiver.node),
            )
            out = self.legs.host_out if sender.on_host else self.legs.between_pods(leg, leaves=True, arrives=False)
            sent = datagrams(asked.protocol, sender.node.machine, to_card=sender.on_host)
            yield from self._out(out, leg, Role.SENDER_CORE, sent)
        if via is not None:
            yield from self._wires(sender.node, via, _SENDER_UP, Role.VIA_LINK_IN)
            leg = replace(
                self._leg(asked, via, reply),
                tunnel_in=self._tunnel(asked, sender.node, via),
                tunnel_out=self._tunnel(asked, via, receiver.node),
            )
            yield from self._in(self.legs.transit, leg, Role.VIA_CORE, asked.on_wire)
            yield from self._out((), leg, steered(via.machine, Role.VIA_CORE))
        yield from self._wires(last, receiver.node, _VIA_UP if via is not None else _SENDER_UP, Role.RECEIVER_LINK)
        if receiver.node is not None:
            leg = replace(
                self._leg(asked, receiver.node, reply),
                policy=self.policy(receiver.pod, reply) if receiver.pod is not None else None,
                tunnel_in=self._tunnel(asked, last, receiver.node),
            )
            into = self.legs.host_in if receiver.on_host else self.legs.between_pods(leg, leaves=False, arrives=True)
            yield from self._in(into, leg, Role.SOFTIRQ_CORE, asked.on_wire)
            machine = receiver.node.machine
            stack = StackReceive(placement(machine), fragments=bool(asked.on_wire))
            yield Crossing(stack, steered(machine, Role.SOFTIRQ_CORE), receiver.node_name)

    # ---------------------------------------------------------------- legs

    def _leg(self, asked: Connection, node: Node, reply: bool) -> Leg:
        """Return what is known at a node, without tunnels and policy."""
        nat = snat = None
        client = (asked.source.address, CLIENT_PORT)
        server = (asked.target.address, asked.port)
        hidden = (address_of(node), CLIENT_PORT)
        if asked.translator is not None and asked.translator.name == node.name:
            assert asked.frontend is not None
            nat = Nat(client, asked.frontend, server, hidden if asked.masquerade else None)
        if asked.source.pod is not None and asked.source.node_name == node.name and self.leaves_cluster(asked):
            snat = Nat(client, server, server, hidden)
        walks = self.walks(node).of_service(asked.service)
        return Leg(node.name, node.machine, reply, walks, nat, snat, pods=self._pods_per_node)

    @cached_property
    def _pods_per_node(self) -> float:
        return len(self.cluster.pods) / max(1, len(self.cluster.nodes))

    def leaves_cluster(self, asked: Connection) -> bool:
        """Tell whether a pod's traffic takes its node's address on the way out."""
        target, rule = asked.target, self.plugin.masquerade
        if rule == "outside-node":
            return target.node_name != asked.source.node_name
        if target.pod is not None or target.node_name == asked.source.node_name or rule == "never":
            return False
        if target.node is None:
            return True
        return rule == "outside-pods" or (rule == "outside-private" and not ip_address(target.address).is_private)

    def _tunnel(self, asked: Connection, one: Node | None, other: Node | None) -> Tunnel | None:
        """Return the tunnel between two neighbouring nodes of the way.

        Pods are reached in tunnels, from pods and from processes of the cluster's nodes; a node's own address is not.
        """
        if one is None or other is None or self.plugin.encapsulation is None or asked.target.pod is None:
            return None
        if asked.via is not None and asked.source.node_name in (one.name, other.name):
            return None
        return Tunnel(address_of(one), address_of(other))

    def _out(self, steps: LegSteps, leg: Leg, role: Role, sent: Datagrams = "") -> Iterator[Crossing]:
        """Lay a leg up to the card."""
        hops = (hop for step in steps for hop in step.hops(leg))
        yield from (Crossing(hop, role, leg.node) for hop in (tracked(hops) if sent == "cut" else hops))
        card = transmit(leg.machine, leg.tunnel_out is not None, datagrams=sent == "whole")
        yield from (Crossing(hop, role, leg.node) for hop in card)

    def _in(self, steps: LegSteps, leg: Leg, role: Role, come: Datagrams) -> Iterator[Crossing]:
        """Lay a leg behind the card; where a tunnel ends, inner segments may be merged, datagrams never."""
        tunnel, card = self.plugin.encapsulation, leg.machine
        if tunnel is not None and tunnel.cipher is not None:
            card = replace(card, tunnel=False)  # no card merges what it cannot read
        into = receive(card, leg.tunnel_in is not None, datagrams=bool(come))
        yield from (Crossing(hop, role, leg.node) for hop in into)
        other = steered(leg.machine, role)
        if other is not role:
            yield from (Crossing(Steer(), role, leg.node), Crossing(Backlog(), other, leg.node))
            role = other
        hops = (hop for step in steps for hop in step.hops(leg))
        for hop in tracked(hops) if come else hops:
            yield Crossing(hop, role, leg.node)
            if isinstance(hop, Decapsulate):
                inner = merge_after_decapsulation(card, datagrams=bool(come))
                yield from (Crossing(merge, role, leg.node) for merge in inner)

    # ---------------------------------------------------------------- wires

    def _wires(
        self, sender: Node | None, receiver: Node | None, up: tuple[Role, Role, Role], down: Role
    ) -> Iterator[Crossing]:
        """Yield the links between two nodes, or between a node and the outside."""
        fabric = self.cluster.fabric
        ends = [node for node in (sender, receiver) if node is not None]
        link_up, leaf_up, leaf_down = up
        if sender is not None:
            yield Crossing(Link(sender.machine.nic_bps, fabric.link_latency_s, "link.up"), link_up, sender.name)
        if sender is None or receiver is None:
            yield Crossing(Border(ends[0].machine.nic_bps), Role.BORDER, EXTERNAL)
        else:
            links = fabric_links(fabric, sender.machine.nic_bps, localities(self.cluster)(sender, receiver))
            for link, role, node in zip(links, (leaf_up, leaf_down), (sender, receiver), strict=False):
                yield Crossing(link, role, rack_of(self.cluster, node))
        if receiver is not None:
            yield Crossing(Link(receiver.machine.nic_bps, fabric.link_latency_s, "link.down"), down, receiver.name)
            yield Crossing(ReceiveDma(), down, receiver.name)


_SENDER_UP = (Role.SENDER_LINK, Role.LEAF_UP, Role.LEAF_DOWN)
_VIA_UP = (Role.VIA_LINK_OUT, Role.VIA_LEAF_UP, Role.VIA_LEAF_DOWN)
_HOST_LOOP: LegSteps = (Netfilter("output"), Netfilter("input"))


def address_of(node: Node) -> str:
    """Return a node's primary address; its name stands for one that is not known."""
    return node.addresses[0] if node.addresses else node.name


def _joined(walks: list[PolicyWalks | None]) -> PolicyWalks | None:
    """Add up what the policies of both ends of one node cost."""
    joined: PolicyWalks | None = None
    for item in walks:
        if joined is None or item is None:
            joined = item or joined
        else:
            joined = PolicyWalks(joined.first.plus(item.first), joined.later.plus(item.later))
    return joined


def header_bytes(asked: Connection) -> int:
    """Return Ethernet, IP and transport headers of one segment of a connection."""
    ipv6 = ":" in asked.source.address or ":" in asked.target.address
    return ETHERNET_BYTES + (IPV6_BYTES if ipv6 else IPV4_BYTES) + TRANSPORT_BYTES[asked.protocol]
