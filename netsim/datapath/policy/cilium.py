"""Cilium: one look-up in the endpoint's policy map, by identity and port, however many rules there are.

Sources: cilium ``Documentation/network/ebpf/maps.rst`` (16384 entries an endpoint by default), ``bpf/bpf_lxc.c``
(policy is looked up for every packet of the forward direction, not for replies).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from netsim.cluster.objects import NetworkPolicy, Pod, PolicyPort, PolicyRule
from netsim.cluster.policy import Direction, Identity, Party, Target
from netsim.cluster.policy.verdicts import policy_rules
from netsim.datapath.policy.engine import Denial, PolicySize, PolicyWalk, Stage
from netsim.datapath.policy.facts import PolicyFacts

_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
_PORT_BITS = 16
_ANYONE = "any"
_ANY_PORT = "any"


@dataclass(frozen=True, slots=True)
class Cilium:
    """Cilium; ``map_limit`` is ``bpf-policy-map-max``."""

    map_limit: Annotated[int, Field(gt=0, strict=True)] = 16384
    denial: Denial = "DROP"
    name: ClassVar[str] = "cilium"
    enforces: ClassVar[bool] = True
    cuts_open_connections: ClassVar[bool] = True

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return one map look-up for packets of the forward direction, isolated pod or not (an entry allows all)."""
        forward = stage != "reply" and not pod.template.host_network
        return PolicyWalk(map_lookups=1) if forward else PolicyWalk()

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return the entries of the pod's map."""
        identity = facts.verdicts.identity(pod)
        return PolicySize() if identity is None else PolicySize(map_entries=map_entries(facts, identity))

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return the entries of the fullest map of a node."""
        return PolicySize(map_entries=max((map_entries(facts, item) for item in facts.local(node)), default=0))


def map_entries(facts: PolicyFacts, own: Identity) -> int:
    """Return the distinct (direction, peer identity, port) that are allowed; 1 for a direction that is open."""
    return facts.remembered((Cilium, own.index), lambda: _count_entries(facts, own))


def _count_entries(facts: PolicyFacts, own: Identity) -> int:
    total = 0
    for direction in _DIRECTIONS:
        policies = facts.verdicts.policies_of_identity(own, direction)
        keys = {key for policy in policies for key in _keys(facts, policy, direction, own)}
        total += len(keys) if policies else 1
    return total


def _keys(
    facts: PolicyFacts, policy: NetworkPolicy, direction: Direction, own: Identity
) -> Iterator[tuple[object, object]]:
    for rule in policy_rules(policy, direction):
        for label, peer in _peers(facts, rule, policy.namespace):
            listener = own if direction == "ingress" else peer
            if not rule.ports:
                yield label, _ANY_PORT
            for port in rule.ports:
                for item in _port_keys(port, listener):
                    yield label, item


def _peers(facts: PolicyFacts, rule: PolicyRule, home: str) -> Iterator[tuple[object, Identity | None]]:
    """Yield the security identities a rule selects: distinct label sets, and CIDRs with a piece for each exception."""
    if not rule.peers:
        yield _ANYONE, None
    for peer in rule.peers:
        if peer.ip_block is not None:
            for cidr in (peer.ip_block.cidr, *peer.ip_block.excepts):
                yield ("cidr", peer.ip_block.cidr, cidr), None
        else:
            for identity in facts.members(peer, home):
                yield (identity.namespace, tuple(sorted(identity.labels.items()))), identity


def _port_keys(port: PolicyPort, listener: Identity | None) -> Iterator[tuple[object, ...]]:
    """Yield the map keys of one port: a range is cut into prefixes, a name is what the listening pod calls so."""
    match port.port:
        case None:
            yield (port.protocol,)
        case str(name):
            for number in () if listener is None else listener.number_of(name, port.protocol):
                yield port.protocol, number, _PORT_BITS
        case int(first):
            for start, length in port_prefixes(first, port.end_port or first):
                yield port.protocol, start, length


def port_prefixes(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the fewest (start, prefix length) that cover a range of ports exactly."""
    while first <= last:
        size = first & -first or 1 << _PORT_BITS
        while first + size - 1 > last:
            size >>= 1
        yield first, _PORT_BITS - (size.bit_length() - 1)
        first += size
