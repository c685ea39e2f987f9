"""Configurations of kube-proxy and kubelets: objects of their own, or in the ConfigMaps kubeadm keeps them in.

Sources: kubernetes ``staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go`` and
``staging/src/k8s.io/kubelet/config/v1beta1/types.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import yaml

from netsim.cluster.configurations import KubeletFacts, ProxyFacts
from netsim.cluster.reading.fields import Fields
from netsim.errors import InputError, Place

PROXY, KUBELET = "KubeProxyConfiguration", "KubeletConfiguration"
PLACES: Mapping[str, tuple[tuple[str, str], str]] = {
    PROXY: (("kube-system", "kube-proxy"), "config.conf"),
    KUBELET: (("kube-system", "kubelet-config"), "kubelet"),
}
"""ConfigMap and key of each kind."""
MODES = ("iptables", "ipvs", "nftables")
"""Modes on Linux; an empty one is iptables."""
HAIRPIN_MODES = ("promiscuous-bridge", "hairpin-veth", "none")
DETECTS_BY_RANGE = ("", "ClusterCIDR")
"""Values of ``detectLocalMode`` under which only ``clusterCIDR`` tells pods from others."""

ConfigMaps = Mapping[tuple[str, str], Mapping[str, str]]
Facts = TypeVar("Facts")


def read_proxy(config_maps: ConfigMaps, stated: Mapping[str, ProxyFacts | KubeletFacts]) -> ProxyFacts | None:
    """Return what the cluster's kube-proxy was told; ``None`` where the input has no configuration of it.

    ``stated`` are configurations the input holds as objects; they win over a ConfigMap. Raises `InputError` for a field
    of the wrong type.
    """
    own = stated.get(PROXY)
    return own if isinstance(own, ProxyFacts) else _kept(config_maps, PROXY, proxy_facts)


def read_kubelet(config_maps: ConfigMaps, stated: Mapping[str, ProxyFacts | KubeletFacts]) -> KubeletFacts | None:
    """Return what the cluster's kubelets were told, as `read_proxy`."""
    own = stated.get(KUBELET)
    return own if isinstance(own, KubeletFacts) else _kept(config_maps, KUBELET, kubelet_facts)


def _kept(config_maps: ConfigMaps, kind: str, read: Callable[[Fields], Facts]) -> Facts | None:
    config_map, key = PLACES[kind]
    text = config_maps.get(config_map, {}).get(key, "")
    try:
        parsed = yaml.safe_load(text) if text else None
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that no calendar has
        return None
    if not isinstance(parsed, dict) or parsed.get("kind") != kind:
        return None
    try:
        return read(Fields(parsed))
    except InputError as error:
        place = Place(field=f"ConfigMap {'/'.join(config_map)}, {key}: {error.place.field}")
        raise InputError(error.message, place=place, got=error.got, allowed=error.allowed) from None


def proxy_facts(root: Fields) -> ProxyFacts:
    """Read a ``KubeProxyConfiguration``. Raises `InputError`."""
    mode = root.text("mode") or MODES[0]
    ranges = tuple(part.strip() for part in root.text("clusterCIDR").split(",") if part.strip())
    section = root.child("nftables" if mode == "nftables" else "iptables")
    return ProxyFacts(
        mode if mode in MODES else "",
        local_cidrs=ranges if root.text("detectLocalMode") in DETECTS_BY_RANGE else None,
        masquerade_all=section.flag("masqueradeAll"),
        node_port_addresses=root.networks("nodePortAddresses") or None,
        localhost_node_ports=root.child("iptables").flag("localhostNodePorts", default=True),
    )


def kubelet_facts(root: Fields) -> KubeletFacts:
    """Read a ``KubeletConfiguration``. Raises `InputError`."""
    return KubeletFacts(
        root.integer("maxPods", 1, 10**6),
        root.text("clusterDomain").strip("."),
        root.choice("hairpinMode", HAIRPIN_MODES, HAIRPIN_MODES[0]),
    )
