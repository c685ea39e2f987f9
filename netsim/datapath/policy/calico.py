"""Calico: iptables chains with ipsets, or the same rules compiled to eBPF programs.

Counts follow its renderer (projectcalico/calico ``libcalico-go/lib/backend/k8s/conversion/conversion.go``,
``felix/rules/{policy,endpoints,dispatch,static}.go``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import ClassVar

from netsim.cluster.objects import NetworkPolicy, Peer, Pod, PolicyPort, PolicyRule, Protocol
from netsim.cluster.policy import Direction, Identity, Party, Target
from netsim.cluster.policy.selectors import selector_key
from netsim.cluster.policy.verdicts import covers_port, isolates, policy_rules
from netsim.datapath.policy.engine import Denial, PolicySize, PolicyWalk, Stage
from netsim.datapath.policy.facts import Connection, PolicyFacts, peer_key, same_node
from netsim.datapath.policy.scan import Step, line, mean_walk, walk_until_match

_MULTIPORT_SLOTS = 15
_RETURN_STRIDE = 5
_HEX_DIGITS = 16
_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")

_FORWARD_LINES = 8
# Lines of cali-FORWARD up to the jump into the dispatch chain of a direction.
_FORWARD_BEFORE = {"egress": 3, "ingress": 4}
_ELSEWHERE = 14
# What every forwarded packet walks besides, known or not: raw PREROUTING (the jump, clear marks, mark workloads,
# reverse path or host endpoint, accept: 7), mangle PREROUTING (2) and POSTROUTING (4), the jump to cali-FORWARD.
# RELATED,ESTABLISHED; INVALID; clear mark. From a pod also: no VXLAN, no IPIP of its own.
_ENDPOINT_HEAD = {"ingress": 3, "egress": 5}
# Jump and test of each of the two profiles (namespace, service account), and the last drop.
_PROFILE_TAIL = 5


# ------------------------------------------------------------------------------------------------ rules


@dataclass(frozen=True, slots=True)
class CalicoRule:
    """An allow rule of Calico: one protocol and one peer at most.

    ``protocol`` ``None`` means any; ``ports`` are that protocol's, empty for all of them.
    """

    protocol: Protocol | None
    ports: tuple[PolicyPort, ...]
    peer: Peer | None

    @property
    def slots(self) -> int:
        """Slots of the multiport match: a range takes two."""
        numbers = (port for port in self.ports if not isinstance(port.port, str))
        return sum(2 if port.end_port not in (None, port.port) else 1 for port in numbers)

    @property
    def named(self) -> int:
        """Named ports, each an ipset of address and port."""
        return sum(isinstance(port.port, str) for port in self.ports)

    @property
    def block_lines(self) -> int:
        """Extra lines where one iptables line cannot hold all matches: mark, then a line for each alternative."""
        splits = math.ceil(self.slots / _MULTIPORT_SLOTS)
        ports = splits + self.named if splits + self.named > 1 else 0
        excepts = len(self.peer.ip_block.excepts) if self.peer and self.peer.ip_block else 0
        addresses = 1 + excepts if excepts else 0
        return ports + addresses + (1 if ports or addresses else 0)

    @property
    def selects(self) -> bool:
        """Whether the peer is an ipset of pods."""
        return self.peer is not None and self.peer.ip_block is None

    def work(self, lines: int, *, protocol: bool, peer: bool) -> PolicyWalk:
        """Return the walk of its lines by a packet that passes its tests of protocol and peer, or not.

        Matches of a line are tested in the order protocol, peer, ports, and the first that fails ends it.
        """
        ports = protocol and peer
        ipsets = (self.selects and protocol) + (self.named if ports else 0)
        return PolicyWalk(
            rules=lines, ipset_lookups=ipsets, port_matches=math.ceil(self.slots / _MULTIPORT_SLOTS) if ports else 0
        )


@lru_cache(maxsize=1 << 12)
def _ports_by_protocol(ports: tuple[PolicyPort, ...]) -> tuple[tuple[Protocol | None, tuple[PolicyPort, ...]], ...]:
    grouped: dict[Protocol, list[PolicyPort]] = {}
    for port in ports:
        grouped.setdefault(port.protocol, []).append(port)
    if not grouped:
        return ((None, ()),)
    return tuple(
        (protocol, () if any(port.port is None for port in items) else tuple(items))
        for protocol, items in grouped.items()
    )


def calico_rules(rule: PolicyRule) -> Iterator[CalicoRule]:
    """Yield what one Kubernetes rule becomes: (protocols of its ports, or 1) x (peers, or 1) rules."""
    for protocol, ports in _ports_by_protocol(rule.ports):
        for peer in rule.peers or (None,):
            yield CalicoRule(protocol, ports, peer)


def policy_lines(policy: NetworkPolicy, direction: Direction) -> int:
    """Return the lines of a policy's chain: two a rule, the last return left out, and the blocks; 1 when empty."""
    rules = [item for rule in policy_rules(policy, direction) for item in calico_rules(rule)]
    return max(1, 2 * len(rules) - 1 + sum(rule.block_lines for rule in rules))


def _steps(
    facts: PolicyFacts, policy: NetworkPolicy, direction: Direction, seen: Connection | None, after: float
) -> Iterator[Step]:
    """Yield the steps of one policy chain; ``after`` are the lines of the calling chains after a match."""
    rules = [item for rule in policy_rules(policy, direction) for item in calico_rules(rule)]
    if not rules:
        yield line()
    for index, rule in enumerate(rules):
        lines = rule.block_lines + (1 if index == len(rules) - 1 else 2)
        protocol, peer, matches = _judge(facts, rule, policy.namespace, seen)
        yield Step(
            missed=rule.work(lines, protocol=protocol, peer=peer),
            hit=rule.work(lines, protocol=True, peer=True),
            after=PolicyWalk(rules=after),
            decides=True,
            matches=matches,
        )


def _judge(facts: PolicyFacts, rule: CalicoRule, home: str, seen: Connection | None) -> tuple[bool, bool, bool]:
    """Whether protocol, peer and all of a rule match; of an unknown connection all that is known is that it may not."""
    if seen is None:
        return True, False, False
    protocol = rule.protocol is None or rule.protocol == seen.target[1]
    peer = rule.peer is None or facts.verdicts.peer_covers(rule.peer, home, seen.other, seen.own)
    ports = covers_port(PolicyRule(ports=rule.ports), seen.target, seen.destination)
    return protocol, peer, protocol and peer and ports


def _groups(policies: tuple[NetworkPolicy, ...]) -> list[list[NetworkPolicy]]:
    """Return the policies in Calico's order (by name), neighbours with equal selectors together."""
    ordered = sorted(policies, key=lambda policy: policy.key)
    return [list(group) for _, group in groupby(ordered, key=lambda policy: selector_key(policy.pod_selector))]


def _group_chain_lines(size: int) -> int:
    """Lines of a group's own chain: a jump each, a return test before every fifth jump but the first."""
    return size + (size - 1) // _RETURN_STRIDE


def _group_steps(
    facts: PolicyFacts, group: list[NetworkPolicy], direction: Direction, seen: Connection | None
) -> Iterator[Step]:
    """Yield the steps of the jump to a group (or to its only policy), and of the test behind it."""
    yield line()
    for index, policy in enumerate(group):
        if len(group) > 1:
            yield line(2 if index and index % _RETURN_STRIDE == 0 else 1)
        stride_end = (index // _RETURN_STRIDE + 1) * _RETURN_STRIDE
        rest = stride_end - index if stride_end < len(group) else len(group) - 1 - index
        yield from _steps(facts, policy, direction, seen, after=rest + 1)
    yield line()


# ------------------------------------------------------------------------------------------------ dispatch


def dispatch_lines(local_pods: float) -> float:
    """Return the mean lines from the dispatch chain to a pod's own chain.

    Interfaces are named ``cali`` and hexadecimal digits. The dispatch chain has a line for each first digit in use,
    and a chain below it where a digit is shared, with a line for each of its interfaces.
    """
    others = max(0.0, local_pods - 1)
    alone = (1 - 1 / _HEX_DIGITS) ** others
    digits = _HEX_DIGITS * (1 - (1 - 1 / _HEX_DIGITS) ** max(1.0, local_pods))
    below = (2 + others / _HEX_DIGITS) / 2 - alone
    return float((digits + 1) / 2 + below)


# ------------------------------------------------------------------------------------------------ engines


@dataclass(frozen=True, slots=True)
class CalicoIptables:
    """Calico with the iptables dataplane. ``vmap_dispatch``: interfaces are found by one nftables map look-up."""

    vmap_dispatch: bool = False
    denial: Denial = "DROP"
    name: ClassVar[str] = "calico-iptables"
    enforces: ClassVar[bool] = True
    cuts_open_connections: ClassVar[bool] = False
    map_limit: ClassVar[None] = None

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return the lines a packet walks in cali-FORWARD, the dispatch, endpoint, policy and profile chains."""
        if pod.template.host_network:
            return PolicyWalk()
        shared = direction == "ingress" and same_node(pod, peer)
        if stage != "first":
            # The first line of the endpoint chain accepts, and ends the walk for both ends of one node.
            if shared:
                return PolicyWalk()
            return self._dispatch(facts, pod).plus(PolicyWalk(rules=_FORWARD_BEFORE[direction] + 1 + _ELSEWHERE))
        fixed = PolicyWalk(rules=_ENDPOINT_HEAD[direction] + (0 if shared else _FORWARD_LINES + _ELSEWHERE))
        return fixed.plus(self._dispatch(facts, pod)).plus(_endpoint_walk(facts, pod, direction, peer, target))

    def _dispatch(self, facts: PolicyFacts, pod: Pod) -> PolicyWalk:
        if self.vmap_dispatch:
            return PolicyWalk(rules=1, map_lookups=1)
        return PolicyWalk(rules=dispatch_lines(facts.local_pods(pod.node)))

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return the lines of both endpoint chains."""
        if pod.template.host_network:
            return PolicySize()
        chains = (_endpoint_lines(_groups(facts.verdicts.policies_of(pod, way)), way) for way in _DIRECTIONS)
        return PolicySize(rules=sum(chains))

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return forward, dispatch, endpoint, profile, policy and group chains, and the ipsets these refer to."""
        here = facts.local(node)
        pods = sum(here.values())
        lines = _FORWARD_LINES + 2 * (pods + (_HEX_DIGITS if pods > _HEX_DIGITS else 0) + 1)
        active: dict[tuple[Direction, str], NetworkPolicy] = {}
        chains: dict[tuple[Direction, tuple[str, ...]], int] = {}
        for identity, count in here.items():
            for way in _DIRECTIONS:
                selecting = facts.verdicts.policies_of_identity(identity, way)
                groups = _groups(selecting)
                lines += count * _endpoint_lines(groups, way)
                active.update({(way, policy.key): policy for policy in selecting})
                chains.update(
                    {(way, tuple(policy.key for policy in group)): _group_chain_lines(len(group))
                     for group in groups if len(group) > 1}
                )  # fmt: skip
        lines += sum(chains.values()) + sum(policy_lines(policy, way) for (way, _), policy in active.items())
        # A namespace's default profile allows in one line each way; a service account's is empty.
        lines += 2 * len({identity.namespace for identity in here})
        families = len(facts.families)
        return PolicySize(rules=families * lines, **_ipsets(facts, list(active.items())))


@dataclass(frozen=True, slots=True)
class CalicoEbpf:
    """Calico with the eBPF dataplane: rules compiled into a program per interface, consulted by first packets only."""

    denial: Denial = "DROP"
    name: ClassVar[str] = "calico-ebpf"
    enforces: ClassVar[bool] = True
    cuts_open_connections: ClassVar[bool] = False
    map_limit: ClassVar[None] = None

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return the program's rules up to the one that allows; an ipset is a map here."""
        policies = facts.verdicts.policies_of(pod, direction)
        if stage != "first" or not policies:
            return PolicyWalk()
        seen = facts.connection(pod, direction, peer, target)
        rules = [
            (rule, policy.namespace)
            for policy in sorted(policies, key=lambda policy: policy.key)
            for item in policy_rules(policy, direction)
            for rule in calico_rules(item)
        ]
        steps = []
        for rule, home in rules:
            protocol, covers, matches = _judge(facts, rule, home, seen)
            missed = PolicyWalk(program_rules=1, map_lookups=rule.work(0, protocol=protocol, peer=covers).ipset_lookups)
            hit = PolicyWalk(program_rules=1, map_lookups=rule.work(0, protocol=True, peer=True).ipset_lookups)
            steps.append(Step(missed, hit, decides=True, matches=matches))
        return mean_walk(steps) if seen is None else walk_until_match(steps)[0]

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return the rules in the pod's two programs."""
        return PolicySize(rules=sum(_program_rules(facts.verdicts.policies_of(pod, way), way) for way in _DIRECTIONS))

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return the rules in all programs, and the sets they refer to."""
        rules = 0
        active: dict[tuple[Direction, str], NetworkPolicy] = {}
        for identity, count in facts.local(node).items():
            for way in _DIRECTIONS:
                selecting = facts.verdicts.policies_of_identity(identity, way)
                rules += count * _program_rules(selecting, way)
                active.update({(way, policy.key): policy for policy in selecting})
        return PolicySize(rules=rules, **_ipsets(facts, list(active.items())))


def _program_rules(policies: tuple[NetworkPolicy, ...], direction: Direction) -> int:
    return sum(1 for policy in policies for rule in policy_rules(policy, direction) for _ in calico_rules(rule))


def _endpoint_lines(groups: list[list[NetworkPolicy]], direction: Direction) -> int:
    """Lines of an endpoint chain: 8 to and 10 from a pod without policies, 2 + 2 a group more with them."""
    return _ENDPOINT_HEAD[direction] + _PROFILE_TAIL + (2 + 2 * len(groups) if groups else 0)


def _endpoint_walk(
    facts: PolicyFacts, pod: Pod, direction: Direction, peer: Party | None, target: Target | None
) -> PolicyWalk:
    """Walk of the policies behind the head of the endpoint chain; of the namespace's profile where there are none."""
    groups = _groups(facts.verdicts.policies_of(pod, direction))
    if not groups:
        # Jump to the profile, its one line that allows, test of the mark.
        return PolicyWalk(rules=3)
    seen = facts.connection(pod, direction, peer, target)
    steps = [line(), *(step for group in groups for step in _group_steps(facts, group, direction, seen))]
    if seen is not None:
        walked, allowed = walk_until_match(steps)
        return walked if allowed else walked.plus(PolicyWalk(rules=1))
    return mean_walk(steps)


def _ipsets(facts: PolicyFacts, active: list[tuple[tuple[Direction, str], NetworkPolicy]]) -> dict[str, int]:
    """Count the ipsets of active policies: one per distinct selector and per named port; members are addresses."""
    sets: dict[object, tuple[int, ...]] = {}
    for (way, _), policy in active:
        if not isolates(policy, way):
            continue
        for rule in policy_rules(policy, way):
            for peer in rule.peers:
                if peer.ip_block is None:
                    members = facts.members(peer, policy.namespace)
                    sets[peer_key(peer, policy.namespace)] = _per_family(facts, members)
            for port in rule.ports:
                if isinstance(port.port, str):
                    where = facts.targets(policy) if way == "ingress" else facts.identities
                    holders = [item for item in where if item.number_of(port.port, port.protocol)]
                    sets["port", port.protocol, port.port, way, policy.namespace] = _per_family(facts, holders)
    sizes = [size for members in sets.values() for size in members]
    return {"ipsets": len(sizes), "ipset_entries": sum(sizes), "largest_ipset": max(sizes, default=0)}


def _per_family(facts: PolicyFacts, members: Sequence[Identity]) -> tuple[int, ...]:
    return tuple(facts.addresses(members, family) for family in facts.families)
