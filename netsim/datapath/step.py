"""Steps: how a plugin's legs become hops.

A *leg* is the way of a packet through one node in one direction. A plugin lists the steps of each leg by tag; a step
looks at the `Leg` it is laid in and yields the hops that are really there: no encapsulation towards a pod of the same
rack that is reached natively, no translation on a node that does none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import ConfigDict

from netsim.cluster.objects import Machine
from netsim.cluster.service_rules import ProxyMode, Walk, WalkModel
from netsim.cluster.service_rules.walks import Where
from netsim.datapath.policy import PolicyWalk
from netsim.datapath.types import Bill, Bursts, Headers, Hop, Packet

if TYPE_CHECKING:
    from netsim.datapath.costs import Prices

NO_SERVICE = WalkModel()
"""The connection uses no Service."""


@dataclass(frozen=True, slots=True)
class Nat:
    """One connection's address rewriting on one node: ``frontend`` is what the client addressed.

    ``source`` is the client's own (address, port), ``masqueraded`` what replaces it, ``None`` where it is kept;
    ``backend`` is equal to ``frontend`` where only the source is replaced.
    """

    source: tuple[str, int]
    frontend: tuple[str, int]
    backend: tuple[str, int]
    masqueraded: tuple[str, int] | None = None

    def rewrite(self, headers: Headers, packet: Packet) -> Headers:
        """Translate a packet of the client, or undo it on a reply."""
        if packet.reply:
            (src, src_port), (dst, dst_port) = self.frontend, self.source
        else:
            (src, src_port), (dst, dst_port) = self.masqueraded or self.source, self.backend
        return headers._replace(src=src, dst=dst, src_port=src_port, dst_port=dst_port)


@dataclass(frozen=True, slots=True)
class ServiceWalks:
    """What service rules cost on a node: a packet of the connection's Service, and by way through the node the others.

    ``first`` and ``established`` count for packets to no Service and for packets of known connections.
    """

    mode: ProxyMode = "iptables"
    service: WalkModel = NO_SERVICE
    first: Mapping[Where, Walk] = field(default_factory=dict)
    established: Mapping[Where, Walk] = field(default_factory=dict)

    def of_service(self, service: WalkModel) -> ServiceWalks:
        """Return the same node's walks with another Service's."""
        return replace(self, service=service)


@dataclass(frozen=True, slots=True)
class PolicyWalks:
    """What policies cost at one end in one direction: the packet that opens the flow, and later ones."""

    first: PolicyWalk
    later: PolicyWalk


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An encapsulation between two node addresses."""

    local: str
    remote: str


@dataclass(frozen=True, slots=True)
class Leg:
    """What is known where a leg is laid: the node, the connection's translation there, its tunnels, its policies.

    ``tunnel_in`` and ``tunnel_out`` are the tunnels the packet arrives and leaves in; ``snat`` is the masquerading of
    traffic that leaves the cluster. ``walks`` counts the service rules of this node; ``pods`` those of a mean node.
    """

    node: str = ""
    machine: Machine = field(default_factory=Machine)
    reply: bool = False
    walks: ServiceWalks = field(default_factory=ServiceWalks)
    nat: Nat | None = None
    snat: Nat | None = None
    policy: PolicyWalks | None = None
    tunnel_in: Tunnel | None = None
    tunnel_out: Tunnel | None = None
    pods: float = 0.0


class Step(Protocol):
    """An entry of a plugin's leg."""

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the hops that stand here in this leg."""
        ...


class Tagged:
    """Base of steps read from a plugin file: unknown parameters are refused."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")


class Plain:
    """Base of hops that keep bursts whole and change no header."""

    __slots__ = ()

    @property
    def bursts(self) -> Bursts:
        """Bursts stay as they are."""
        return Bursts.KEEP

    @property
    def orphans(self) -> bool:
        """Buffers stay their socket's."""
        return False

    def rewrite(self, headers: Headers, packet: Packet) -> Headers:
        """Leave the headers alone."""
        return headers


class Everywhere(Tagged, Plain):
    """Base of steps that are their own hop, the same in every leg."""

    __slots__ = ()

    def hops(self, leg: Leg) -> Iterator[Hop]:
        """Yield the step itself."""
        yield self

    if TYPE_CHECKING:

        @property
        def name(self) -> str:
            """Name in reports."""

        def bill(self, packet: Packet, prices: Prices) -> Bill:
            """Return the CPU work of this hop for one burst."""
