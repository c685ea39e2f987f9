"""A plugin profile out of a node's CNI configuration.

The chain's first plugin (or the agent behind it) decides which shipped profile's legs hold; what the configuration
states (MTU, masquerading, bandwidth, firewall chains, address families) replaces what the profile assumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from netsim.cluster.cni.folder import CONFIGURATIONS, NodeConfiguration, read_configuration
from netsim.cluster.cni.network import NodeFacts, NodeNetwork
from netsim.datapath.encapsulation import Encapsulation
from netsim.datapath.firewall import FirewallChain
from netsim.datapath.plugin import Legs, LegSteps, Plugin, Shaper, load_plugin
from netsim.errors import InputError, Place


class Base(NamedTuple):
    """The shipped profile a network is built on; ``changes`` are fields it has otherwise, ``note`` what is assumed."""

    plugin: str
    changes: Mapping[str, Any] = {}
    note: str = ""
    legs: str = ""
    """Shipped profile whose legs hold instead."""


_AS_ANTREA = "its Open vSwitch flows are taken to cost what Antrea's cost, policies included"
_ROUTED = {"eni": None, "pod_cidr_per_node": True, "masquerade": "outside-cluster"}
BASES: Mapping[tuple[str, str], Base] = {
    ("kubenet", "none"): Base("kubenet"),
    ("flannel", "vxlan"): Base("flannel-vxlan"),
    ("flannel", "none"): Base("flannel-host-gw"),
    ("flannel", "ipip"): Base(
        "flannel-vxlan", {"encapsulation": Encapsulation(kind="ipip", outer_tuple="per-node-pair")}
    ),
    ("flannel", ""): Base("flannel-vxlan", note="the back end is not stated: VXLAN, as flannel's manifest has it"),
    ("calico", "ipip"): Base("calico-ipip"),
    ("calico", "vxlan"): Base("calico-vxlan"),
    ("calico", "none"): Base("calico-bgp"),
    ("cilium-cni", "vxlan"): Base("cilium-vxlan", note="tunnelling is the agent's to say: VXLAN is its default"),
    ("cilium-cni", "geneve"): Base(
        "cilium-vxlan", {"encapsulation": Encapsulation(kind="geneve", underlay_conntrack=False, metadata=True)}
    ),
    ("cilium-cni", "none"): Base("cilium-native"),
    ("aws-cni", "none"): Base("aws-vpc"),
    ("terway", "none"): Base("aws-vpc", {"eni": None}, "a routed veth on cloud interfaces, as the VPC CNI's"),
    ("azure-vnet", "none"): Base("azure"),
    ("cni-kindnet", "none"): Base("aws-vpc", {**_ROUTED, "layer2_domain": True}),
    ("kindnet", "none"): Base("aws-vpc", {**_ROUTED, "layer2_domain": True}),
    ("weave-net", "vxlan"): Base("weave"),
    ("antrea", "geneve"): Base("antrea-geneve"),
    ("antrea", "vxlan"): Base(
        "antrea-geneve",
        {"encapsulation": Encapsulation(kind="vxlan", underlay_conntrack=False, metadata=True, remembers=True)},
    ),
    ("antrea", "none"): Base("antrea-geneve", {"encapsulation": None}),
    ("ovn-k8s-cni-overlay", "geneve"): Base("antrea-geneve", note=_AS_ANTREA),
    ("kube-ovn", "geneve"): Base("antrea-geneve", note=_AS_ANTREA),
    ("openshift-sdn", "vxlan"): Base(
        "antrea-geneve",
        {"encapsulation": Encapsulation(kind="vxlan", underlay_conntrack=False, metadata=True, remembers=True)},
        _AS_ANTREA,
    ),
    ("ptp", ""): Base("aws-vpc", _ROUTED),
    ("bridge", ""): Base("kubenet", {"routes_in_cloud": False, "bandwidth": "none"}),
}
"""By the component that attaches pods and the encapsulation between nodes (empty: the configuration does not say)."""
_BRIDGES: Mapping[str, Base] = {
    "cbr0": Base("kubenet"),
    "kube-bridge": Base("kube-router"),
}
"""Bridges whose name tells the network that made them."""
_AZURE_BRIDGE = Base("azure", legs="kubenet")
_LAYER2 = Base("bridge-l2", {"pod_cidr_per_node": True}, "no gateway on the bridge: pods and nodes share one segment")
_CHAINED_EBPF = Base("cilium-native", note="Cilium chained behind: its programs serve Services and policies")


@dataclass(frozen=True, slots=True)
class CniProfile:
    """A configuration with the profile it amounts to; ``reason`` says why there is none."""

    configuration: NodeConfiguration
    plugin: Plugin | None
    base: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""


def is_configuration(path: str | Path) -> bool:
    """Tell whether a path names a CNI configuration: a file by its ending, or a directory."""
    where = Path(path)
    return where.is_dir() or (where.suffix in CONFIGURATIONS and where.is_file())


def load_cni_plugin(path: str | Path, node_mtu_bytes: int = 1500) -> Plugin:
    """Return the profile of a CNI configuration on nodes whose interface has this MTU.

    Raises
    ------
    InputError: as libcni and the plugins refuse it, or a network that no profile describes (macvlan, SR-IOV ...).
    """
    profile = profile_of(read_configuration(path, NodeFacts(mtu_bytes=node_mtu_bytes)))
    if profile.plugin is None:
        raise InputError(profile.reason, place=Place(str(path)), allowed="a network netsim has hops for")
    return profile.plugin


def profile_of(configuration: NodeConfiguration) -> CniProfile:
    """Return the profile that a configuration amounts to."""
    network, conflist = configuration.network, configuration.conflist
    base = _base(network)
    if base is None:
        between = f" over {network.encapsulation}" if network.encapsulation not in (None, "none") else ""
        named = network.component or "a chain that attaches no pod"
        return CniProfile(configuration, None, reason="; ".join((f"no profile for {named}{between}", *network.notes)))
    shipped = load_plugin(base.plugin)
    changes = {**base.changes, **_stated(network, base.changes.get("bandwidth", shipped.bandwidth))}
    if base.legs:
        changes["legs"] = load_plugin(base.legs).legs
    changes["name"] = f"{network.component} ({conflist.name})"
    changes["title"] = f"CNI network {conflist.name}: {', '.join(conflist.chain)}"
    plugin = shipped.changed(**changes)
    if network.firewall:
        plugin = plugin.changed(legs={mode: _behind_firewall(legs) for mode, legs in plugin.legs.items()})
    notes = [*network.notes, *([base.note] if base.note else [])]
    if plugin.hairpin == "never":
        notes.append("hairpin is off: a pod that its own Service leads back to itself gets no answer")
    return CniProfile(configuration, plugin, base.plugin, tuple(notes))


def _base(network: NodeNetwork) -> Base | None:
    if network.ebpf:
        return _CHAINED_EBPF
    if network.attachment == "bridge":
        if network.component == "azure-vnet":
            return _AZURE_BRIDGE
        if network.component == "bridge":
            return _BRIDGES.get(network.bridge) or (BASES["bridge", ""] if network.gateway else _LAYER2)
    return BASES.get((network.component, network.encapsulation or ""))


def _stated(network: NodeNetwork, shaper: Shaper) -> dict[str, Any]:
    """Return the fields of a profile that the configuration itself states; ``shaper`` is what it would have."""
    found: dict[str, Any] = {"pod_ingress": network.ingress, "pod_egress": network.egress}
    if network.attachment == "bridge":
        found["hairpin"] = "always" if network.hairpin or network.promiscuous else "never"
    if network.mtu_bytes is not None:
        found["mtu_bytes"] = network.mtu_bytes
    if network.families:
        found["families"] = network.families
    if shaper != "htb":
        found["bandwidth"] = "tbf" if network.pod_bandwidth else "none"
    if network.component in ("bridge", "ptp") and network.bridge not in _BRIDGES:
        found["masquerade"] = "outside-node" if network.masquerade else "never"
    return found


def _behind_firewall(legs: Legs) -> Legs:
    """Put the firewall plugin's chain first at FORWARD, where the plugin inserts it."""
    to_pod = ("ingress", "ingress_routed")

    def chained(name: str, steps: LegSteps) -> LegSteps:
        chain = FirewallChain(to_pod=name in to_pod)
        filtered = ("forward", "bridge_netfilter")
        return tuple(each for step in steps for each in ((step, chain) if step.hop in filtered else (step,)))

    changes = {
        name: chained(name, steps) for name in Legs.model_fields if isinstance(steps := getattr(legs, name), tuple)
    }
    return legs.model_copy(update=changes)
