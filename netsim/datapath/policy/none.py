"""No enforcement: what kubenet and plain flannel do with NetworkPolicies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from netsim.cluster.objects import Pod
from netsim.cluster.policy import Direction, Party, Target
from netsim.datapath.policy.engine import Denial, PolicySize, PolicyWalk, Stage
from netsim.datapath.policy.facts import PolicyFacts


@dataclass(frozen=True, slots=True)
class NoEngine:
    """A plugin without policy support: policies are stored by the API and ignored by the network."""

    denial: Denial = "DROP"
    name: ClassVar[str] = "none"
    enforces: ClassVar[bool] = False
    cuts_open_connections: ClassVar[bool] = False
    map_limit: ClassVar[None] = None

    def walk(
        self, facts: PolicyFacts, pod: Pod, direction: Direction, stage: Stage = "first", *,
        peer: Party | None = None, target: Target | None = None,
    ) -> PolicyWalk:  # fmt: skip
        """Return nothing walked."""
        return PolicyWalk()

    def pod_size(self, facts: PolicyFacts, pod: Pod) -> PolicySize:
        """Return nothing held."""
        return PolicySize()

    def node_size(self, facts: PolicyFacts, node: str) -> PolicySize:
        """Return nothing held."""
        return PolicySize()
