"""What a node's CNI configuration amounts to: how pods are attached, and which mechanisms their packets meet.

A chain of plugins is folded over a `NodeNetwork`: each plugin returns the description with its own part filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from netsim.cluster.cni.hostlocal import RangeSet
from netsim.cluster.objects import Family, family_of

Attachment = Literal[
    "none", "bridge", "ptp", "routed", "ebpf", "ovs", "eni", "ipvlan", "macvlan", "device", "delegated"
]  # fmt: skip

OVERHEAD_BYTES: Mapping[str, Mapping[Family, int]] = {
    "none": {"IPv4": 0, "IPv6": 0},
    "vxlan": {"IPv4": 50, "IPv6": 70},
    "geneve": {"IPv4": 50, "IPv6": 70},
    "ipip": {"IPv4": 20, "IPv6": 40},
    "wireguard": {"IPv4": 60, "IPv6": 80},
    "gre": {"IPv4": 24, "IPv6": 44},
    "udp": {"IPv4": 28, "IPv6": 48},
}
"""Bytes an encapsulation takes from the pod MTU, by family of the underlay: outer IP (20 or 40), UDP (8), VXLAN or
Geneve without options (8), inner Ethernet (14); WireGuard: outer IP, UDP, 16 header, 16 tag (RFC 7348, 8926, 2003,
2784; wireguard.com/papers/wireguard.pdf). ``udp`` is flannel's user-space backend (IP and UDP only)."""

_ATTACHED: Mapping[Attachment, tuple[str, ...]] = {
    "none": (),
    "bridge": ("veth", "bridge"),
    "ptp": ("veth", "route"),
    "routed": ("veth", "route"),
    "ebpf": ("veth", "ebpf"),
    "ovs": ("veth", "ovs"),
    "eni": ("veth", "route"),
    "ipvlan": ("ipvlan",),
    "macvlan": ("macvlan",),
    "device": (),
    "delegated": (),
}


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """A bandwidth limit as tc's tbf applies it: sustained rate in bits per second and burst in bits."""

    rate_bps: int
    burst_bits: int

    @property
    def burst_bytes(self) -> int:
        """Depth of the bucket in bytes."""
        return self.burst_bits // 8


@dataclass(frozen=True, slots=True)
class FlannelBackend:
    """flannel's own configuration (``net-conf.json``): the pod network and how packets cross nodes."""

    type: str
    network: str = ""
    ipv6_network: str = ""
    port: int | None = None
    direct_routing: bool = False

    @property
    def encapsulation(self) -> str:
        """Encapsulation between nodes; routing back ends (host-gw, cloud route tables) have none."""
        return self.type if self.type in OVERHEAD_BYTES else "none"


@dataclass(frozen=True, slots=True)
class SubnetEnv:
    """What flanneld writes to ``subnet.env`` on each node."""

    network: str
    subnet: str
    mtu_bytes: int
    masquerades: bool
    """flanneld masquerades itself, so the plugin must not."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a configuration leaves to its node: interface MTU, ``Node.spec.podCIDRs`` and flannel's files."""

    mtu_bytes: int = 1500
    pod_cidrs: tuple[str, ...] = ()
    flannel: FlannelBackend | None = None
    subnet_env: SubnetEnv | None = None


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """The network one configuration yields on one node.

    Parameters
    ----------
    component: type of the plugin that attaches the pod (``bridge``, ``calico``, ...).
    attachment: how the pod's interface reaches the node.
    bridge: name of the bridge, empty when there is none.
    gateway: the node routes for the pods (false: the bridge is layer 2 only).
    hairpin, promiscuous: how a pod reaches itself through a Service on a bridge.
    mtu_bytes: MTU of the pod's interface; ``None``: what the node's interface has.
    encapsulation: between nodes: a key of `OVERHEAD_BYTES`, or ``None`` when the configuration does not say.
    masquerade: traffic that leaves the pod network gets the node's address.
    host_ports: hostPort is honoured (portmap or the plugin itself).
    ingress, egress: token buckets towards and from the pod that the configuration states for every pod.
    pod_bandwidth: the bandwidth annotations of pods are honoured.
    firewall: forwarded packets meet the firewall plugin's filter chains.
    ipam: name of the address manager; ``range_sets`` its ranges where it is host-local.
    families: IP families the pods get, empty when the configuration does not say.
    notes: what the reader of a report must know, in order of the chain.
    """

    component: str = ""
    attachment: Attachment = "none"
    bridge: str = ""
    gateway: bool = True
    hairpin: bool = False
    promiscuous: bool = False
    vlan: int = 0
    mtu_bytes: int | None = None
    encapsulation: str | None = None
    masquerade: bool = False
    host_ports: bool = False
    ingress: TokenBucket | None = None
    egress: TokenBucket | None = None
    pod_bandwidth: bool = False
    firewall: bool = False
    ebpf: bool = False
    ipam: str = ""
    range_sets: tuple[RangeSet, ...] = ()
    families: tuple[Family, ...] = ()
    notes: tuple[str, ...] = ()

    def noted(self, *notes: str) -> NodeNetwork:
        """Return the same network with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    @property
    def overhead_bytes(self) -> int | None:
        """Bytes the encapsulation takes from the MTU over an IPv4 underlay; ``None`` when it is not known."""
        return None if self.encapsulation is None else OVERHEAD_BYTES[self.encapsulation]["IPv4"]

    @property
    def pods_per_node(self) -> int | None:
        """Pods the address ranges can serve; ``None`` when the ranges are not known."""
        return min((each.capacity for each in self.range_sets), default=None)

    @property
    def hops(self) -> tuple[str, ...]:
        """Mechanisms a packet of a pod meets on its node on the way out, in order (names of the datapath's hops)."""
        found = [*_ATTACHED[self.attachment]]
        if self.ingress or self.egress:
            found.insert(1, "token_bucket")
        if self.ebpf and "ebpf" not in found:
            found.append("ebpf")
        if self.attachment == "bridge" and self.gateway:
            found.append("route")
        if self.firewall or self.masquerade:
            found.append("netfilter")
        if self.host_ports:
            found.append("portmap")
        if self.encapsulation not in (None, "none"):
            found.append(str(self.encapsulation))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain data."""
        buckets = {"ingress": self.ingress, "egress": self.egress}
        return {
            "component": self.component, "attachment": self.attachment, "bridge": self.bridge, "hairpin": self.hairpin,
            "promiscuous": self.promiscuous, "vlan": self.vlan, "mtu_bytes": self.mtu_bytes,
            "encapsulation": self.encapsulation, "overhead_bytes": self.overhead_bytes,
            "masquerade": self.masquerade, "host_ports": self.host_ports, "pod_bandwidth": self.pod_bandwidth,
            **{
                name: None if bucket is None else {"rate_bps": bucket.rate_bps, "burst_bytes": bucket.burst_bytes}
                for name, bucket in buckets.items()
            },
            "ipam": self.ipam, "ranges": [str(each) for each in self.range_sets], "pods_per_node": self.pods_per_node,
            "families": list(self.families), "hops": list(self.hops), "notes": list(self.notes),
        }  # fmt: skip


def encapsulation_of(node_mtu_bytes: int, pod_mtu_bytes: int) -> str | None:
    """Return the encapsulation that a pod MTU leaves room for, ``None`` when no known one takes that much."""
    room = node_mtu_bytes - pod_mtu_bytes
    underlays: tuple[Family, ...] = ("IPv4", "IPv6")
    for family in underlays:
        for name, overhead in OVERHEAD_BYTES.items():
            if overhead[family] == room:
                return name
    return None


def families_of(cidrs: tuple[str, ...]) -> tuple[Family, ...]:
    """Return the families of some ranges, first seen first."""
    return tuple(dict.fromkeys(family_of(cidr) for cidr in cidrs))
