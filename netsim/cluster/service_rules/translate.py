"""What becomes of a packet to a service address at a node: translated, masqueraded, refused, dropped or left alone.

One core for the three kube-proxy modes and the eBPF datapath, and the points where their answers differ (`Answers`).
Sources: kubernetes ``pkg/proxy/{iptables,ipvs,nftables}/proxier.go``; Cilium's kube-proxy replacement documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

from netsim.cluster.objects import Node
from netsim.cluster.service_rules.categorize import Choice
from netsim.cluster.service_rules.config import ProxyMode, inside
from netsim.cluster.service_rules.counts import Site
from netsim.cluster.service_rules.ports import Backend, ServedPort
from netsim.cluster.service_rules.table import LOOPBACK, ServiceTable

Outcome = Literal["DNAT", "REJECT", "DROP", "ACCEPT", "NONE"]
"""DNAT to one backend, REJECT: refused at once, DROP: the client times out, ACCEPT: let in by a rule, NONE: no rule."""
Kind = Literal["cluster", "external", "load_balancer", "node_port", ""]


class Source(Enum):
    """Where a packet comes from, as seen by the node that translates it."""

    POD = "pod"
    NODE = "node"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Translation:
    """What a node does with the first packet of a connection to a service address.

    ``backends`` are equally likely. ``masquerade``: the source becomes the node's address, for every backend; with
    ``spares_local`` not for backends on this node. ``at_socket``: the address is exchanged in connect(), so nothing is
    rewritten on the wire. ``reply_lost``: the packet arrives, but its reply bypasses this node: the client times out.
    """

    outcome: Outcome
    kind: Kind = ""
    port: ServedPort | None = None
    backends: tuple[Backend, ...] = ()
    masquerade: bool = False
    node: str = ""
    source: str = ""
    at_socket: bool = False
    spares_local: bool = False
    reply_lost: bool = False

    def hairpin(self, backend: Backend) -> bool:
        """Tell whether the client would talk to itself through the service."""
        return backend.address == self.source

    def masquerades(self, backend: Backend) -> bool:
        """Tell whether the packet leaves with the node's address as its source when this backend is drawn."""
        if self.at_socket:
            return False
        if self.masquerade and not (self.spares_local and backend.on(self.node)):
            return True
        return self.hairpin(backend)

    def second_hop(self, backend: Backend) -> bool:
        """Tell whether the packet leaves this node for another one after its translation."""
        return not backend.on(self.node)


@dataclass(frozen=True, slots=True)
class Answers:
    """Where the modes differ."""

    local_fallback: bool = False
    """Policy Local without local endpoints: use all (ipvs) instead of DROP."""
    wrong_port_rejected: bool = False
    """Another port of a service address is refused at the node."""
    unallocated_dropped: bool = False
    """Addresses of the service range that no Service has are dropped at the node."""
    at_socket: bool = False
    """Pods and processes of the node are translated in connect()."""
    accepts_health_checks: bool = False
    """A filter rule accepts health-check node ports."""
    filters_first: bool = False
    """Source ranges apply also to a Service without endpoints."""
    localhost: bool = True
    """Node ports may answer on the loopback address."""


ANSWERS: Mapping[ProxyMode, Answers] = {
    "iptables": Answers(accepts_health_checks=True),
    "ipvs": Answers(
        local_fallback=True, wrong_port_rejected=True, accepts_health_checks=True, filters_first=True, localhost=False
    ),
    "nftables": Answers(wrong_port_rejected=True, unallocated_dropped=True, filters_first=True, localhost=False),
    "ebpf": Answers(at_socket=True, filters_first=True),
}


@dataclass(frozen=True, slots=True)
class _Request:
    """A packet at a node, with everything that is known of it."""

    table: ServiceTable
    site: Site
    answers: Answers
    source: str
    destination: str
    origin: Source


def translate(
    table: ServiceTable, node: Node, source: str, destination: tuple[str, int], protocol: str = "TCP"
) -> Translation:
    """Return what a node does with the first packet of a connection.

    Parameters
    ----------
    table: the cluster's Services in the family of the addresses, with the proxy mode.
    node: the node whose rules apply: the client's own for pods and processes, the entry node for traffic from outside.
    source: address the packet comes from.
    destination: address and port it is sent to: a cluster, external, load-balancer or node address, or any other.
    protocol: ``TCP``, ``UDP`` or ``SCTP``.
    """
    site = table.site(node)
    answers = ANSWERS[table.rules.mode]
    address, port = destination
    request = _Request(table, site, answers, source, address, _origin(table, site, source))
    served = table.by_address.get((protocol, address, port))
    if served is not None:
        kind: Kind = "cluster" if address == served.cluster_ip else "external"
        if address in served.load_balancer_ips:
            kind = "load_balancer"
        return _served(request, served, kind)
    if address == LOOPBACK[table.family] or address in site.addresses:
        at_node_port = table.by_node_port.get((protocol, port))
        if at_node_port is not None and _node_port_open(request):
            return _served(request, at_node_port, "node_port")
        if answers.accepts_health_checks and protocol == "TCP" and port in table.health_check_ports:
            return Translation("ACCEPT", node=site.name, source=source)
    return _unserved(request)


def _origin(table: ServiceTable, site: Site, source: str) -> Source:
    if table.config.detects_local and inside(source, table.local_cidrs):
        return Source.POD
    if source in site.addresses or inside(source, ("127.0.0.0/8", "::1/128")):
        return Source.NODE
    return Source.OUTSIDE


def _node_port_open(request: _Request) -> bool:
    chosen = request.site.node_port_addresses
    if request.destination == LOOPBACK[request.table.family]:
        config = request.table.config
        works = request.answers.localhost and config.localhost_node_ports and request.table.family == "IPv4"
        return works and (chosen is None or request.destination in chosen)
    return chosen is None or request.destination in chosen


def _unserved(request: _Request) -> Translation:
    """No Service has this address and port."""
    table, answers = request.table, request.answers
    known = table.cluster_ips if answers.unallocated_dropped else table.service_addresses
    outcome: Outcome = "NONE"
    if answers.wrong_port_rejected and request.destination in known:
        outcome = "REJECT"
    elif answers.unallocated_dropped and inside(request.destination, table.service_cidrs):
        outcome = "DROP"
    return Translation(outcome, node=request.site.name, source=request.source)


def _served(request: _Request, port: ServedPort, kind: Kind) -> Translation:
    choice = request.table.choice(port, request.site)
    guarded = kind == "load_balancer" and not _admitted(request, port)
    if guarded and (choice.any_usable or request.answers.filters_first):
        return _answer(request, port, kind, "DROP")
    if not choice.any_usable:
        return _answer(request, port, kind, "REJECT")
    if request.answers.at_socket:
        return _ebpf(request, port, kind, choice)
    if kind == "cluster":
        masquerade = request.table.config.masquerade_all or (
            request.table.config.detects_local and request.origin is not Source.POD
        )
        return _to(request, port, kind, _Policy(port.internal_local, masquerade))
    return _to(request, port, kind, _external_policy(request, port))


class _Policy(NamedTuple):
    """Which endpoints a packet may go to, and whether its source is hidden."""

    local: bool
    masquerade: bool


def _external_policy(request: _Request, port: ServedPort) -> _Policy:
    """An address for the outside: policy Local keeps the source, and short-cuts pods and the node itself.

    IPVS balances in the kernel after the rules, so it knows no short-cut.
    """
    if not port.external_local:
        return _Policy(local=False, masquerade=True)
    if request.answers.local_fallback or request.origin is Source.OUTSIDE:
        return _Policy(local=True, masquerade=False)
    return _Policy(local=False, masquerade=request.origin is Source.NODE)


def _to(request: _Request, port: ServedPort, kind: Kind, policy: _Policy) -> Translation:
    """Send it to the endpoints of one policy, or give the mode's answer when there are none."""
    choice = request.table.choice(port, request.site)
    backends = choice.local if policy.local else choice.cluster
    lost = False
    if not backends and policy.local:
        if not request.answers.local_fallback:
            return _answer(request, port, kind, "DROP")
        backends = choice.cluster
        lost = request.origin is Source.OUTSIDE and not policy.masquerade
    if not backends:
        return _answer(request, port, kind, "REJECT")
    return Translation(
        "DNAT", kind, port, backends, policy.masquerade, request.site.name, request.source, reply_lost=lost
    )  # fmt: skip


def _ebpf(request: _Request, port: ServedPort, kind: Kind, choice: Choice) -> Translation:
    """Translate inside clients at their socket; the outside reaches external addresses only."""
    inner = request.origin is not Source.OUTSIDE
    if kind == "cluster" and not inner:
        return _answer(request, port, kind, "DROP")
    local = port.internal_local if inner else port.external_local
    backends = choice.local if local else choice.cluster
    if not backends:
        return _answer(request, port, kind, "DROP")
    masquerade = not inner and not port.external_local
    return Translation(
        "DNAT", kind, port, backends, masquerade, request.site.name, request.source, at_socket=inner,
        spares_local=masquerade,
    )  # fmt: skip


def _admitted(request: _Request, port: ServedPort) -> bool:
    """Apply ``loadBalancerSourceRanges``; a node inside a range may also come from the load-balancer IP itself."""
    if not port.source_ranges or inside(request.source, port.source_ranges):
        return True
    return request.source in port.load_balancer_ips and inside(request.site.primary, port.source_ranges)


def _answer(request: _Request, port: ServedPort, kind: Kind, outcome: Outcome) -> Translation:
    return Translation(outcome, kind, port, node=request.site.name, source=request.source)
