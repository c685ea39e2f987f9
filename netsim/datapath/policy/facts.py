"""What all policy engines count from: who is selected by which policy, where, and how many addresses that makes.

Everything is per identity (pods that policies cannot tell apart): ten replicas cost as much as ten thousand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import NetworkPolicy, Peer, Pod, PolicyRule, family_of
from netsim.cluster.policy import Direction, End, Identity, Party, Target, Verdicts
from netsim.cluster.policy.selectors import selector_key, selector_matches

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection seen from one end's hook."""

    direction: Direction
    own: End
    other: End
    target: Target

    @property
    def destination(self) -> Identity | None:
        """Identity of the end that listens."""
        return self.own.identity if self.direction == "ingress" else self.other.identity


class PolicyFacts:
    """Counts over one cluster, made when first asked.

    Parameters
    ----------
    cluster: the cluster.
    verdicts: verdicts of the same cluster to share.
    """

    def __init__(self, cluster: Cluster, verdicts: Verdicts | None = None) -> None:
        self.cluster = cluster
        self.verdicts = verdicts or Verdicts(cluster)
        self._members: dict[object, tuple[Identity, ...]] = {}
        self._remembered: dict[object, Any] = {}

    def remembered(self, key: object, make: Callable[[], Made]) -> Made:
        """Return what an engine made of this cluster once: what every node, or every pod of a kind, has alike."""
        if key not in self._remembered:
            self._remembered[key] = make()
        made: Made = self._remembered[key]
        return made

    # ---------------------------------------------------------------- populations

    @cached_property
    def _addresses(self) -> Mapping[int, Counter[str]]:
        """Addresses by family, of each identity."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for pod in self.cluster.pods:
            identity = self.verdicts.identity(pod)
            if identity is not None:
                found[identity.index].update(family_of(address) for address in pod.addresses)
        return found

    @cached_property
    def families(self) -> tuple[str, ...]:
        """IP families that pods have, IPv4 first; IPv4 while no pod has an address."""
        present = sorted({family for counts in self._addresses.values() for family in counts})
        return tuple(present) or ("IPv4",)

    def addresses(self, identities: Iterable[Identity], family: str | None = None) -> int:
        """Return how many pod addresses identities have, of one family or of all."""
        counts = (self._addresses[identity.index] for identity in identities if identity.index in self._addresses)
        return sum(count.total() if family is None else count[family] for count in counts)

    @cached_property
    def _locals(self) -> Mapping[str, Mapping[int, int]]:
        found: dict[str, dict[int, int]] = {}
        for pod in self.cluster.pods:
            identity = self.verdicts.identity(pod)
            if identity is not None:
                here = found.setdefault(pod.node, {})
                here[identity.index] = here.get(identity.index, 0) + 1
        return found

    @cached_property
    def identities(self) -> tuple[Identity, ...]:
        """Every identity, by index."""
        return tuple(self.verdicts.identities())

    @cached_property
    def _by_namespace(self) -> Mapping[str, tuple[Identity, ...]]:
        found: dict[str, list[Identity]] = defaultdict(list)
        for identity in self.identities:
            found[identity.namespace].append(identity)
        return {namespace: tuple(items) for namespace, items in found.items()}

    def local(self, node: str) -> Mapping[Identity, int]:
        """Return the pods of a node that have an own interface, counted by identity."""
        return {self.identities[index]: count for index, count in self._locals.get(node, {}).items()}

    def local_pods(self, node: str) -> float:
        """Return the number of such pods; the mean over the nodes where a pod has none yet."""
        if node:
            return float(sum(self._locals.get(node, {}).values()))
        pods = sum(sum(counts.values()) for counts in self._locals.values())
        return max(1.0, pods / max(1, len(self.cluster.nodes)))

    # ---------------------------------------------------------------- policies

    def targets(self, policy: NetworkPolicy) -> tuple[Identity, ...]:
        """Return the identities that a policy selects."""
        key = (policy.namespace, selector_key(policy.pod_selector))
        known = self._members.get(key)
        if known is None:
            candidates = self._by_namespace.get(policy.namespace, ())
            known = tuple(item for item in candidates if selector_matches(policy.pod_selector, item.labels))
            self._members[key] = known
        return known

    def members(self, peer: Peer, home: str) -> tuple[Identity, ...]:
        """Return the identities that a peer's selectors select, for a policy in namespace ``home``."""
        key = peer_key(peer, home)
        known = self._members.get(key)
        if known is None:
            candidates = self.identities if peer.namespace_selector is not None else self._by_namespace.get(home, ())
            known = tuple(item for item in candidates if self.verdicts.peer_selects(peer, home, item))
            self._members[key] = known
        return known

    def rule_members(self, rule: PolicyRule, home: str) -> tuple[Identity, ...]:
        """Return the identities that any peer of a rule selects, each once."""
        found = {item.index: item for peer in rule.peers for item in self.members(peer, home)}
        return tuple(found.values())

    def connection(
        self, pod: Pod, direction: Direction, peer: Party | None, target: Target | None
    ) -> Connection | None:
        """Return the connection as this pod's hook sees it; ``None`` while the other end or the port is open."""
        if peer is None or target is None:
            return None
        return Connection(direction, self.verdicts.end(pod), self.verdicts.end(peer), target)


def peer_key(peer: Peer, home: str) -> tuple[object, ...]:
    """Return a value equal for peers whose selectors say the same: one ipset or address group serves them all."""
    pods = None if peer.pod_selector is None else selector_key(peer.pod_selector)
    if peer.namespace_selector is None:
        return (home, pods, None)
    return ("", pods, selector_key(peer.namespace_selector))


def same_node(pod: Pod, peer: Party | None) -> bool:
    """Whether the other end is a pod with an interface on the same node."""
    return isinstance(peer, Pod) and not peer.template.host_network and bool(pod.node) and peer.node == pod.node
