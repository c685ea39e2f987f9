"""Antrea: conjunctive OpenFlow flows, met by first packets; conntrack state spares the later ones.

Source: antrea-io/antrea ``docs/design/ovs-pipeline.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from netsim.cluster.objects import NetworkPolicy, Pod, PolicyRule
from netsim.cluster.policy import Direction, Party, Target
from netsim.cluster.policy.verdicts import policy_rules
from netsim.datapath.policy.engine import Denial, PolicySize, PolicyWalk, Stage
from netsim.datapath.policy.facts import PolicyFacts, same_node

_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
# Egress: AntreaPolicyEgressRule, EgressRule, EgressDefaultRule, EgressMetric. Ingress: the same four and
# IngressSecurityClassifier before them.
_TABLES: dict[Direction, int] = {"egress": 4, "ingress": 5}
# Classifier and SpoofGuard.
_FLOWS_PER_POD = 2
# The conjunction's action and two metric flows.
_FLOWS_PER_RULE = 3


@dataclass(frozen=True, slots=True)
class Antrea:
    """Antrea with its Open vSwitch pipeline."""

    denial: Denial = "DROP"
    name: ClassVar[str] = "antrea"
    enforces: ClassVar[bool] = True
    cuts_open_connections: ClassVar[bool] = False
    map_limit: ClassVar[None] = None

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return the policy tables a first packet passes in user space; one upcall serves both ends of one node."""
        if stage != "first" or pod.template.host_network:
            return PolicyWalk()
        shared = direction == "ingress" and same_node(pod, peer)
        return PolicyWalk(flow_lookups=_TABLES[direction], upcall=not shared)

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return the flows of this pod: its own two, and a default drop for each direction that is closed."""
        if pod.template.host_network:
            return PolicySize()
        closed = sum(bool(facts.verdicts.policies_of(pod, way)) for way in _DIRECTIONS)
        return PolicySize(flows=_FLOWS_PER_POD + closed)

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return the flows of a node: sums over addresses and ports, not products, for policies with a pod here."""
        here = facts.local(node)
        flows = 0
        applied: dict[tuple[Direction, str], tuple[NetworkPolicy, int]] = {}
        for identity, count in here.items():
            flows += count * _FLOWS_PER_POD
            for way in _DIRECTIONS:
                selecting = facts.verdicts.policies_of_identity(identity, way)
                flows += count if selecting else 0
                for policy in selecting:
                    _, pods = applied.get((way, policy.key), (policy, 0))
                    applied[way, policy.key] = policy, pods + count
        for (way, _), (policy, pods) in applied.items():
            flows += sum(pods + _rule_flows(facts, rule, policy.namespace) for rule in policy_rules(policy, way))
        return PolicySize(flows=flows)


def _rule_flows(facts: PolicyFacts, rule: PolicyRule, home: str) -> int:
    """Flows of a rule beside those of the pods it applies to: peer addresses, ports, the conjunction, two metrics."""
    blocks = sum(1 + len(peer.ip_block.excepts) for peer in rule.peers if peer.ip_block is not None)
    return facts.addresses(facts.rule_members(rule, home)) + blocks + len(rule.ports) + _FLOWS_PER_RULE
