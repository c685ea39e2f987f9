"""The **cni** document: a configuration's chain, the network it yields on a node, and what packets then meet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim.cluster.cluster import Cluster
from netsim.cluster.cni.folder import read_configuration
from netsim.cluster.cni.network import NodeFacts
from netsim.cluster.objects import Node, Pod
from netsim.datapath.cni import CniProfile, profile_of
from netsim.errors import InputError

LEGS = ("egress", "ingress", "local")


@dataclass(frozen=True, slots=True)
class CniReport:
    """What a node makes of a CNI configuration, and of one of its pods where one is named."""

    file: str
    facts: NodeFacts
    profile: CniProfile
    node: str = ""
    pod: Pod | None = None

    @property
    def pod_mtu_bytes(self) -> int | None:
        """MTU of a pod's interface, ``None`` where nothing tells."""
        plugin = self.profile.plugin
        return plugin.pod_mtu_bytes(self.facts.mtu_bytes) if plugin else self.profile.configuration.network.mtu_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of ``netsim inspect cni``."""
        conflist, network = self.profile.configuration.conflist, self.profile.configuration.network
        return {
            "file": self.file,
            "name": conflist.name,
            "version": conflist.version,
            "plugins": list(conflist.chain),
            "node": {
                "name": self.node, "mtu_bytes": self.facts.mtu_bytes, "pod_cidrs": list(self.facts.pod_cidrs)
            },
            "network": {**network.to_dict(), "pod_mtu_bytes": self.pod_mtu_bytes},
            "profile": self._profile(),
            "pod": self._pod(),
            "notes": list(self.profile.notes or network.notes),
        }  # fmt: skip

    def _profile(self) -> dict[str, Any]:
        plugin = self.profile.plugin
        if plugin is None:
            return {"name": None, "reason": self.profile.reason}
        legs = plugin.legs_for(plugin.usual_proxy)
        return {
            "name": plugin.name, "base": self.profile.base, "proxy": plugin.usual_proxy, "policy": plugin.policy,
            "masquerade": plugin.masquerade, "bandwidth": plugin.bandwidth,
            "hops": {name: [step.hop for step in getattr(legs, name)] for name in LEGS},
        }  # fmt: skip

    def _pod(self) -> dict[str, Any] | None:
        pod, network = self.pod, self.profile.configuration.network
        if pod is None:
            return None
        if pod.template.host_network:
            return {"pod": pod.key, "addresses": list(pod.addresses), "host_network": True}
        ports = [port.host_port for port in pod.template.ports if port.host_port]
        fixed = network.ingress or network.egress
        limits = {
            name: bucket.rate_bps if bucket else None if fixed else asked if network.pod_bandwidth else None
            for name, bucket, asked in (
                ("ingress_bps", network.ingress, pod.template.ingress_bps),
                ("egress_bps", network.egress, pod.template.egress_bps),
            )
        }
        return {
            "pod": pod.key, "addresses": list(pod.addresses), "host_network": False,
            "host_ports": ports if network.host_ports else [], **limits,
        }  # fmt: skip


def inspect_cni(
    path: str | Path, cluster: Cluster | None = None, *, pod: str | None = None, node: str | None = None,
    node_mtu_bytes: int = 1500,
) -> CniReport:  # fmt: skip
    """Return what a CNI configuration amounts to.

    Parameters
    ----------
    path: file, directory, manifest with a network's ConfigMap, or ``kubenet``.
    cluster: where ``pod`` and ``node`` are; their node's MTU and pod ranges then hold.
    pod: ``namespace/name``.
    node: name; a pod's own where a pod is named, else the cluster's first.
    node_mtu_bytes: of the node's interface, where no cluster says.

    Raises
    ------
    InputError: the configuration is refused, or there is no such pod or node.
    """
    chosen = None if pod is None else _find_pod(cluster, pod)
    host = _find_node(cluster, chosen.node if chosen is not None else node)
    facts = NodeFacts(node_mtu_bytes, DEFAULT_RANGE if str(path) == "kubenet" else ())
    if host is not None:
        facts = NodeFacts(host.machine.mtu, host.pod_cidrs)
    profile = profile_of(read_configuration(path, facts))
    return CniReport(str(path), facts, profile, host.name if host else "", chosen)


DEFAULT_RANGE = ("10.244.0.0/24",)
"""Pod range of the first node of a default cluster, for kubenet without a cluster."""


def _find_pod(cluster: Cluster | None, key: str) -> Pod:
    found = cluster.pods_by_key.get(key) if cluster is not None else None
    if found is None:
        allowed = "a pod of the cluster as namespace/name" if cluster is not None else "a cluster beside the pod"
        raise InputError("no such pod", got=key, allowed=allowed)
    return found


def _find_node(cluster: Cluster | None, name: str | None) -> Node | None:
    if cluster is None or not cluster.nodes:
        if name:
            raise InputError("no such node", got=name, allowed="a cluster beside the node")
        return None
    if not name:
        return cluster.nodes[0]
    index = cluster.node_index.get(name)
    if index is None:
        raise InputError("no such node", got=name, allowed=", ".join(cluster.node_index))
    return cluster.nodes[index]
