"""Plugins as data: which steps a packet meets on a node, and what else a network plugin decides.

A plugin is a YAML file (``netsim/data/plugins``, or a user's own). Its *legs* list steps by tag, either the bare tag
or a mapping with ``hop: <tag>`` and the step's parameters. Legs may differ by proxy mode: an entry named after the mode
wins over ``default``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from netsim.cluster.cluster import Cluster
from netsim.cluster.cni.network import TokenBucket
from netsim.cluster.objects import Family
from netsim.cluster.service_rules import ProxyMode
from netsim.datapath.bridge import Bridge, BridgeNetfilter, GatewayNetfilter, Switch
from netsim.datapath.conntrack import Conntrack
from netsim.datapath.ebpf import Program
from netsim.datapath.encapsulation import Decap, Encap, Encapsulation
from netsim.datapath.enforcement import Policy
from netsim.datapath.firewall import FirewallChain
from netsim.datapath.macvlan import Macvlan
from netsim.datapath.masquerade import Masquerade
from netsim.datapath.netfilter import Netfilter
from netsim.datapath.ovs import Switching
from netsim.datapath.routing import Route
from netsim.datapath.rule_list import RuleList
from netsim.datapath.service_nat import ServiceNat
from netsim.datapath.step import Leg
from netsim.datapath.veth import Veth
from netsim.errors import InputError, Place
from netsim.scenario.loading import read_model, read_text

PROXY_MODES: tuple[ProxyMode, ...] = ("iptables", "ipvs", "nftables", "ebpf")
Shaper = Literal["none", "tbf", "htb"]
PolicyEngine = Literal["none", "calico-iptables", "calico-ebpf", "cilium", "antrea", "kube-router", "weave"]


def _tag(value: object) -> object:
    return {"hop": value} if isinstance(value, str) else value


AnyStep = Annotated[
    Annotated[
        Veth | Bridge | Switch | BridgeNetfilter | GatewayNetfilter | Netfilter | Conntrack | ServiceNat | Policy
        | Route | Masquerade | Encap | Decap | Program | Switching | FirewallChain | Macvlan | RuleList,
        Field(discriminator="hop"),
    ],
    BeforeValidator(_tag),
]  # fmt: skip
"""Every step a leg can list; a new mechanism is added here."""

LegSteps = tuple[AnyStep, ...]


class Legs(BaseModel):
    """The ways through a node.

    ``egress``: from a local pod towards the network. ``ingress``: from the network to a local pod. ``local``: between
    two pods of the node. The ``*_routed`` variants hold where the node translates an address and has to use its IP
    layer for that, and on the way out for what the tunnel does not carry, to nodes themselves; with
    ``bridged_replies`` replies that only get the Service's address back stay on the plain leg, with ``plain_services``
    so does whatever is sent to Services, which the plain legs translate.
    ``transit``: in from the network and out again (the entry node of a node port). ``host_out`` and ``host_in``:
    processes of the node's own network namespace to and from the network; ``host_to_pod`` and ``pod_to_host``: to and
    from pods of the node.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    egress: LegSteps
    egress_routed: LegSteps | None = None
    ingress: LegSteps
    ingress_routed: LegSteps | None = None
    local: LegSteps
    local_routed: LegSteps | None = None
    bridged_replies: bool = False
    plain_services: bool = False
    host_to_pod: LegSteps
    pod_to_host: LegSteps
    transit: LegSteps = Field(
        validate_default=True,
        default=("decap", "prerouting", "conntrack", "service_nat", "route", "forward", "postrouting", "encap"),
    )
    host_out: LegSteps = Field(
        validate_default=True,
        default=("output", "conntrack", "service_nat", "postrouting", "encap"),
    )
    host_in: LegSteps = Field(
        validate_default=True,
        default=("decap", "prerouting", "conntrack", "service_nat", "input"),
    )

    def through(self, encapsulation: Encapsulation | None) -> Legs:
        """Return the same legs with the plugin's tunnel filled in where they encapsulate."""

        def fill(step: AnyStep) -> AnyStep:
            if isinstance(step, Encap | Decap):
                return type(step)(encapsulation=encapsulation)
            return step

        legs = {name: getattr(self, name) for name in Legs.model_fields}
        return self.model_copy(update={n: tuple(map(fill, s)) for n, s in legs.items() if isinstance(s, tuple)})

    def between_pods(self, leg: Leg, *, leaves: bool, arrives: bool) -> LegSteps:
        """Return the steps of a pod's packet at a node: out of it, into it, or both."""
        plain, routed = self.local, self.local_routed
        if not (leaves and arrives):
            plain, routed = (self.egress, self.egress_routed) if leaves else (self.ingress, self.ingress_routed)
        translated = leg.snat is not None or (leg.nat is not None and not self.plain_services)
        if leg.reply and self.bridged_replies and leg.snat is None and leg.nat is not None:
            translated = leg.nat.masqueraded is not None
        # a tunnel is for pods; what a pod sends to another node itself takes the way of all that is routed
        bare = leaves and not arrives and leg.tunnel_out is None and any(isinstance(step, Encap) for step in plain)
        return routed if (translated or bare) and routed is not None else plain


class EniAddresses(BaseModel):
    """Pod addresses that come from the machine's cloud interfaces: ``interfaces`` x (``addresses_each`` - 1) + 2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interfaces: int = Field(gt=0)
    addresses_each: int = Field(gt=1)

    @property
    def pods(self) -> int:
        """Pods a node can hold."""
        return self.interfaces * (self.addresses_each - 1) + 2


class Plugin(BaseModel):
    """A network plugin.

    ``impossible`` maps proxy modes that cannot exist with it to the reason; ``policy`` names the engine that enforces
    NetworkPolicies. ``masquerade`` says which destinations a pod's traffic reaches with the node's address: those
    outside the cluster's pods and nodes (``outside-cluster``), all but other pods (``outside-pods``), all but private
    ranges (``outside-private``), all but pods of the own node (``outside-node``: the bridge plugin's ``ipMasq`` spares
    its own range only, so that even pods of other nodes see the node's address).
    ``bandwidth`` names what holds pods to their bandwidth annotations: nothing, the CNI bandwidth plugin's token bucket
    (``tbf``; the container runtimes ask for a burst of 2^32 - 1 bits), or kubenet's classes on the bridge (``htb``).
    ``pod_ingress`` and ``pod_egress`` are token buckets that every pod gets, whatever its annotations say.
    ``joins_sockets`` says that sockets of one node are joined in eBPF (sockmap): data move from one to the other
    without the protocols.
    ``mtu_bytes`` is the MTU of pods where a configuration states it.
    ``hairpin`` says whether its bridge sends a frame back through the port it came from, so that a pod reaches itself
    through its own Service: ``always`` (or no bridge is in the way), ``never``, or as the kubelets' ``hairpinMode``
    has it (``kubelet``).
    ``routes_in_cloud``, ``layer2_domain`` and ``eni`` state what limits the cluster's size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    encapsulation: Encapsulation | None = None
    policy: PolicyEngine = "none"
    masquerade: Literal["outside-cluster", "outside-pods", "outside-private", "outside-node", "never"] = "outside-pods"
    bandwidth: Shaper = "none"
    hairpin: Literal["always", "kubelet", "never"] = "always"
    pod_ingress: TokenBucket | None = None
    pod_egress: TokenBucket | None = None
    joins_sockets: bool = False
    routes_in_cloud: bool = False
    layer2_domain: bool = False
    pod_cidr_per_node: bool = True
    eni: EniAddresses | None = None
    mtu_overhead_bytes: int | None = None
    """Bytes the plugin takes off the node's MTU; ``None`` means its encapsulation's overhead."""
    mtu_bytes: int | None = Field(None, ge=68)
    families: tuple[Family, ...] = ("IPv4", "IPv6")
    usual_proxy: ProxyMode = "iptables"
    impossible: Mapping[ProxyMode, str] = Field(default_factory=dict)
    legs: Mapping[Literal["default", "iptables", "ipvs", "nftables", "ebpf"], Legs]

    @model_validator(mode="after")
    def _every_mode_has_legs(self) -> Plugin:
        possible = [mode for mode in PROXY_MODES if mode not in self.impossible]
        missing = [mode for mode in possible if mode not in self.legs and "default" not in self.legs]
        if missing:
            raise ValueError(f"no legs for proxy mode {', '.join(missing)}, and no reason in impossible")
        return self

    @cached_property
    def _placed(self) -> Mapping[str, Legs]:
        return {mode: legs.through(self.encapsulation) for mode, legs in self.legs.items()}

    def changed(self, **fields: object) -> Plugin:
        """Return a plugin with other fields, checked anew; what was worked out of the old ones is left behind."""
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **fields})

    def legs_for(self, proxy: ProxyMode) -> Legs:
        """Return the legs under a proxy mode. Raises `InputError` where the combination cannot exist."""
        reason = combination(self, proxy)
        if reason is not None:
            message = f"{self.name} with {proxy} services cannot exist: {reason}"
            raise InputError(message, place=Place(field="network.proxy"))
        return self._placed.get(proxy) or self._placed["default"]

    def pod_mtu_bytes(self, node_mtu_bytes: int, ipv6_underlay: bool = False) -> int:
        """Return the MTU the plugin gives a pod on a node whose interface has ``node_mtu_bytes``."""
        if self.mtu_bytes is not None:
            return min(self.mtu_bytes, node_mtu_bytes)
        if self.mtu_overhead_bytes is not None:
            return node_mtu_bytes - self.mtu_overhead_bytes
        return node_mtu_bytes - self.tunnel_bytes(ipv6_underlay)

    def tunnel_bytes(self, ipv6_underlay: bool = False) -> int:
        """Return the bytes the tunnel adds to a packet, 0 without one."""
        return self.encapsulation.overhead_bytes(ipv6_underlay) if self.encapsulation else 0


def combination(plugin: Plugin, proxy: str) -> str | None:
    """Return why a plugin and a proxy mode cannot be combined, ``None`` if they can.

    Raises
    ------
    InputError
        When there is no such proxy mode.
    """
    for mode in PROXY_MODES:
        if mode == proxy:
            return plugin.impossible.get(mode)
    raise InputError(
        "no such proxy mode", place=Place(field="network.proxy"), got=proxy, allowed=", ".join(PROXY_MODES)
    )


def proxy_without(cluster: Cluster, plugin: Plugin) -> ProxyMode:
    """Return the proxy mode where nobody asks for one: what the input says of kube-proxy, else the plugin's usual one.

    A plugin that usually comes with a service proxy of its own keeps it.
    """
    stated = cluster.proxy.mode if cluster.proxy is not None else ""
    if plugin.usual_proxy == "iptables" and stated and combination(plugin, stated) is None:
        return cast(ProxyMode, stated)
    return plugin.usual_proxy


def loses_hairpins(cluster: Cluster, plugin: Plugin, proxy: ProxyMode) -> bool:
    """Tell whether a pod that its own Service leads back to itself gets no answer.

    What is translated before routing to an address on the same bridge is bridged (br_netfilter, ``bridged_dnat`` in
    net/bridge/br_netfilter_hooks.c), and a bridge sends nothing back through its port without hairpin mode
    (net/bridge/br_forward.c, ``should_deliver``). ipvs translates when the packet is at the host already, eBPF before
    there is one.
    """
    mode = "promiscuous-bridge" if cluster.kubelet is None else cluster.kubelet.hairpin_mode
    off = plugin.hairpin == "never" or (plugin.hairpin == "kubelet" and mode == "none")
    return off and proxy in ("iptables", "nftables")


def plugin_names() -> tuple[str, ...]:
    """Return the names of the plugins that ship with netsim."""
    folder = resources.files("netsim") / "data" / "plugins"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))


def load_plugin(name_or_path: str, node_mtu_bytes: int = 1500) -> Plugin:
    """Return a shipped plugin by name, one from a YAML file, or the one a CNI configuration amounts to.

    Parameters
    ----------
    name_or_path: name, YAML file, or CNI configuration (``.conf``, ``.conflist``, ``.json``, a directory of them).
    node_mtu_bytes: MTU of the nodes' interfaces: what a CNI configuration leaves of it to pods tells the encapsulation.

    Raises
    ------
    InputError: no such plugin, or a file that is refused.
    """
    from netsim.datapath.cni import is_configuration, load_cni_plugin  # such profiles are built on shipped ones

    if name_or_path in plugin_names():
        return _shipped(name_or_path)
    path = Path(name_or_path)
    if is_configuration(path):
        return load_cni_plugin(path, node_mtu_bytes)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise InputError(
            "no such plugin", place=Place(field="network.plugin"), got=name_or_path,
            allowed=", ".join(plugin_names()) + ", a YAML file or a CNI configuration",
        )  # fmt: skip
    return read_model(read_text(path), str(path), Plugin)


@lru_cache(maxsize=64)
def _shipped(name: str) -> Plugin:
    text = (resources.files("netsim") / "data" / "plugins" / f"{name}.yaml").read_text(encoding="utf-8")
    return read_model(text, f"{name}.yaml", Plugin)
