"""Plugins that run behind the one that attaches the pod: ``portmap``, ``bandwidth``, ``firewall``, ``tuning``.

Checks and messages are those of containernetworking/plugins ``plugins/meta``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from netsim.cluster.cni.gojson import Members
from netsim.cluster.cni.hostlocal import parse_cidr
from netsim.cluster.cni.network import NodeFacts, NodeNetwork, TokenBucket
from netsim.errors import InputError

BURST_LIMIT_BITS = 8 * (2**32 - 1)
"""The bandwidth plugin refuses bursts of 4 GB and more."""


@dataclass(frozen=True, slots=True)
class Portmap:
    """``portmap``: hostPort by DNAT, and SNAT for node-local and hairpin traffic when ``snat``."""

    snat: bool = True
    masq_all: bool = False
    type: ClassVar[str] = "portmap"

    @classmethod
    def read(cls, members: Members, version: str) -> Portmap:
        """Read and check a configuration (``portmap/main.go`` parseConfig)."""
        if members.has("markMasqBit") and members.has("externalSetMarkChain"):
            raise InputError(
                "Cannot specify externalSetMarkChain and markMasqBit", place=members.place("externalSetMarkChain")
            )
        if not 0 <= members.integer("markMasqBit", 13) <= 31:
            raise InputError("MasqMarkBit must be between 0 and 31", place=members.place("markMasqBit"))
        runtime = members.child("runtimeConfig", "PortMapConf.runtimeConfig")
        for each in runtime.objects("portMappings", "PortMapEntry") if runtime else ():
            for name, word in (("containerPort", "container"), ("hostPort", "host")):
                if each.integer(name) <= 0:
                    raise InputError(f"Invalid {word} port number: {each.integer(name)}", place=each.place(name))
        return cls(members.boolean("snat", True), members.boolean("masqAll"))

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with host ports."""
        return replace(network, host_ports=True)


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """``bandwidth``: a token bucket on the host veth (towards the pod) and one on an ifb device (from the pod)."""

    ingress: TokenBucket | None = None
    egress: TokenBucket | None = None
    type: ClassVar[str] = "bandwidth"
    since: ClassVar[str] = "0.3.0"

    @classmethod
    def read(cls, members: Members, version: str) -> Bandwidth:
        """Read and check a configuration (``bandwidth/main.go``): bits per second and bits, both or neither."""
        names = ("ingressRate", "ingressBurst", "egressRate", "egressBurst", "shapedSubnets", "unshapedSubnets")
        entry: Members | None = members
        if not any(members.has(name) for name in names):
            runtime = members.child("runtimeConfig", "PluginConf.runtimeConfig")
            entry = runtime.child("bandwidth", "BandwidthEntry") if runtime else None
        if entry is None:
            return cls()
        _check_shaped(entry)
        return cls(_bucket(entry, "ingress"), _bucket(entry, "egress"))

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with its token buckets."""
        return replace(network, ingress=self.ingress, egress=self.egress, pod_bandwidth=True)


def _bucket(entry: Members, way: str) -> TokenBucket | None:
    rate = entry.integer(f"{way}Rate", unsigned=True)
    burst = entry.integer(f"{way}Burst", unsigned=True)
    if rate and not burst:
        raise InputError("if rate is set, burst must also be set", place=entry.place(f"{way}Burst"))
    if burst and not rate:
        raise InputError("if burst is set, rate must also be set", place=entry.place(f"{way}Rate"))
    if burst >= BURST_LIMIT_BITS:
        raise InputError("burst cannot be more than 4GB", place=entry.place(f"{way}Burst"), got=burst)
    return TokenBucket(rate, burst) if rate else None


def _check_shaped(entry: Members) -> None:
    shaped, unshaped = entry.strings("shapedSubnets"), entry.strings("unshapedSubnets")
    if shaped and unshaped:
        raise InputError(
            "unshapedSubnets and shapedSubnets cannot be both specified, one of them should be discarded",
            place=entry.place("shapedSubnets"),
        )
    for subnet in (*shaped, *unshaped):
        try:
            parse_cidr(subnet)
        except InputError as error:
            message = f'bad subnet "{subnet}" provided, details {error.message}'
            raise InputError(message, place=entry.place("shapedSubnets")) from None


@dataclass(frozen=True, slots=True)
class Firewall:
    """``firewall``: accepts forwarded traffic of the pod in filter chains; may isolate bridges from each other."""

    backend: str = ""
    ingress_policy: str = ""
    type: ClassVar[str] = "firewall"
    since: ClassVar[str] = "0.4.0"

    @classmethod
    def read(cls, members: Members, version: str) -> Firewall:
        """Read and check a configuration (``firewall.go``, ``ingresspolicy.go``)."""
        policy = members.string("ingressPolicy")
        if policy not in ("", "open", "same-bridge", "isolated"):
            raise InputError(f'unknown ingress policy: "{policy}"', place=members.place("ingressPolicy"))
        return cls(members.string("backend"), policy)

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with filter chains."""
        return replace(network, firewall=True)


@dataclass(frozen=True, slots=True)
class Tuning:
    """``tuning``: sysctls and link settings of the pod's interface; only its MTU changes what packets meet."""

    mtu_bytes: int = 0
    sysctl: Mapping[str, str] = field(default_factory=dict)
    type: ClassVar[str] = "tuning"

    @classmethod
    def read(cls, members: Members, version: str) -> Tuning:
        """Read and check a configuration (``tuning.go``): only ``net.*`` sysctls."""
        sysctl = members.child("sysctl", "map[string]string")
        values = {} if sysctl is None else {name: sysctl.string(name) for name in sysctl.values}
        for name in values:
            if not name.replace("/", ".").startswith("net."):
                raise InputError(f'invalid net sysctl key: "{name}"', place=members.place("sysctl"))
        return cls(members.integer("mtu"), values)

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with the MTU this plugin sets."""
        return replace(network, mtu_bytes=self.mtu_bytes) if self.mtu_bytes else network
