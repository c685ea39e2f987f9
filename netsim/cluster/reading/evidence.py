"""Address ranges and the cluster domain, from what the input states or lets one conclude."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import yaml

from netsim.cluster.address_range import DEFAULT_SERVICE_RANGES, NODE_MASKS, Range, enclosing_range
from netsim.cluster.objects import Family, Node, Pod, Service, family_of
from netsim.errors import InputError

_CLUSTER_FLAG = re.compile(r"--cluster-cidr=([^\s'\"]+)")
_SERVICE_FLAG = re.compile(r"--service-cluster-ip-range=([^\s'\"]+)")
_DOMAIN_FLAG = re.compile(r"--cluster-domain=([^\s'\"]+)")
_COREFILE_ZONE = re.compile(r"^\s*kubernetes\s+([a-z0-9][-a-z0-9.]*)", re.MULTILINE)
_CLUSTER_ENCLOSURE: Mapping[Family, int] = {"IPv4": 16, "IPv6": 48}
"""Longest prefix concluded for a range from addresses in it."""
_SERVICE_ENCLOSURE: Mapping[Family, int] = {"IPv4": 16, "IPv6": 108}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the input says about ranges: one range a family, empty where nothing is known."""

    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    domain: str = ""


def find_evidence(
    nodes: Collection[Node],
    pods: Collection[Pod],
    services: Iterable[Service],
    config_maps: Mapping[tuple[str, str], Mapping[str, str]],
    corefile: str,
) -> Evidence:
    """Conclude the ranges: flags of control plane pods and kubeadm's ConfigMap first, then addresses in use.

    A pod range concluded from addresses is wide enough for a block for every node.
    """
    texts = list(_control_plane_texts(pods))
    kubeadm = _kubeadm(config_maps)
    node_ranges = [cidr for node in nodes for cidr in node.pod_cidrs]
    pod_addresses = [ip for pod in pods if not pod.template.host_network for ip in pod.addresses]
    cluster_ips = [ip for service in services for ip in service.cluster_ips if ip != "None"]
    zone = _COREFILE_ZONE.search(corefile)
    domain = _first(_DOMAIN_FLAG, texts) or kubeadm.get("dnsDomain") or (zone.group(1) if zone else "")
    return Evidence(
        _valid(_first(_CLUSTER_FLAG, texts) or kubeadm.get("podSubnet", ""))
        or _enclosing(node_ranges or pod_addresses, _room_for(nodes, pods), {}),
        _valid(_first(_SERVICE_FLAG, texts) or kubeadm.get("serviceSubnet", ""))
        or _enclosing(cluster_ips, _SERVICE_ENCLOSURE, DEFAULT_SERVICE_RANGES),
        "" if domain.endswith(".arpa") else domain.rstrip("."),
    )


def _room_for(nodes: Collection[Node], pods: Iterable[Pod]) -> Mapping[Family, int]:
    names = {node.name for node in nodes} | {pod.node for pod in pods if pod.node}
    bits = max(len(names) - 1, 0).bit_length()
    return {family: min(longest, NODE_MASKS[family] - bits) for family, longest in _CLUSTER_ENCLOSURE.items()}


def _control_plane_texts(pods: Iterable[Pod]) -> Iterator[str]:
    for pod in pods:
        if pod.namespace == "kube-system" and pod.name.startswith("kube-"):
            yield from pod.template.texts


def _first(pattern: re.Pattern[str], texts: Iterable[str]) -> str:
    return next((match.group(1) for text in texts if (match := pattern.search(text))), "")


def _kubeadm(config_maps: Mapping[tuple[str, str], Mapping[str, str]]) -> Mapping[str, str]:
    text = config_maps.get(("kube-system", "kubeadm-config"), {}).get("ClusterConfiguration", "")
    try:
        parsed = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        return {}
    networking = parsed.get("networking") if isinstance(parsed, dict) else None
    if not isinstance(networking, dict):
        return {}
    return {str(key): str(value) for key, value in networking.items()}


def _valid(text: str) -> tuple[str, ...]:
    try:
        return tuple(Range(part).text for part in text.split(",") if part)
    except InputError:
        return ()


def _enclosing(addresses: Iterable[str], longest: Mapping[Family, int], usual: Mapping[Family, str]) -> tuple[str, ...]:
    """Return a range a family that holds the addresses: the usual one where it does."""
    by_family: dict[Family, list[str]] = {}
    for address in addresses:
        by_family.setdefault(family_of(address), []).append(address)
    found = []
    for family, members in by_family.items():
        common = usual.get(family)
        inside = common is not None and all(Range(member).first in Range(common) for member in members)
        found.append(cast(str, common) if inside else enclosing_range(members, longest[family]))
    return tuple(found)
