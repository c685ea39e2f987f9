"""What every policy engine answers: what packets walk at a pod, what a node must hold, and how denial looks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, Protocol

from netsim.cluster.objects import Note, Pod
from netsim.cluster.policy import Direction, Party, Target, Verdicts
from netsim.datapath.policy.facts import PolicyFacts
from netsim.datapath.types import Verdict

Stage = Literal["first", "established", "reply"]
"""First packet of a flow; a later one in its direction; one of the way back."""
Denial = Literal["DROP", "REJECT"]


class PolicyWalk(NamedTuple):
    """What one packet walks for policy at one pod's hook: counts, prices are the cost profile's.

    ``rules`` lines of iptables evaluated; of these ``ipset_lookups`` asked an ipset and ``port_matches`` got as far as
    a port match. ``program_rules`` rules of a compiled eBPF program evaluated; ``map_lookups`` eBPF map look-ups;
    ``flow_lookups`` OpenFlow tables looked up in user space, after an ``upcall``. Fractions are means. The conntrack
    look-up that spares later packets a walk belongs to the conntrack hop, the megaflow cache to the switch.
    """

    rules: float = 0.0
    ipset_lookups: float = 0.0
    port_matches: float = 0.0
    program_rules: float = 0.0
    map_lookups: float = 0.0
    flow_lookups: float = 0.0
    upcall: bool = False

    def plus(self, other: PolicyWalk) -> PolicyWalk:
        """Return both walks, one after the other."""
        return PolicyWalk(
            self.rules + other.rules,
            self.ipset_lookups + other.ipset_lookups,
            self.port_matches + other.port_matches,
            self.program_rules + other.program_rules,
            self.map_lookups + other.map_lookups,
            self.flow_lookups + other.flow_lookups,
            self.upcall or other.upcall,
        )

    def times(self, factor: float) -> PolicyWalk:
        """Return the walk with every count multiplied."""
        return PolicyWalk(
            factor * self.rules,
            factor * self.ipset_lookups,
            factor * self.port_matches,
            factor * self.program_rules,
            factor * self.map_lookups,
            factor * self.flow_lookups,
            self.upcall,
        )


@dataclass(frozen=True, slots=True)
class PolicySize:
    """What policies make a node (or one pod) hold.

    ``rules`` iptables lines or eBPF program rules; ``ipsets`` and the entries in all of them and in the largest;
    ``map_entries`` entries of an endpoint's policy map (on a node: of its largest endpoint); ``flows`` OpenFlow flows.
    """

    rules: int = 0
    ipsets: int = 0
    ipset_entries: int = 0
    largest_ipset: int = 0
    map_entries: int = 0
    flows: int = 0

    def largest(self, other: PolicySize) -> PolicySize:
        """Return the larger of both, field by field."""
        names = [item.name for item in fields(self)]
        return PolicySize(*(max(getattr(self, name), getattr(other, name)) for name in names))


class PolicyEngine(Protocol):
    """How a plugin enforces NetworkPolicies. Implementations are frozen data, one file each."""

    @property
    def name(self) -> str:
        """Name in plugin files."""
        ...

    @property
    def enforces(self) -> bool:
        """False where policies are ignored."""
        ...

    @property
    def denial(self) -> Denial:
        """What a denied packet meets: DROP leaves the client waiting, REJECT answers at once."""
        ...

    @property
    def cuts_open_connections(self) -> bool:
        """Whether a policy that denies from now on stops connections already open."""
        ...

    @property
    def map_limit(self) -> int | None:
        """Entries that an endpoint's policy map can take; ``None`` where there is no such map."""
        ...

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return what a packet walks at a pod's hook.

        Parameters
        ----------
        pod: the pod at whose interface it passes; a pod on the host network has no hook and no walk.
        direction: ``egress`` for packets that leave the pod, replies of a server among them.
        peer, target: the other end and the flow's destination port; without them, and where the pod is isolated, the
            mean over the rules that could allow. With both ends on one node, what they share is charged to the sender.
        """
        ...

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return what the node holds for this pod alone."""
        ...

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return what policies make a node hold, all families together."""
        ...


def connection_verdict(
    engine: PolicyEngine, verdicts: Verdicts, source: Party, destination: Party, target: Target, *,
    seen_as: str | None = None,
) -> tuple[Verdict, str]:  # fmt: skip
    """Return how a new connection fares under an engine, and why where it is denied.

    ``seen_as`` is the source address on arrival where SNAT changed it; see `Verdicts.allowed`.
    """
    reason = verdicts.reason(source, destination, *target, seen_as=seen_as) if engine.enforces else ""
    return (engine.denial, reason) if reason else ("ALLOW", "")


def largest_node(engine: PolicyEngine, facts: PolicyFacts) -> PolicySize:
    """Return the largest size of each kind over all nodes: what limits are about."""
    size = PolicySize()
    for node in facts.cluster.nodes:
        size = size.largest(engine.node_size(facts, node.name))
    return size


def policy_notes(engine: PolicyEngine, facts: PolicyFacts) -> tuple[Note, ...]:
    """Return what a reader must know: policies that nobody enforces, or that do not fit their map."""
    policies = facts.cluster.policies
    if not policies:
        return ()
    if not engine.enforces:
        text = f"{len(policies)} NetworkPolicies have no effect: this network plugin does not enforce them"
        return (Note("policies-ignored", text, "warning"),)
    limit = engine.map_limit
    entries = largest_node(engine, facts).map_entries if limit is not None else 0
    if limit is not None and entries > limit:
        text = f"an endpoint needs {entries} policy map entries of {limit}: what does not fit is not applied"
        return (Note("policy-map-full", text, "warning"),)
    return ()
