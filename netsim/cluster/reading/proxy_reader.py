"""kube-proxy's configuration out of the ConfigMap that kubeadm and its like keep it in."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from netsim.cluster.objects import ProxyFacts
from netsim.cluster.reading.fields import Fields
from netsim.errors import InputError, Place

CONFIG_MAP, KEY = ("kube-system", "kube-proxy"), "config.conf"
MODES = ("iptables", "ipvs", "nftables")
"""Modes on Linux; an empty one is iptables."""
DETECTS_BY_RANGE = ("", "ClusterCIDR")
"""Values of ``detectLocalMode`` under which only ``clusterCIDR`` tells pods from others."""


def read_proxy(config_maps: Mapping[tuple[str, str], Mapping[str, str]]) -> ProxyFacts | None:
    """Return what the cluster's kube-proxy was told; ``None`` where the input has no configuration of it.

    Source: kubernetes ``staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go``. Raises `InputError` for a field of
    the wrong type.
    """
    text = config_maps.get(CONFIG_MAP, {}).get(KEY, "")
    try:
        parsed = yaml.safe_load(text) if text else None
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that no calendar has
        return None
    if not isinstance(parsed, dict) or parsed.get("kind") != "KubeProxyConfiguration":
        return None
    try:
        return _facts(Fields(parsed))
    except InputError as error:
        place = Place(field=f"ConfigMap {'/'.join(CONFIG_MAP)}, {KEY}: {error.place.field}")
        raise InputError(error.message, place=place, got=error.got, allowed=error.allowed) from None


def _facts(root: Fields) -> ProxyFacts:
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
