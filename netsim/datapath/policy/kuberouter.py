"""kube-router: every policy's chain on every node, a linear scan over the local pods, denial by REJECT.

Source: cloudnativelabs/kube-router v2 ``pkg/controllers/netpol/{npc_iptables,pod,policy}.go``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from netsim.cluster.objects import NetworkPolicy, Peer, Pod, PolicyPort, PolicyRule, family_of
from netsim.cluster.policy import Direction, Identity, Party, Target
from netsim.cluster.policy.verdicts import covers_port, isolates, policy_rules
from netsim.datapath.policy.engine import Denial, PolicySize, PolicyWalk, Stage
from netsim.datapath.policy.facts import Connection, PolicyFacts, same_node
from netsim.datapath.policy.scan import Step, line, mean_walk, walk_until_match

_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")

# KUBE-ROUTER-FORWARD has four lines a local pod (to it and from it, routed and bridged) and ends with the accept of
# what was marked; OUTPUT has two and INPUT one more.
_FORWARD_PER_POD = 4
_DISPATCH_PER_POD = 7
# The line of a pod's four that a routed packet takes.
_FORWARD_OWN: dict[Direction, int] = {"ingress": 1, "egress": 3}
# KUBE-NWPLCY-COMMON: INVALID, RELATED/ESTABLISHED, three of ICMP.
_COMMON = 5
_COMMON_UNTIL_ACCEPT = 2
# Behind the policies: NFLOG and REJECT of the unmarked, clear the mark, set the mark of the accepted.
_VERDICT_LINES = 4
_VERDICT_UNTIL_REJECT = 2


@dataclass(frozen=True, slots=True)
class KubeRouter:
    """kube-router's policy controller with iptables and ipset."""

    denial: Denial = "REJECT"
    name: ClassVar[str] = "kube-router"
    enforces: ClassVar[bool] = True
    cuts_open_connections: ClassVar[bool] = False
    map_limit: ClassVar[None] = None

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return the scan of KUBE-ROUTER-FORWARD and the pod's own chain.

        Established packets leave the scan at their pod, accepted in the common chain. First packets come back from the
        pod's chain with a mark and scan to the end, once for both pods of one node.
        """
        if pod.template.host_network:
            return PolicyWalk()
        pods = facts.local_pods(pod.node)
        shared = direction == "ingress" and same_node(pod, peer)
        if stage != "first":
            if shared:
                return PolicyWalk()
            scan = _FORWARD_PER_POD * (pods - 1) / 2 + _FORWARD_OWN[direction]
            return PolicyWalk(rules=scan + 1 + _COMMON_UNTIL_ACCEPT)
        scan = 0.0 if shared else _FORWARD_PER_POD * pods + 1
        return PolicyWalk(rules=scan).plus(_pod_chain(facts, pod, direction, peer, target))

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return the dispatch lines and the pod's chain, of all its families."""
        identity = facts.verdicts.identity(pod)
        if identity is None:
            return PolicySize()
        families = len({family_of(address) for address in pod.addresses}) or 1
        return PolicySize(rules=families * _lines_of_pod(facts, identity))

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return the chains of all policies of the cluster and of the local pods, and all ipsets."""
        everywhere = facts.remembered(KubeRouter, lambda: _size_everywhere(facts))
        pods = sum(count * _lines_of_pod(facts, identity) for identity, count in facts.local(node).items())
        return replace(everywhere, rules=everywhere.rules + pods * len(facts.families))


def _size_everywhere(facts: PolicyFacts) -> PolicySize:
    """Size of what every node has: the policies' chains, the common and default ones, the final accepts, the ipsets."""
    rules, sets = 0, list[int]()
    for family in facts.families:
        rules += _COMMON + 1 + len(("INPUT", "FORWARD", "OUTPUT"))
        for policy in facts.cluster.policies:
            for way in _directions(policy):
                sets.append(facts.addresses(facts.targets(policy), family))
                for rule in policy_rules(policy, way):
                    rules += 2 * len(list(_pairs(facts, rule, policy, way, family)))
                    sets.extend(_rule_sets(facts, rule, policy, way, family))
    return PolicySize(rules=rules, ipsets=len(sets), ipset_entries=sum(sets), largest_ipset=max(sets, default=0))


# ------------------------------------------------------------------------------------------------ policy chains


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two lines of a policy chain: mark what matches, return if marked. ``peers`` empty means anyone."""

    peers: tuple[Peer, ...]
    port: PolicyPort | None

    def work(self, *, protocol: bool, source: bool) -> PolicyWalk:
        """Return the walk of both lines; matches are tested in the order protocol, source set, target set, port."""
        sets = (1 if self.peers else 0) + (1 if source else 0) if protocol else 0
        asked = protocol and source and self.port is not None and self.port.port is not None
        return PolicyWalk(rules=2, ipset_lookups=sets, port_matches=1 if asked else 0)


def _directions(policy: NetworkPolicy) -> tuple[Direction, ...]:
    return tuple(way for way in _DIRECTIONS if isolates(policy, way))


def _listeners(facts: PolicyFacts, rule: PolicyRule, policy: NetworkPolicy, way: Direction) -> tuple[Identity, ...]:
    """Return the pods in which a rule's port names are looked up."""
    return facts.targets(policy) if way == "ingress" else facts.rule_members(rule, policy.namespace)


def _numbers(port: PolicyPort, listeners: tuple[Identity, ...]) -> tuple[int, ...]:
    """Return the distinct numbers a port name stands for among the listeners."""
    if not isinstance(port.port, str):
        return ()
    found = (number for item in listeners for number in item.number_of(port.port, port.protocol))
    return tuple(dict.fromkeys(found))


def _ports(
    facts: PolicyFacts, rule: PolicyRule, policy: NetworkPolicy, way: Direction
) -> tuple[PolicyPort | None, ...]:
    """Return the ports of a rule, one a line: numbers, then each number that a name stands for."""
    if not rule.ports:
        return (None,)
    listeners = _listeners(facts, rule, policy, way)
    named = (port for port in rule.ports for _ in _numbers(port, listeners))
    return (*(port for port in rule.ports if not isinstance(port.port, str)), *named)


def _peer_sets(
    facts: PolicyFacts, rule: PolicyRule, policy: NetworkPolicy, family: str
) -> Iterator[tuple[tuple[Peer, ...], int]]:
    """Yield the rule's sets of peers with their entries: the pods, if there are any, and the blocks of the family."""
    pods = tuple(peer for peer in rule.peers if peer.ip_block is None)
    if pods and facts.rule_members(rule, policy.namespace):
        yield pods, facts.addresses(facts.rule_members(rule, policy.namespace), family)
    blocks = [(peer, peer.ip_block) for peer in rule.peers if peer.ip_block is not None]
    blocks = [(peer, block) for peer, block in blocks if family_of(block.cidr) == family]
    if blocks:
        # An ipset cannot hold a /0: it becomes two halves.
        entries = sum((2 if block.cidr.endswith("/0") else 1) + len(block.excepts) for _, block in blocks)
        yield tuple(peer for peer, _ in blocks), entries


def _pairs(facts: PolicyFacts, rule: PolicyRule, policy: NetworkPolicy, way: Direction, family: str) -> Iterator[_Pair]:
    ports = _ports(facts, rule, policy, way)
    peers = [peers for peers, _ in _peer_sets(facts, rule, policy, family)] if rule.peers else [()]
    for group in peers:
        for port in ports:
            yield _Pair(group, port)


def _rule_sets(
    facts: PolicyFacts, rule: PolicyRule, policy: NetworkPolicy, way: Direction, family: str
) -> Iterator[int]:
    """Yield the entries of each set of a rule: its peers', and one for each number of a named port."""
    yield from (entries for _, entries in _peer_sets(facts, rule, policy, family))
    listeners = _listeners(facts, rule, policy, way)
    for port in rule.ports:
        for number in _numbers(port, listeners):
            holders = [item for item in listeners if number in item.number_of(str(port.port), port.protocol)]
            yield facts.addresses(holders, family)


# ------------------------------------------------------------------------------------------------ pod chains


def _selecting(facts: PolicyFacts, identity: Identity) -> tuple[NetworkPolicy, ...]:
    """Return the policies of either direction that select an identity: its chain runs through all of them."""
    found = (policy for way in _DIRECTIONS for policy in facts.verdicts.policies_of_identity(identity, way))
    return tuple({policy.key: policy for policy in found}.values())


def _defaults(facts: PolicyFacts, identity: Identity) -> int:
    """Lines to the default chain: one for each direction that no policy closes."""
    return sum(not facts.verdicts.policies_of_identity(identity, way) for way in _DIRECTIONS)


def _lines_of_pod(facts: PolicyFacts, identity: Identity) -> int:
    """Dispatch lines and those of the pod's chain: common, from the node, defaults, policies, verdict."""
    return _DISPATCH_PER_POD + 2 + _defaults(facts, identity) + len(_selecting(facts, identity)) + _VERDICT_LINES


def _pod_chain(
    facts: PolicyFacts, pod: Pod, direction: Direction, peer: Party | None, target: Target | None
) -> PolicyWalk:
    """Walk of a pod's chain by a first packet: the policies behind the one that allows are met too."""
    identity = facts.verdicts.identity(pod)
    assert identity is not None
    defaults = _defaults(facts, identity)
    open_here = not facts.verdicts.policies_of_identity(identity, direction)
    # Jump to the common chain and its lines, accept from the node, defaults (the one of this direction marks: 1 line).
    head = PolicyWalk(rules=1 + _COMMON + 1 + defaults + (1 if open_here else 0))
    policies = _selecting(facts, identity)
    if open_here:
        # Marked already: each policy's chain is left at its first return.
        return head.plus(PolicyWalk(rules=3).times(len(policies))).plus(PolicyWalk(rules=_VERDICT_LINES))
    seen = facts.connection(pod, direction, peer, target)
    family = family_of(pod.addresses[0]) if pod.addresses else facts.families[0]
    steps = []
    for index, policy in enumerate(policies):
        # After a match each policy behind costs a jump and its first two lines, the second of which returns.
        after = PolicyWalk(rules=3, ipset_lookups=1).times(len(policies) - 1 - index)
        steps += [step._replace(after=after) for step in _policy_steps(facts, policy, direction, family, seen)]
    if seen is None:
        return head.plus(mean_walk(steps)).plus(PolicyWalk(rules=_VERDICT_LINES))
    walked, allowed = walk_until_match(steps)
    return head.plus(walked).plus(PolicyWalk(rules=_VERDICT_LINES if allowed else _VERDICT_UNTIL_REJECT))


def _policy_steps(
    facts: PolicyFacts, policy: NetworkPolicy, direction: Direction, family: str, seen: Connection | None
) -> Iterator[Step]:
    """Yield the steps of one policy's chain."""
    yield line()
    for way in _directions(policy):
        for rule in policy_rules(policy, way):
            for pair in _pairs(facts, rule, policy, way, family):
                if way != direction:
                    # The other direction's rules have this pod on the wrong side of the packet.
                    yield Step(pair.work(protocol=True, source=not pair.peers))
                    continue
                protocol, covers, matches = _judge(facts, pair, policy.namespace, seen)
                yield Step(
                    missed=pair.work(protocol=protocol, source=covers),
                    hit=pair.work(protocol=True, source=True),
                    decides=True,
                    matches=matches,
                )


def _judge(facts: PolicyFacts, pair: _Pair, home: str, seen: Connection | None) -> tuple[bool, bool, bool]:
    """Whether protocol, source set and all of a pair match; an unknown connection misses at its peers, if it can."""
    if seen is None:
        return True, not pair.peers, False
    protocol = pair.port is None or pair.port.protocol == seen.target[1]
    covers = not pair.peers or any(facts.verdicts.peer_covers(p, home, seen.other, seen.own) for p in pair.peers)
    ports = pair.port is None or covers_port(PolicyRule(ports=(pair.port,)), seen.target, seen.destination)
    return protocol, covers, protocol and covers and ports
