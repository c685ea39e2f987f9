"""Which connections the policies of a cluster allow.

Semantics (API documentation of ``NetworkPolicySpec``): a pod is open in a direction until a policy selects it there;
then the union of all selecting policies' rules counts; both ends must agree; replies always pass. Traffic of a pod to
and from the node it runs on is always allowed (kubernetes.io, Network Policies). Verdicts are for new connections.

Pods with equal namespace, labels and named ports share an *identity*; selectors are evaluated once per identity and a
verdict once per pair of identities and port, when first asked. Only ``ipBlock`` peers look at addresses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import (
    Labels,
    NetworkPolicy,
    Node,
    Peer,
    Pod,
    PodTemplate,
    PolicyPort,
    PolicyRule,
    Protocol,
    Selector,
)
from netsim.cluster.policy.cidr import Address, Block, compile_block, parse_address
from netsim.cluster.policy.selectors import selector_key, selector_matches

Direction = Literal["ingress", "egress"]


@dataclass(frozen=True, slots=True)
class Outside:
    """Something no selector matches: a host beyond the cluster, or the address a packet has after SNAT."""

    address: str


Target = tuple[int, Protocol]
"""A destination port: number and protocol."""

Party = Pod | Node | Outside
"""An end of a connection. A pod on the host network counts as its node."""


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """What policies can tell of a pod without its address: equal for all pods that no policy can tell apart."""

    index: int
    namespace: str
    labels: Labels
    ports: tuple[tuple[str, Protocol, int], ...]
    """Named container ports."""

    def number_of(self, name: str, protocol: Protocol) -> tuple[int, ...]:
        """Return the numbers that a port name stands for."""
        return tuple(number for known, used, number in self.ports if known == name and used == protocol)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What rules say of a peer identity: allowed whatever its address, else only from one of ``blocks``."""

    allowed: bool
    blocks: tuple[Block, ...] = ()


_OPEN = _Verdict(True)


@dataclass(frozen=True, slots=True)
class End:
    """An end of a connection as policies see it: an identity, or ``None`` for what no selector can match."""

    identity: Identity | None
    addresses: tuple[Address, ...]
    node: str = ""


def policy_rules(policy: NetworkPolicy, direction: Direction) -> tuple[PolicyRule, ...]:
    """Return a policy's rules of one direction."""
    return policy.ingress if direction == "ingress" else policy.egress


def isolates(policy: NetworkPolicy, direction: Direction) -> bool:
    """Whether a policy closes the pods it selects in a direction (its ``policyTypes``)."""
    return policy.isolates_ingress if direction == "ingress" else policy.isolates_egress


def port_matches(wanted: PolicyPort, target: Target, destination: Identity | None) -> bool:
    """Whether one ``ports`` item covers a port of a destination; a name means what the destination pod calls so."""
    number, protocol = target
    if wanted.protocol != protocol:
        return False
    if wanted.port is None:
        return True
    if isinstance(wanted.port, str):
        return destination is not None and number in destination.number_of(wanted.port, protocol)
    return wanted.port <= number <= (wanted.end_port or wanted.port)


def covers_port(rule: PolicyRule, target: Target, destination: Identity | None) -> bool:
    """Whether a rule covers a port; a rule without ports covers all."""
    return not rule.ports or any(port_matches(item, target, destination) for item in rule.ports)


@dataclass(eq=False)
class Verdicts:
    """Verdicts for one cluster, computed when first asked and kept.

    Cost: per policy and identity of its namespace one selector match; per asked (identity, identity, port) one pass
    over the rules; per asked pair of pods a look-up, plus the address tests where ``ipBlock`` peers could decide.
    """

    cluster: Cluster
    _identities: dict[object, Identity] = field(default_factory=dict)
    _by_template: dict[int, tuple[PodTemplate, Identity]] = field(default_factory=dict)
    _selecting: dict[tuple[Direction, int], tuple[NetworkPolicy, ...]] = field(default_factory=dict)
    _verdicts: dict[tuple[object, ...], _Verdict] = field(default_factory=dict)
    _matches: dict[tuple[object, ...], bool] = field(default_factory=dict)
    _blocks: dict[int, tuple[Peer, Block]] = field(default_factory=dict)
    _policies: dict[str, list[NetworkPolicy]] = field(init=False)

    def __post_init__(self) -> None:
        self._policies = defaultdict(list)
        for policy in self.cluster.policies:
            self._policies[policy.namespace].append(policy)

    # ---------------------------------------------------------------- identities

    def identity(self, pod: Pod) -> Identity | None:
        """Return the identity of a pod; ``None`` on the host network, where policies see the node."""
        template = pod.template
        if template.host_network:
            return None
        known = self._by_template.get(id(template))
        if known is not None:
            return known[1]
        ports = tuple((port.name, port.protocol, port.port) for port in template.ports if port.name)
        key = (template.namespace, tuple(sorted(template.labels.items())), ports)
        identity = self._identities.get(key)
        if identity is None:
            identity = Identity(len(self._identities), template.namespace, template.labels, ports)
            self._identities[key] = identity
        # The template is kept beside it, so that its id() stays its own.
        self._by_template[id(template)] = (template, identity)
        return identity

    def identities(self) -> Sequence[Identity]:
        """Return every identity of the cluster, in cluster order of their first pods."""
        for pod in self.cluster.pods:
            self.identity(pod)
        return tuple(self._identities.values())

    # ---------------------------------------------------------------- selection

    def policies_of(self, pod: Pod, direction: Direction) -> tuple[NetworkPolicy, ...]:
        """Return the policies that isolate a pod in a direction, in cluster order; empty means open."""
        identity = self.identity(pod)
        return () if identity is None else self.policies_of_identity(identity, direction)

    def policies_of_identity(self, identity: Identity, direction: Direction) -> tuple[NetworkPolicy, ...]:
        """Return the policies that isolate an identity in a direction, in cluster order."""
        key = (direction, identity.index)
        known = self._selecting.get(key)
        if known is None:
            known = self._selecting[key] = tuple(
                policy
                for policy in self._policies.get(identity.namespace, ())
                if isolates(policy, direction) and selector_matches(policy.pod_selector, identity.labels)
            )
        return known

    def _matches_namespace(self, selector: Selector, namespace: str) -> bool:
        key = (selector_key(selector), namespace)
        known = self._matches.get(key)
        if known is None:
            labels = self.cluster.namespaces_by_name[namespace].labels
            known = self._matches[key] = selector_matches(selector, labels)
        return known

    def peer_selects(self, peer: Peer, home: str, identity: Identity) -> bool:
        """Whether a peer of a policy in namespace ``home`` selects an identity through its selectors."""
        if peer.ip_block is not None:
            return False
        if peer.namespace_selector is None:
            if identity.namespace != home:
                return False
        elif not self._matches_namespace(peer.namespace_selector, identity.namespace):
            return False
        return peer.pod_selector is None or selector_matches(peer.pod_selector, identity.labels)

    # ---------------------------------------------------------------- ends

    def end(self, party: Party) -> End:
        """Return how policies see a party; ``ValueError`` for an outside address that is none."""
        match party:
            case Outside(address):
                return End(None, (parse_address(address),))
            case Node():
                return End(None, _parse_all(party.addresses), party.name)
            case Pod():
                identity = self.identity(party)
                addresses = party.addresses
                if identity is None:
                    addresses = addresses or self._node_addresses(party.node)
                return End(identity, _parse_all(addresses), party.node)

    def _node_addresses(self, name: str) -> tuple[str, ...]:
        index = self.cluster.node_index.get(name)
        return () if index is None else self.cluster.nodes[index].addresses

    # ---------------------------------------------------------------- verdicts

    def allowed(
        self, source: Party, destination: Party, port: int, protocol: Protocol = "TCP", *, seen_as: str | None = None
    ) -> bool:
        """Whether a new connection passes the policies of both ends.

        Parameters
        ----------
        source, destination: pods, nodes or outside addresses; the destination is the one behind any Service.
        port: port of the destination (the pod's port, after Service translation).
        protocol: TCP, UDP or SCTP.
        seen_as: source address on arrival, where SNAT changed it: the destination then sees no pod, only this address.
        """
        return self.egress_allows(source, destination, port, protocol) and self.ingress_allows(
            source, destination, port, protocol, seen_as=seen_as
        )

    def egress_allows(self, source: Party, destination: Party, port: int, protocol: Protocol = "TCP") -> bool:
        """Whether the source's own egress policies let the connection out."""
        return self.lets_out(self.end(source), self.end(destination), port, protocol)

    def ingress_allows(
        self, source: Party, destination: Party, port: int, protocol: Protocol = "TCP", *, seen_as: str | None = None
    ) -> bool:
        """Whether the destination's own ingress policies let the connection in.

        The node of a pod always reaches it: kubelet probes must work whatever the policies say.
        """
        sender, receiver = self.end(source), self.end(destination)
        if seen_as is not None and parse_address(seen_as) not in sender.addresses:
            sender = End(None, (parse_address(seen_as),), sender.node if sender.identity is None else "")
        return self.lets_in(sender, receiver, port, protocol)

    def reason(
        self, source: Party, destination: Party, port: int, protocol: Protocol = "TCP", *, seen_as: str | None = None
    ) -> str:
        """Return whose policies deny a connection, in words; empty when it is allowed."""
        if not self.egress_allows(source, destination, port, protocol):
            return self._blame(source, "egress")
        if not self.ingress_allows(source, destination, port, protocol, seen_as=seen_as):
            return self._blame(destination, "ingress")
        return ""

    def _blame(self, party: Party, direction: Direction) -> str:
        assert isinstance(party, Pod), "only pods have policies"
        policies = ", ".join(policy.key for policy in self.policies_of(party, direction))
        return f"{direction} of {party.key} is closed by {policies} and no rule of theirs allows it"

    def lets_out(self, sender: End, receiver: End, port: int, protocol: Protocol) -> bool:
        """Do as `egress_allows` for ends made once with `end`."""
        if _resident(receiver, sender):
            return True
        return self._side("egress", sender, receiver, (port, protocol))

    def lets_in(self, sender: End, receiver: End, port: int, protocol: Protocol) -> bool:
        """Do as `ingress_allows` for ends made once with `end`."""
        if _resident(sender, receiver):
            return True
        return self._side("ingress", receiver, sender, (port, protocol))

    def _side(self, direction: Direction, own: End, peer: End, target: Target) -> bool:
        verdict = self._verdict(direction, own.identity, peer.identity, target)
        if verdict.allowed or not verdict.blocks:
            return verdict.allowed
        address = _address_towards(peer, own)
        return address is not None and any(address in block for block in verdict.blocks)

    def _verdict(self, direction: Direction, own: Identity | None, peer: Identity | None, target: Target) -> _Verdict:
        if own is None:
            return _OPEN
        key = (direction, own.index, -1 if peer is None else peer.index, target)
        known = self._verdicts.get(key)
        if known is None:
            known = self._verdicts[key] = self._judge(direction, own, peer, target)
        return known

    def _judge(self, direction: Direction, own: Identity, peer: Identity | None, target: Target) -> _Verdict:
        policies = self.policies_of_identity(own, direction)
        if not policies:
            return _OPEN
        destination = own if direction == "ingress" else peer
        blocks: list[Block] = []
        for policy in policies:
            for rule in policy_rules(policy, direction):
                if not covers_port(rule, target, destination):
                    continue
                if not rule.peers:
                    return _OPEN
                for candidate in rule.peers:
                    if candidate.ip_block is not None:
                        blocks.append(self.block_of(candidate))
                    elif peer is not None and self.peer_selects(candidate, own.namespace, peer):
                        return _OPEN
        return _Verdict(False, tuple(dict.fromkeys(blocks)))

    def peer_covers(self, peer: Peer, home: str, other: End, own: End) -> bool:
        """Whether a peer of a policy in namespace ``home`` covers the ``other`` end of a connection of ``own``."""
        if peer.ip_block is not None:
            address = _address_towards(other, own)
            return address is not None and address in self.block_of(peer)
        return other.identity is not None and self.peer_selects(peer, home, other.identity)

    def block_of(self, peer: Peer) -> Block:
        """Return the compiled ``ipBlock`` of a peer that has one."""
        known = self._blocks.get(id(peer))
        if known is None:
            assert peer.ip_block is not None
            known = self._blocks[id(peer)] = (peer, compile_block(peer.ip_block))
        return known[1]


def _resident(host: End, pod: End) -> bool:
    """Whether ``host`` is the node that ``pod`` runs on, or one of its processes."""
    return host.identity is None and bool(host.node) and host.node == pod.node


def _parse_all(addresses: Sequence[str]) -> tuple[Address, ...]:
    return tuple(parse_address(address) for address in addresses)


def _address_towards(peer: End, own: End) -> Address | None:
    """Return the address a peer has in this connection: its first one of a family that both ends have."""
    families = [address.bits for address in own.addresses]
    for address in peer.addresses:
        if address.bits in families:
            return address
    return peer.addresses[0] if peer.addresses else None
