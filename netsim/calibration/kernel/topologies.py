"""What is built and measured: two pods and the boxes between them, as data.

Read from the client's pod to the server's: links and boxes alternate, a link first and last. Everything here is frozen
and says nothing about how it is built (``build.py``) or what it should cost (``hops.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Backend = Literal["iptables-legacy", "iptables-nft", "nftables"]
Match = Literal["address", "port", "ipset", "map"]
"""What a policy rule looks at before it says "not this one": the source address; addresses, protocol and then the port;
an ipset; an nftables verdict map."""


class Kind(Enum):
    """What a box is; the value is its name in labels."""

    ROUTER = "router"
    """A namespace that forwards IP between its two links."""
    SWITCH = "bridge"
    """A Linux bridge with both links as ports: frames, no IP."""
    NODE = "node"
    """A node whose pod is on its left: a bridge with the gateway's address there, a bare interface on the right."""
    NODE_RIGHT = "node'"
    """The mirror image: the pod is on the right."""
    REDIRECT = "redirect"
    """An eBPF program that hands packets to the other interface's transmit, and so over the second link."""
    REDIRECT_PEER = "redirect-peer"
    """The same handing them to the far end without crossing the second link: one veth crossing less."""

    @property
    def forwards(self) -> bool:
        """Whether the box is an IP hop."""
        return self in (Kind.ROUTER, Kind.NODE, Kind.NODE_RIGHT)

    @property
    def gateway(self) -> bool:
        """Whether the box is the gateway of a pod, through a bridge."""
        return self in (Kind.NODE, Kind.NODE_RIGHT)


@dataclass(frozen=True, slots=True)
class Services:
    """A service list as kube-proxy writes it: ``others`` Services before the one that is asked for."""

    backend: Backend
    others: int

    def __str__(self) -> str:
        return f"services {self.backend} {self.others}"


@dataclass(frozen=True, slots=True)
class Policy:
    """A filter chain that every forwarded packet enters: ``rules`` rules that do not match, then acceptance.

    ``stateful`` puts the acceptance of known connections first, which spares them the rules and turns conntrack on.
    ``members`` is the size of the ipset or map that each rule asks.
    """

    backend: Backend
    rules: int
    match: Match = "address"
    stateful: bool = False
    members: int = 0

    def __str__(self) -> str:
        size = f" of {self.members}" if self.members else ""
        return f"policy {self.backend} {self.rules} {self.match}{size} {'stateful' if self.stateful else 'stateless'}"


@dataclass(frozen=True, slots=True)
class Box:
    """One namespace on the way, with its tables. ``bridge_netfilter`` sends bridged frames through the IP hooks too."""

    kind: Kind
    services: Services | None = None
    policy: Policy | None = None
    bridge_netfilter: bool = False

    @property
    def tracks(self) -> bool:
        """Whether connections are tracked in the namespace: any NAT rule or state match turns it on for all packets."""
        return self.services is not None or (self.policy is not None and self.policy.stateful)

    def __str__(self) -> str:
        extras = [str(item) for item in (self.services, self.policy) if item is not None]
        extras += ["bridge-nf"] if self.bridge_netfilter else []
        return self.kind.value + (f"[{'; '.join(extras)}]" if extras else "")


@dataclass(frozen=True, slots=True)
class Topology:
    """A path between two pods.

    ``tunnels`` are the numbers of the links that are VXLAN over their veth pair; link ``i`` is left of box ``i``.
    ``via_service`` makes the client address the Service instead of the pod, where a box has a service list.
    """

    boxes: tuple[Box, ...] = ()
    tunnels: frozenset[int] = frozenset()
    via_service: bool = True

    def __post_init__(self) -> None:
        for link in self.tunnels:
            if not 0 < link < len(self.boxes):
                raise ValueError(f"a tunnel joins two boxes, link {link} does not")
            if not (self.boxes[link - 1].kind.forwards and self.boxes[link].kind.forwards):
                raise ValueError(f"tunnel {link} does not join two IP hops")

    @property
    def translator(self) -> int | None:
        """The number of the box that translates the Service's address: the first one with a list."""
        if not self.via_service:
            return None
        return next((index for index, box in enumerate(self.boxes) if box.services is not None), None)

    def __str__(self) -> str:
        text = "pod"
        for index, box in enumerate(self.boxes):
            text += f" {'=' if index in self.tunnels else '-'} {box}"
        passed_by = not self.via_service and any(box.services for box in self.boxes)
        return f"{text} - pod{' (direct)' if passed_by else ''}"


ROUTER, SWITCH = Box(Kind.ROUTER), Box(Kind.SWITCH)
NODE, NODE_RIGHT = Box(Kind.NODE), Box(Kind.NODE_RIGHT)
