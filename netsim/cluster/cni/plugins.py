"""Every CNI plugin netsim knows as one typed union, and the reader that picks the member by ``type``.

Here live the plugins that call others (``flannel``, ``multus``) and the fallback for unknown ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from netsim.cluster.cni.agents import AGENTS, Managed
from netsim.cluster.cni.chained import Bandwidth, Firewall, Portmap, Tuning
from netsim.cluster.cni.gojson import Members
from netsim.cluster.cni.hostlocal import parse_cidr
from netsim.cluster.cni.interfaces import Bridge, Loopback, Ptp, SubInterface
from netsim.cluster.cni.ipam import NO_IPAM, VERSIONS, Ipam, read_ipam
from netsim.cluster.cni.network import NodeFacts, NodeNetwork, encapsulation_of
from netsim.errors import InputError


@dataclass(frozen=True, slots=True)
class Flannel:
    """``flannel``: builds the configuration of a delegate (bridge unless stated) from flannel's ``subnet.env``."""

    delegate: Members = field(default_factory=lambda: Members({}, "Delegate"))
    type: ClassVar[str] = "flannel"

    @classmethod
    def read(cls, members: Members, version: str) -> Flannel:
        """Read and check a configuration (``flannel.go`` cmdAdd)."""
        delegate = members.child("delegate", "map[string]interface {}") or Members({}, "Delegate", "delegate")
        if delegate.has("type") and not isinstance(delegate.raw("type"), str):
            raise InputError(
                "'delegate' dictionary, if present, must have (string) 'type' field", place=delegate.place("type")
            )
        for name in ("name", "ipam"):
            if name in delegate.values:
                raise InputError(
                    f"'delegate' dictionary must not have '{name}' field, it'll be set by flannel",
                    place=delegate.place(name),
                )
        read_plugin(_delegate(delegate, NodeFacts()), version)
        return cls(delegate)

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network the delegate yields with this node's lease and flannel's back end."""
        env, backend = node.subnet_env, node.flannel
        joined = read_plugin(_delegate(self.delegate, node), "0.3.1").join(network, node)
        encapsulation = backend.encapsulation if backend else None
        if encapsulation is None and env is not None:
            encapsulation = encapsulation_of(node.mtu_bytes, env.mtu_bytes)
        described = replace(
            joined, component=self.type, encapsulation=encapsulation, ipam="host-local",
            masquerade=joined.masquerade or env is None or env.masquerades,
        )  # fmt: skip
        if described.mtu_bytes is None and described.overhead_bytes is not None:
            described = replace(described, mtu_bytes=node.mtu_bytes - described.overhead_bytes)
        if encapsulation is None:
            return described.noted("flannel's net-conf.json names the back end; without it the encapsulation is open")
        return described


def _delegate(stated: Members, node: NodeFacts) -> Members:
    """Return the delegate's configuration with what flannel adds (``flannel_linux.go``)."""
    values = {"type": "bridge", **stated.values}
    env = node.subnet_env
    if values["type"] == "bridge":
        values.setdefault("isGateway", True)
    if env is not None:
        values.setdefault("ipMasq", not env.masquerades)
        values.setdefault("mtu", env.mtu_bytes)
    cidrs = (env.subnet,) if env is not None else node.pod_cidrs
    ranges = [[{"subnet": cidr}] for cidr in map(_network_of, cidrs)]
    values["ipam"] = {"type": "host-local", "ranges": ranges}
    return Members(values, "Delegate", stated.where)


def _network_of(cidr: str) -> str:
    """Return the network of an address with length: flannel's lease names the gateway (10.244.1.1/24)."""
    address, length = parse_cidr(cidr)
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


@dataclass(frozen=True, slots=True)
class Multus:
    """``multus``: calls other networks; the first (``delegates[0]`` or ``clusterNetwork``) is the pod network."""

    cluster_network: str = ""
    delegates: tuple[Plugin, ...] = ()
    conf_dir: str = ""
    type: ClassVar[str] = "multus"

    @classmethod
    def read(cls, members: Members, version: str) -> Multus:
        """Read and check a configuration, the inline delegates included."""
        delegates: list[Plugin] = []
        for each in members.objects("delegates", "map[string]interface {}"):
            chain = each.objects("plugins", "types.DelegateNetConf") or (each,)
            delegates.extend(read_plugin(one, each.string("cniVersion", version)) for one in chain)
        plugin = cls(members.string("clusterNetwork"), tuple(delegates), members.string("confDir"))
        shim = members.string("type") != "multus"
        if not (plugin.delegates or plugin.cluster_network or shim):
            raise InputError(
                "at least one delegate or a clusterNetwork is required", place=members.place("delegates")
            )
        return plugin

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network of the delegate, or say which one decides."""
        if not self.delegates:
            named = self.cluster_network or "the next configuration in the directory"
            described = replace(network, component=self.type, attachment="delegated")
            return described.noted(f"multus delegates to {named}")
        for each in self.delegates:
            network = each.join(network, node)
        return network


@dataclass(frozen=True, slots=True)
class Other:
    """A plugin netsim does not know: accepted, named, and without effect on the path."""

    type: str
    ipam: Ipam = NO_IPAM

    @classmethod
    def read(cls, members: Members, version: str) -> Other:
        """Read a configuration: only what every plugin has is checked."""
        return cls(members.string("type"), read_ipam(members, version))

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with a note."""
        note = f"plugin {self.type!r} has no effect in the model"
        if network.attachment != "none" or not self.ipam.type:
            return network.noted(note)
        attached = replace(network, component=self.type, attachment="delegated")
        return self.ipam.join(attached, node).noted(note)


Interface = Bridge | Ptp | SubInterface | Loopback | Managed
Chained = Portmap | Bandwidth | Firewall | Tuning
Plugin = Interface | Chained | Flannel | Multus | Other
_READERS: Mapping[str, Callable[[Members, str], Plugin]] = {
    **{each.type: each.read for each in (Bridge, Ptp, Loopback, Portmap, Bandwidth, Firewall, Tuning, Flannel, Multus)},
    **dict.fromkeys(("macvlan", "ipvlan", "vlan", "host-device", "sriov", "dummy", "tap"), SubInterface.read),
    **dict.fromkeys(AGENTS, Managed.read),
    "multus-shim": Multus.read,
}
_SINCE: Mapping[str, str] = {each.type: each.since for each in (Bandwidth, Firewall)}


def read_plugin(members: Members, version: str) -> Plugin:
    """Read one plugin's configuration into its typed form.

    Parameters
    ----------
    members: the plugin's JSON object.
    version: the ``cniVersion`` it is called with, empty for none.

    Raises
    ------
    InputError: with the message of CNI's skeleton or of the plugin.
    """
    kind = members.string("type")
    known = VERSIONS[VERSIONS.index(_SINCE.get(kind, VERSIONS[0])) :]
    version = version or VERSIONS[0]
    if version not in known:
        listed = " ".join(f'"{each}"' for each in known)
        raise InputError(
            f'incompatible CNI versions; config is "{version}", plugin supports [{listed}]',
            place=members.place("cniVersion"),
        )
    return _READERS.get(kind, Other.read)(members, version)
