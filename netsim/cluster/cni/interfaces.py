"""Plugins that attach the pod: ``bridge``, ``ptp``, ``macvlan``, ``ipvlan``, ``vlan``, ``host-device``, ``loopback``.

Checks and messages are those of containernetworking/plugins ``plugins/main``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from netsim.cluster.cni.gojson import Members
from netsim.cluster.cni.ipam import NO_IPAM, Ipam, read_ipam
from netsim.cluster.cni.network import Attachment, NodeFacts, NodeNetwork
from netsim.errors import InputError


@dataclass(frozen=True, slots=True)
class Bridge:
    """``bridge``: a veth pair per pod on a Linux bridge. ``mtu_bytes`` 0 means the kernel's default."""

    bridge: str = "cni0"
    is_gateway: bool = False
    is_default_gateway: bool = False
    ip_masq: bool = False
    mtu_bytes: int = 0
    hairpin: bool = False
    promiscuous: bool = False
    vlan: int = 0
    ipam: Ipam = NO_IPAM
    type: ClassVar[str] = "bridge"

    @classmethod
    def read(cls, members: Members, version: str) -> Bridge:
        """Read and check a configuration (``bridge.go`` loadNetConf and cmdAdd)."""
        vlan = members.integer("vlan")
        if not 0 <= vlan <= 4094:
            raise InputError(f"invalid VLAN ID {vlan} (must be between 0 and 4094)", place=members.place("vlan"))
        if _check_trunks(members) and vlan > 0:
            raise InputError("cannot set vlan and vlanTrunk at the same time", place=members.place("vlanTrunk"))
        plugin = cls(
            bridge=members.string("bridge", "cni0"),
            is_gateway=members.boolean("isGateway") or members.boolean("isDefaultGateway"),
            is_default_gateway=members.boolean("isDefaultGateway"),
            ip_masq=members.boolean("ipMasq"),
            mtu_bytes=members.integer("mtu"),
            hairpin=members.boolean("hairpinMode"),
            promiscuous=members.boolean("promiscMode"),
            vlan=vlan,
            ipam=read_ipam(members, version),
        )
        members.boolean("forceAddress")
        if plugin.hairpin and plugin.promiscuous:
            raise InputError(
                "cannot set hairpin mode and promiscuous mode at the same time", place=members.place("promiscMode")
            )
        return plugin

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with pods attached to the bridge."""
        joined = replace(
            network, component=self.type, attachment="bridge", bridge=self.bridge, gateway=self.is_gateway,
            hairpin=self.hairpin, promiscuous=self.promiscuous, vlan=self.vlan,
            mtu_bytes=self.mtu_bytes or None, masquerade=self.ip_masq,
        )  # fmt: skip
        return self.ipam.join(joined, node)


def _check_trunks(members: Members) -> bool:
    found = False
    for each in members.objects("vlanTrunk", "VlanTrunk"):
        ends = {name: each.has(name) for name in ("minID", "maxID")}
        for name, other in (("minID", "maxID"), ("maxID", "minID")):
            if ends[other] and not ends[name]:
                raise InputError(
                    f"minID and maxID should be configured simultaneously, {name} is missing", place=each.place(name)
                )
        for name, word in (("minID", "minID"), ("maxID", "maxID"), ("id", "id")):
            if each.has(name):
                found = True
                if not 1 <= each.integer(name) <= 4094:
                    raise InputError(f"incorrect trunk {word} parameter", place=each.place(name))
        if each.integer("maxID", 4094) < each.integer("minID", 1):
            raise InputError("minID is greater than maxID in trunk parameter", place=each.place("minID"))
    return found


@dataclass(frozen=True, slots=True)
class Ptp:
    """``ptp``: a veth pair per pod and a host route to it; no bridge, no broadcast domain."""

    ip_masq: bool = False
    mtu_bytes: int = 0
    ipam: Ipam = NO_IPAM
    type: ClassVar[str] = "ptp"

    @classmethod
    def read(cls, members: Members, version: str) -> Ptp:
        """Read a configuration (``ptp.go``)."""
        return cls(members.boolean("ipMasq"), members.integer("mtu"), read_ipam(members, version))

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with routed veth pairs."""
        joined = replace(
            network, component=self.type, attachment="ptp", masquerade=self.ip_masq, mtu_bytes=self.mtu_bytes or None
        )
        return self.ipam.join(joined, node)


_MODES: Mapping[str, tuple[str, ...]] = {
    "macvlan": ("", "bridge", "private", "vepa", "passthru"),
    "ipvlan": ("", "l2", "l3", "l3s"),
}


@dataclass(frozen=True, slots=True)
class SubInterface:
    """``macvlan``, ``ipvlan``, ``vlan``, ``host-device`` and kin: the pod sits on the node's device, no veth."""

    type: str
    mode: str = ""
    master: str = ""
    mtu_bytes: int = 0
    ipam: Ipam = NO_IPAM

    @classmethod
    def read(cls, members: Members, version: str) -> SubInterface:
        """Read and check a configuration (``macvlan.go``, ``ipvlan.go``, ``vlan.go``, ``host-device.go``)."""
        kind, mode = members.string("type"), members.string("mode")
        if mode not in _MODES.get(kind, (mode,)):
            raise InputError(f'unknown {kind} mode: "{mode}"', place=members.place("mode"))
        if kind == "vlan" and not members.string("master"):
            raise InputError(
                '"master" field is required. It specifies the host interface name to create the VLAN for.',
                place=members.place("master"),
            )
        ways = ("device", "hwaddr", "kernelpath", "pciBusID")
        if kind == "host-device" and not any(members.string(way) for way in ways):
            raise InputError(
                'specify either "device", "hwaddr", "kernelpath" or "pciBusID"', place=members.place("device")
            )
        return cls(kind, mode, members.string("master"), members.integer("mtu"), read_ipam(members, version))

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with pods on the node's device."""
        attachments: dict[str, Attachment] = {"macvlan": "macvlan", "ipvlan": "ipvlan"}
        joined = replace(
            network, component=self.type, attachment=attachments.get(self.type, "device"),
            mtu_bytes=self.mtu_bytes or None, encapsulation="none",
        )  # fmt: skip
        return self.ipam.join(joined, node)


@dataclass(frozen=True, slots=True)
class Loopback:
    """``loopback``: brings up ``lo``; no other packet meets it."""

    type: ClassVar[str] = "loopback"

    @classmethod
    def read(cls, members: Members, version: str) -> Loopback:
        """Read a configuration."""
        return cls()

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network unchanged."""
        return network
