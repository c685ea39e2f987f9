"""The testbed of a case as a cluster of two or three nodes, and the ways of packets through it.

Paths depend on the subject alone and are composed once; routes are folded for the prices of a draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from netsim.calibration.published.hardware import Hardware
from netsim.calibration.published.policies import network_policies
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.subject import Subject, subject_of
from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import (
    Endpoint,
    EndpointPort,
    Fabric,
    Interrupts,
    Node,
    Pod,
    PodTemplate,
    Service,
    ServicePort,
)
from netsim.cluster.service_rules.config import ProxyConfig
from netsim.cluster.service_rules.counts import Counts
from netsim.datapath.acknowledgements import acknowledging
from netsim.datapath.costs import Prices
from netsim.datapath.datapath import Datapath
from netsim.datapath.encapsulation import Decapsulate
from netsim.datapath.encryption import Open, Seal
from netsim.datapath.gro import BEHIND_A_CARD
from netsim.datapath.masquerade import SourceNat
from netsim.datapath.mtu import Mtus
from netsim.datapath.netfilter import TABLES, Hook, HookName
from netsim.datapath.nic import Merge, receive, transmit
from netsim.datapath.parties import HostParty, Party
from netsim.datapath.passes import GSO_MAX_BYTES, fold, hop_ns
from netsim.datapath.path import Path
from netsim.datapath.routing import Route as Routing
from netsim.datapath.rule_list import RuleList
from netsim.datapath.services import ServiceRules
from netsim.datapath.socket import SocketReceive, SocketSend, StackReceive, file_pages
from netsim.datapath.step import Nat
from netsim.datapath.types import Bill, Crossing, Hop, Packet, Role, Route, Turn

PORT = 8080
TCP_HEADERS = 40
"""Of IPv4 and TCP without options, which a segment's size (``TCP_MAXSEG``) leaves out."""
SENDER, RECEIVER = "a", "b"
"""Names of the two nodes."""
_CLIENT, _NEIGHBOUR, _SERVER = 0, 1, 2
"""Pods: two on the first node, one on the second."""
INNER = "nic.gro_inner"
"""The hop that merges inner packets behind a tunnel device."""
SOCKETS = ("socket.send", "socket.receive")
"""Hops of system calls."""


class Share(NamedTuple):
    """Seconds of one hop for one burst, with the station that pays."""

    hop: str
    role: Role
    node: str
    seconds: float
    waiting: float
    bill: Bill


@dataclass(frozen=True)
class Way:
    """One direction of a connection, folded for one draw of prices."""

    route: Route
    path: Path
    again: Route
    """The same at the price of a loop: what a further buffer of a burst costs."""

    def shares(self, payload_bytes: int, position: float = 0.5, pieces: float = 1.0) -> list[Share]:
        """Return what each hop costs a burst.

        Parameters
        ----------
        position: the Service's place in the list, 0 to 1.
        pieces: buffers that receivers merge the segments to; work per buffer is paid for each of them, for those
            behind the first at the price of a loop.
        """
        segments = max(1, -(-payload_bytes // self.route.mss_bytes))
        found = []
        hops = zip(self.route.hops, self.again.hops, self.path.crossings, strict=True)
        for (name, index, bill), (_, _, again), crossing in hops:
            on_link = self.route.passes[index].pipelined
            work = 0.0 if on_link else hop_ns(bill, payload_bytes, segments, position) * 1e-9
            if crossing.role in BEHIND_A_CARD:
                work += (pieces - 1) * again.packet_ns * 1e-9
            waiting = (bill.latency_ns + bill.setup_ns) * 1e-9
            found.append(Share(name, crossing.role, crossing.node, work, waiting, bill))
        return found

    def work(
        self, payload_bytes: int = 1, position: float = 0.5, *, node: str = "", skip: Collection[str] = (),
        pieces: float = 1.0,
    ) -> float:  # fmt: skip
        """Return CPU seconds of one burst, on all cores of all nodes or of one."""
        return math.fsum(
            share.seconds
            for share in self.shares(payload_bytes, position, pieces)
            if (not node or share.node == node) and share.hop not in skip
        )

    def on(
        self, role: Role, payload_bytes: int, *, skip: Collection[str] = (), of: str = "", pieces: float = 1.0
    ) -> float:
        """Return CPU seconds of one burst on one kind of core, of all hops or those whose names begin with ``of``."""
        return math.fsum(
            share.seconds
            for share in self.shares(payload_bytes, pieces=pieces)
            if share.role is role and share.hop not in skip and share.hop.startswith(of)
        )

    def copied(self, payload_bytes: int, *, node: str = "", role: Role | None = None) -> float:
        """Return the part of a burst's work that is paid per byte: memory moves it, not the processor's clock."""
        found = zip(self.route.hops, self.path.crossings, strict=True)
        per_byte = math.fsum(
            bill.byte_ns
            for (_, index, bill), crossing in found
            if not (self.route.passes[index].pipelined or _by_the_clock(crossing.hop))
            and (not node or crossing.node == node) and role in (None, crossing.role)
        )  # fmt: skip
        return per_byte * payload_bytes * 1e-9

    def waiting(self) -> float:
        """Return seconds of latency and set-up on the way, serialisation of a small packet included."""
        on_wire = math.fsum(p.segment_s + p.byte_s for p in self.route.passes if p.pipelined)
        return on_wire + math.fsum(share.waiting for share in self.shares(1))

    def setups(self) -> float:
        """Return the part of `waiting` that is waking cores and programs up."""
        return math.fsum(share.bill.setup_ns for share in self.shares(1)) * 1e-9

    @property
    def whole(self) -> bool:
        """Whether bursts of many segments reach the receiver's transport layer as one buffer."""
        return self.route.arrives_whole


def _alike(subject: Subject, mtu: int) -> tuple[object, ...]:
    """Return what subjects share that have one datapath."""
    return (
        subject.plugin.name, subject.plugin.encapsulation, subject.proxy, subject.segmentation, subject.merging,
        subject.steered, subject.same_node, subject.tunnels,
        subject.hairpin, bool(subject.service), subject.services, subject.endpoints, mtu,
        subject.policies, bool(subject.policies.number) and subject.source == "pod",
    )  # fmt: skip


@dataclass(frozen=True)
class Ways:
    """The ways of a connection: the packets that open it, later ones, and those without data."""

    first: Way
    first_reply: Way
    forward: Way
    reply: Way
    acks: Way
    """The reply's way of one acknowledgement of many, from stack to stack at the price of a loop."""
    accept: Way
    """Of the acknowledgement that completes the handshake."""
    close: tuple[Way, Way]
    """Of the ends of both streams, forth and back."""
    bare: tuple[Way, Way]
    """Of acknowledgements, forth and back."""
    scan: float
    """Seconds to walk the whole Service list, which a first packet pays in part."""

    @property
    def burst_bytes(self) -> int:
        """Payload of the largest buffer of the sender, the unit in which bulk is counted."""
        return GSO_MAX_BYTES - 52


class Testbed:
    """Two nodes with the pods and Services a case needs.

    Parameters
    ----------
    hardware: of both nodes.
    clock_ghz: clock of the cost profile, used where the hardware states none.
    """

    def __init__(self, hardware: Hardware, clock_ghz: float) -> None:
        self.hardware = hardware
        self.machine = hardware.machine(clock_ghz)
        self._subjects: dict[tuple[tuple[str, str], ...], tuple[Subject, frozenset[str]]] = {}
        self._datapaths: dict[tuple[object, ...], Datapath] = {}
        self._rule_counts: dict[tuple[tuple[object, ...], ProxyConfig], Counts] = {}
        self._paths: dict[tuple[object, ...], tuple[Path, Path, Mtus]] = {}

    def subject(self, setting: Setting, names: Mapping[str, Mapping[str, str]]) -> Subject:
        """Return what a setting measures here; ``names`` are the case's own names of plugins."""
        known = self._subjects.get(setting.key)
        if known is None:
            asked = replace(setting, used=set())
            subject = subject_of(asked, self.hardware, names)
            known = self._subjects[setting.key] = subject, frozenset(asked.used)
        setting.used.update(known[1])
        return known[0]

    def cluster(self, subject: Subject, mtu: int) -> Cluster:
        """Return the nodes, three pods, and as many Services as the row has, all with the same backends."""
        tso, gro = self.machine.tso and subject.segmentation, self.machine.gro and subject.merging
        interrupts: Interrupts = "steered" if subject.steered else self.machine.interrupts
        inside = self.machine.tunnel if subject.tunnels is None else subject.tunnels == "whole"
        machine = replace(self.machine, mtu=mtu, tso=tso, gro=gro, interrupts=interrupts, tunnel=inside)
        nodes = tuple(
            Node(name, (f"192.0.2.{index + 1}",), (f"10.0.{index}.0/24",), machine)
            for index, name in enumerate((SENDER, RECEIVER))
        )
        server = PodTemplate(labels={"app": "server"})
        client = PodTemplate(labels={"app": "client"})
        pods = (
            Pod("client", client, SENDER, ("10.0.0.2",)),
            Pod("neighbour", client if not subject.same_node else server, SENDER, ("10.0.0.3",)),
            Pod("server", server if not subject.same_node else client, RECEIVER, ("10.0.1.2",)),
            *(
                Pod(f"replica-{index}", server, RECEIVER, (f"10.0.1.{index + 3}",))
                for index in range(min(subject.endpoints, 100) - 1)
            ),
        )
        count = max(1, subject.services) if subject.service or subject.services else 0
        web = (ServicePort(80, target_port=PORT),)
        datagrams = (ServicePort(80, "datagrams", "UDP", PORT),) if count == 1 else ()
        selector = {"app": "client" if subject.hairpin else "server"}
        services = tuple(
            Service("default", f"service-{index}", cluster_ips=(f"10.96.{index // 250}.{index % 250 + 1}",),
                    ports=(*web, *datagrams), selector=selector)
            for index in range(count)
        )  # fmt: skip
        # all Services have the same backends, so their endpoints are worked out once
        backing = tuple(
            Endpoint(pod.addresses[0], (EndpointPort(PORT), *(EndpointPort(PORT, p.name, "UDP") for p in datagrams)),
                     node=pod.node, pod=pod.key)
            for pod in pods
            if pod.labels.items() >= selector.items()
        )  # fmt: skip
        return Cluster(
            nodes=nodes, pods=pods, services=services, slices={service.key: backing for service in services},
            cluster_cidrs=("10.0.0.0/16",), service_cidrs=("10.96.0.0/12",),
            policies=network_policies(subject.policies, from_pod=subject.source == "pod", port=PORT),
            fabric=Fabric(link_latency_s=self.hardware.one_way_s / 2),
        )  # fmt: skip

    def datapath(self, subject: Subject, mtu: int) -> Datapath:
        """Return the datapath of a subject; subjects that differ in their ends alone share it."""
        key = _alike(subject, mtu)
        known = self._datapaths.get(key)
        if known is None:
            known = self._datapaths[key] = Datapath(self.cluster(subject, mtu), subject.plugin, subject.proxy)
        return known

    def rule_counts(self, subject: Subject, config: ProxyConfig) -> Counts:
        """Return what the proxy of a node with Services programs: counted once, no price moves it."""
        subject = replace(subject, service=True)
        key = _alike(subject, self.machine.mtu), config
        if key not in self._rule_counts:
            cluster = self.datapath(subject, self.machine.mtu).cluster
            self._rule_counts[key] = ServiceRules(cluster, subject.proxy, config).counts("IPv4", cluster.nodes[0])
        return self._rule_counts[key]

    def ways(
        self, subject: Subject, prices: Prices, *, mtu: int = 0, mss: int = 0, protocol: str = "TCP"
    ) -> Ways:  # fmt: skip
        """Return the ways of a subject under some prices; a socket's ``mss`` limits its segments, options included."""
        mtu = mtu or self.machine.mtu
        forward, reply, sizes = self._composed(subject, mtu, protocol)
        used = min(sizes.used, mss + TCP_HEADERS) if mss else sizes.used

        def way(path: Path, first: bool, back: bool, here: Prices = prices, turn: Turn = "message") -> Way:
            packet = Packet(first, back, protocol, turn=turn)

            def folded(at: Prices) -> Route:
                return fold(path, packet, lambda node: at, mtu_bytes=used, path_mtu_bytes=sizes.path)

            return Way(folded(here), path, folded(here.in_loop))

        first = way(forward, True, False)
        scan = math.fsum(item.scan_s for item in first.route.passes)
        acks = way(acknowledging(reply), False, True, prices.in_loop)

        def later(turn: Turn) -> tuple[Way, Way]:
            return way(forward, False, False, turn=turn), way(reply, False, True, turn=turn)

        return Ways(
            first, way(reply, True, True), *later("message"), acks, later("accept")[0], later("close"), later("bare"),
            scan,
        )  # fmt: skip

    def _composed(self, subject: Subject, mtu: int, protocol: str) -> tuple[Path, Path, Mtus]:
        key = (*subject.key, mtu, protocol)
        known = self._paths.get(key)
        if known is None:
            known = self._paths[key] = self._compose(subject, mtu, protocol)
        return known

    def _compose(self, subject: Subject, mtu: int, protocol: str) -> tuple[Path, Path, Mtus]:
        datapath = self.datapath(subject, mtu)
        source: Party = _CLIENT if subject.source == "pod" else HostParty(0)
        target = self._target(subject)
        service = ("default/service-0", 80) if subject.service else None
        asked = datapath.connection(source, target, protocol=protocol, port=PORT, service=service)
        forward, reply = datapath.paths(asked, datapath.policing.case(asked))
        sizes = datapath.mtus(asked)
        if not subject.segmentation:
            forward, reply = _sending(forward, _segmented), _sending(reply, _segmented)
        if not subject.checksum:
            forward, reply = _without_checksums(forward), _without_checksums(reply)
        if subject.tunnels == "unmerged":
            forward, reply = _unmerged(forward), _unmerged(reply)
        if subject.from_file:
            forward = _sending(forward, lambda socket: replace(socket, from_file=file_pages(self.machine.kernel)))
        if subject.gateway:
            forward = self._through_gateway(forward)
        if subject.rules is not None:
            forward = _walking(forward, subject.rules, sending=subject.chain == "output")
            reply = _walking(reply, subject.rules, sending=True) if subject.chain == "forward" else reply
        return forward, reply, sizes

    @staticmethod
    def _target(subject: Subject) -> Party:
        if subject.hairpin:
            return _CLIENT
        if subject.target == "pod" or subject.gateway:
            return _NEIGHBOUR if subject.same_node else _SERVER
        return HostParty(0 if subject.same_node else 1)

    def _through_gateway(self, path: Path) -> Path:
        """Let the receiving node forward to a host outside instead: decapsulation, source NAT, a plain receiver."""
        node = RECEIVER
        arrived = [c for c in path.crossings if c.role < Role.SOFTIRQ_CORE]
        inside = [c for c in path.crossings if c.role is Role.SOFTIRQ_CORE]
        end = next((i for i, c in enumerate(inside) if isinstance(c.hop, Decapsulate)), 0) + 1
        merged = [c for c in inside[end : end + 1] if c.hop.name == INNER]
        hidden = Nat(("10.0.0.2", 40000), ("203.0.113.10", PORT), ("203.0.113.10", PORT), ("192.0.2.2", 40000))
        forwarding = (
            _hook("prerouting"), *(c.hop for c in inside if c.hop.name == "conntrack"), Routing(),
            _hook("forward"), _hook("postrouting"), SourceNat(hidden),
            *transmit(self.machine, tunnelled=False),
        )  # fmt: skip
        links = [c for c in arrived if c.role is Role.SENDER_LINK]
        outside = [*receive(self.machine, tunnelled=False), StackReceive()]
        return Path(
            path.start,
            (
                *(c if c.role < Role.RECEIVER_LINK else c._replace(role=Role.VIA_LINK_IN) for c in arrived),
                *(c._replace(role=Role.VIA_CORE) for c in (*inside[:end], *merged)),
                *(Crossing(hop, Role.VIA_CORE, node) for hop in forwarding),
                *(c._replace(role=Role.RECEIVER_LINK, node="c") for c in links),
                *(Crossing(hop, Role.SOFTIRQ_CORE, "c") for hop in outside),
                Crossing(SocketReceive(), Role.RECEIVER_CORE, "c"),
            ),
        )


def _hook(name: HookName) -> Hook:
    """Return a hook with a node's tables."""
    return Hook(f"netfilter.{name}", tables=TABLES[name])


def _walking(path: Path, rules: RuleList, *, sending: bool) -> Path:
    """Let packets walk a list of rules between the receiver's cards and its stack, or behind the sender's socket."""
    crossings = list(path.crossings)
    wanted = SocketSend if sending else StackReceive
    last = max(index for index, crossing in enumerate(crossings) if isinstance(crossing.hop, wanted))
    crossings.insert(last + sending, crossings[last]._replace(hop=rules))
    return Path(path.start, tuple(crossings))


def _sending(path: Path, otherwise: Callable[[SocketSend], SocketSend]) -> Path:
    """Let the sender's socket send otherwise."""

    def changed(crossing: Crossing) -> Crossing:
        if isinstance(crossing.hop, SocketSend):
            return crossing._replace(hop=otherwise(crossing.hop))
        return crossing

    return Path(path.start, tuple(changed(crossing) for crossing in path.crossings))


def _segmented(socket: SocketSend) -> SocketSend:
    """Return the socket of a stack that makes every segment itself, as neither the card nor the stack below does."""
    return replace(socket, aggregates=False)


def _by_the_clock(hop: Hop) -> bool:
    """Tell whether a hop's work per byte is the processor's and not memory's: ciphers, pages that nobody copies."""
    return isinstance(hop, (Seal, Open)) or (isinstance(hop, SocketSend) and hop.from_file is not None)


def _unmerged(path: Path) -> Path:
    """Let nothing be merged behind a tunnel."""
    return Path(path.start, tuple(c for c in path.crossings if not (isinstance(c.hop, Merge) and c.hop.name == INNER)))


def _without_checksums(path: Path) -> Path:
    """Let software do what a tunnel device without checksum offload leaves to it.

    The sender's stack makes every segment itself, with its checksum; GRO at the receiver has to verify them.
    """

    def changed(crossing: Crossing) -> Crossing:
        if isinstance(crossing.hop, SocketSend):
            return crossing._replace(hop=replace(crossing.hop, aggregates=False, software_checksum=True))
        if isinstance(crossing.hop, Merge):
            return crossing._replace(hop=replace(crossing.hop, software_checksum=True))
        return crossing

    return Path(path.start, tuple(changed(crossing) for crossing in path.crossings))
