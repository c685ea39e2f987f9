"""Weave Net's policy controller (weave-npc): one chain of all policies' rules a direction, on every node, with ipsets.

Sources: weaveworks/weave ``npc/{controller,namespace,analyse}.go`` and ``prog/weave-npc/main.go`` (chains and their
order); egress since Weave 2.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netsim.cluster.objects import NetworkPolicy, Pod, PolicyRule
from netsim.cluster.policy import Direction, Party, Target
from netsim.cluster.policy.verdicts import covers_port, isolates, policy_rules
from netsim.datapath.policy.engine import Denial, PolicySize, PolicyWalk, Stage
from netsim.datapath.policy.facts import Connection, PolicyFacts
from netsim.datapath.policy.scan import Step, mean_walk, walk_until_match

_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
# The jump from FORWARD and the first line of the chain, which accepts what is established.
_ESTABLISHED = PolicyWalk(rules=2)
# Then multicast, the way to other nodes, and the jumps to the namespaces' defaults and to the policies.
_HEAD = PolicyWalk(rules=5)
_SET = PolicyWalk(rules=1, ipset_lookups=1)
_BOTH_SETS = PolicyWalk(rules=1, ipset_lookups=2)
_CHAIN_LINES = 6


@dataclass(frozen=True, slots=True)
class Weave:
    """weave-npc with iptables and ipset."""

    denial: Denial = "DROP"
    name: ClassVar[str] = "weave"
    enforces: ClassVar[bool] = True
    cuts_open_connections: ClassVar[bool] = False
    map_limit: ClassVar[None] = None

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return the walk of a direction's chain: established packets leave it at its first line.

        Those that open a connection look through the sets of pods that no policy isolates, one a namespace, and then
        through the rules of all policies of the cluster.
        """
        if pod.template.host_network:
            return PolicyWalk()
        if stage != "first":
            return _ESTABLISHED
        identity = facts.verdicts.identity(pod)
        assert identity is not None
        namespaces = len(facts.cluster.namespaces_by_name)
        head = _ESTABLISHED.plus(_HEAD)
        if not facts.verdicts.policies_of_identity(identity, direction):
            return head.plus(_SET.times((namespaces + 1) / 2))
        seen = facts.connection(pod, direction, peer, target)
        steps = list(_steps(facts, direction, pod, seen))
        walked = mean_walk(steps) if seen is None else walk_until_match(steps)[0]
        return head.plus(_SET.times(namespaces)).plus(walked)

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return nothing: no line is a pod's own."""
        return PolicySize()

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return the chains of both directions, which every node has, and their sets."""
        return facts.remembered(Weave, lambda: _size(facts))


def _lines(policy: NetworkPolicy, way: Direction) -> Iterator[tuple[PolicyRule, int]]:
    """Yield each rule with its lines: one for each peer and port, or for any."""
    for rule in policy_rules(policy, way):
        yield rule, max(1, len(rule.peers)) * max(1, len(rule.ports))


def _steps(facts: PolicyFacts, way: Direction, pod: Pod, seen: Connection | None) -> Iterator[Step]:
    """Yield the lines of a direction's chain; which of a rule's lines allows makes no difference to what is walked."""
    identity = facts.verdicts.identity(pod)
    assert identity is not None
    selecting = {policy.key for policy in facts.verdicts.policies_of_identity(identity, way)}
    for policy in facts.cluster.policies:
        if not isolates(policy, way):
            continue
        own = policy.key in selecting
        for rule, lines in _lines(policy, way):
            allows = own and seen is not None and _allows(facts, rule, policy.namespace, seen)
            yield Step(_SET.times(lines), _SET.times((lines - 1) / 2).plus(_BOTH_SETS), decides=own, matches=allows)


def _allows(facts: PolicyFacts, rule: PolicyRule, home: str, seen: Connection) -> bool:
    peers = not rule.peers or any(facts.verdicts.peer_covers(peer, home, seen.other, seen.own) for peer in rule.peers)
    return peers and covers_port(rule, seen.target, seen.destination)


def _size(facts: PolicyFacts) -> PolicySize:
    """Size of what every node has: both chains, a default set for each namespace and direction, sets of selectors."""
    namespaces, families = len(facts.cluster.namespaces_by_name), len(facts.families)
    rules, sets = 2 * (_CHAIN_LINES + namespaces), [facts.addresses(facts.identities)]
    for policy in facts.cluster.policies:
        for way in _DIRECTIONS:
            if isolates(policy, way):
                sets.append(facts.addresses(facts.targets(policy)))
                for rule, lines in _lines(policy, way):
                    rules += lines
                    sets.append(facts.addresses(facts.rule_members(rule, policy.namespace)))
    return PolicySize(
        rules=rules * families, ipsets=len(sets) - 1 + 2 * namespaces, ipset_entries=sum(sets),
        largest_ipset=max(sets),
    )  # fmt: skip
