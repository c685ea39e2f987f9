"""Topology hints as the EndpointSlice controller sets them on endpoints it derives from a selector.

Sources: kubernetes ``staging/src/k8s.io/endpointslice/trafficdist`` (trafficDistribution) and ``topologycache``
(annotation ``service.kubernetes.io/topology-mode: Auto``). Hints of EndpointSlices given as input are kept as they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Endpoint, Service

OVERLOAD_THRESHOLD = 0.2
"""A zone may get at most this share more traffic per endpoint than the mean (topologycache.go)."""
MODE_ANNOTATIONS = ("service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints")
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def hinted(cluster: Cluster, service: Service, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return the endpoints with the hints their Service asks for; only ready endpoints carry hints."""
    mode = next((service.annotations[key] for key in MODE_ANNOTATIONS if key in service.annotations), "")
    if mode in ("Auto", "auto"):
        return _proportional(cluster, endpoints)
    if service.traffic_distribution == "PreferSameNode":
        return tuple(
            replace(end, zone_hints=_known(end.zone), node_hints=_known(end.node)) if end.ready else end
            for end in endpoints
        )
    if service.traffic_distribution in ("PreferClose", "PreferSameZone"):
        return tuple(replace(end, zone_hints=_known(end.zone)) if end.ready else end for end in endpoints)
    return endpoints


def _known(name: str) -> tuple[str, ...]:
    return (name,) if name else ()


def _proportional(cluster: Cluster, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Hint endpoints to zones in proportion to their CPUs, or give none when that cannot be done fairly."""
    ready = tuple(end for end in endpoints if end.ready)
    cpus = _cpus_by_zone(cluster)
    if len(cpus) < 2 or len(cpus) > len(ready) or any(end.zone not in cpus for end in ready):
        return endpoints
    total = sum(cpus.values())
    least = {zone: math.ceil(len(ready) * cpu / total / (1 + OVERLOAD_THRESHOLD)) for zone, cpu in cpus.items()}
    if sum(least.values()) > len(ready):
        return endpoints
    assigned = iter(_assign([end.zone for end in ready], least))
    return tuple(replace(end, zone_hints=(next(assigned),)) if end.ready else end for end in endpoints)


def _cpus_by_zone(cluster: Cluster) -> dict[str, int]:
    """CPU of ready worker nodes by zone in thousandths of a core; empty when one of them has no zone."""
    found: Counter[str] = Counter()
    for node in cluster.nodes:
        if not node.ready or any(label in node.labels for label in CONTROL_PLANE_LABELS):
            continue
        if not node.zone:
            return {}
        found[node.zone] += node.cpu_millis or node.machine.cores * 1000
    return dict(found)


def _assign(zones: list[str], least: Mapping[str, int]) -> list[str]:
    """Move as few endpoints as possible to zones that have fewer than their minimum, from zones that have more."""
    held = Counter(zones)
    assigned = list(zones)
    for index, zone in enumerate(zones):
        needy = next((other for other in least if held[other] < least[other]), None)
        if needy is not None and held[zone] > least[zone]:
            held[zone] -= 1
            held[needy] += 1
            assigned[index] = needy
    return assigned
