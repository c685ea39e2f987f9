"""Policies on a connection: what the plugin's engine walks at both ends, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Note, Pod, Protocol
from netsim.cluster.policy import Direction, Target, Verdicts
from netsim.cluster.policy import Party as PolicyParty
from netsim.datapath.parties import policy_party
from netsim.datapath.path import Connection, Terminal
from netsim.datapath.policy import PolicyEngine, PolicyFacts, PolicyWalk, Stage, policy_notes, read_engine
from netsim.datapath.step import PolicyWalks
from netsim.datapath.types import Verdict

OPPOSITE: dict[Direction, Direction] = {"egress": "ingress", "ingress": "egress"}
_NOTHING = PolicyWalks(PolicyWalk(), PolicyWalk())


class EndWalks(NamedTuple):
    """What policies cost at one end, for the client's packets and for the server's."""

    forward: PolicyWalks = _NOTHING
    reply: PolicyWalks = _NOTHING


class PolicyCase(NamedTuple):
    """What policies cost a connection and what they say of it."""

    source: EndWalks = EndWalks()
    target: EndWalks = EndWalks()
    verdict: Verdict = "ALLOW"
    reason: str = ""

    def walks(self, asked: Connection, pod: Pod, reply: bool) -> PolicyWalks | None:
        """Return what is walked at a pod of the connection, ``None`` where that is nothing."""
        end = self.source if pod is asked.source.pod else self.target
        found = end.reply if reply else end.forward
        return None if found == _NOTHING else found


OPEN = PolicyCase()


@dataclass(frozen=True)
class Policing:
    """One plugin's policy engine over one cluster."""

    engine: PolicyEngine
    verdicts: Verdicts
    facts: PolicyFacts

    @classmethod
    def over(cls, cluster: Cluster, engine: str) -> Policing:
        """Return the engine with this name over a cluster."""
        verdicts = Verdicts(cluster)
        return cls(read_engine(engine), verdicts, PolicyFacts(cluster, verdicts))

    @property
    def enforces(self) -> bool:
        """False where policies are ignored."""
        return self.engine.enforces

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader must know: policies that nobody enforces, or that do not fit."""
        return policy_notes(self.engine, self.facts)

    def features(self, end: Terminal) -> tuple[int, tuple[bool, bool], float]:
        """Return what policies can tell of an end without its address.

        Its identity (-1 for nodes, -2 for the outside), whether it is isolated for egress and for ingress, and how
        many pods its node has.
        """
        if not self.enforces or end.node is None or end.pod is None:
            return -2 if end.node is None else -1, (False, False), 0.0
        identity = self.verdicts.identity(end.pod)
        assert identity is not None
        closed = tuple(bool(self.verdicts.policies_of_identity(identity, way)) for way in ("egress", "ingress"))
        return identity.index, (closed[0], closed[1]), self.facts.local_pods(end.node.name)

    def case(self, asked: Connection) -> PolicyCase:
        """Return cost and verdict of one connection."""
        if not self.enforces:
            return OPEN
        one, other = policy_party(asked.source), policy_party(asked.target)
        aim = (asked.port, cast(Protocol, asked.protocol))
        verdict, reason = self._verdict(asked, one, other, aim)
        return PolicyCase(
            self._end(asked.source.pod, "egress", other, aim),
            self._end(asked.target.pod, "ingress", one, aim),
            verdict,
            reason,
        )

    def _end(self, pod: Pod | None, way: Direction, peer: PolicyParty, aim: Target) -> EndWalks:
        if pod is None:
            return EndWalks()

        def walk(direction: Direction, stage: Stage) -> PolicyWalk:
            return self.engine.walk(self.facts, pod, direction, stage, peer=peer, target=aim)

        reply = walk(OPPOSITE[way], "reply")
        return EndWalks(PolicyWalks(walk(way, "first"), walk(way, "established")), PolicyWalks(reply, reply))

    def _verdict(
        self, asked: Connection, one: PolicyParty, other: PolicyParty, aim: Target
    ) -> tuple[Verdict, str]:
        """Return what policies say, and which end says it. Behind source NAT the server sees a node's address."""
        if not self.verdicts.egress_allows(one, other, *aim):
            return self.engine.denial, self._reason(asked.source, "egress")
        seen_as = asked.seen_as if asked.source.pod is None else None
        if not self.verdicts.ingress_allows(one, other, *aim, seen_as=seen_as):
            return self.engine.denial, self._reason(asked.target, "ingress")
        return "ALLOW", ""

    def _reason(self, end: Terminal, direction: Literal["egress", "ingress"]) -> str:
        assert end.pod is not None
        names = ", ".join(policy.key for policy in self.verdicts.policies_of(end.pod, direction))
        return f"NetworkPolicy: no rule of {names} allows this {direction} of {end.name}"
