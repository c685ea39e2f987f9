"""Services and their endpoints as the API states them, with the defaults of the API server."""

from __future__ import annotations

from typing import get_args

from netsim.cluster.objects import (
    Endpoint,
    EndpointPort,
    Family,
    Service,
    ServicePort,
    ServiceType,
    TrafficPolicy,
    family_of,
)
from netsim.cluster.reading.fields import Fields
from netsim.cluster.reading.pod_reader import PROTOCOLS

TYPES: tuple[ServiceType, ...] = get_args(ServiceType)
TRAFFIC_POLICIES: tuple[TrafficPolicy, ...] = get_args(TrafficPolicy)
FAMILIES: tuple[Family, ...] = get_args(Family)
IP_FAMILY_POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")
SLICE_SERVICE_LABEL = "kubernetes.io/service-name"
DEFAULT_AFFINITY_S = 10800.0
"""Timeout of ClientIP affinity where none is stated (three hours, the API server's default)."""


def read_service(root: Fields, namespace: str) -> Service:
    """Read a Service; cluster IPs and node ports that it does not state are left for the allocator."""
    metadata, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
    kind = spec.choice("type", TYPES, "ClusterIP")
    cluster_ips = () if kind == "ExternalName" else _cluster_ips(spec)
    names, addresses = _load_balancer(status)
    local = kind in ("NodePort", "LoadBalancer") or spec.items("externalIPs")
    if kind == "ExternalName" and not spec.text("externalName"):
        raise spec.wrong("externalName", "an ExternalName Service without a name", "a DNS name")
    return Service(
        namespace=namespace,
        name=metadata.name(),
        type=kind,
        cluster_ips=cluster_ips,
        ports=_ports(spec),
        selector=spec.labels("selector"),
        external_ips=spec.addresses("externalIPs"),
        load_balancer_ips=addresses,
        load_balancer_names=names,
        source_ranges=tuple(dict.fromkeys(_source_ranges(spec, metadata))),
        affinity_s=_affinity(spec),
        internal_traffic_policy=spec.choice("internalTrafficPolicy", TRAFFIC_POLICIES, "Cluster"),
        external_traffic_policy=(
            spec.choice("externalTrafficPolicy", TRAFFIC_POLICIES, "Cluster") if local else "Cluster"
        ),
        allocate_node_ports=spec.flag("allocateLoadBalancerNodePorts", default=True),
        health_check_node_port=spec.port("healthCheckNodePort"),
        external_name=spec.text("externalName").rstrip("."),
        publish_not_ready=spec.flag("publishNotReadyAddresses"),
        traffic_distribution=spec.text("trafficDistribution"),
        ip_families=_families(spec, cluster_ips),
        ip_family_policy=spec.choice("ipFamilyPolicy", IP_FAMILY_POLICIES, _policy(spec, cluster_ips)),
        labels=metadata.labels("labels"),
        annotations=metadata.labels("annotations"),
    )


def _policy(spec: Fields, cluster_ips: tuple[str, ...]) -> str:
    return "RequireDualStack" if max(len(cluster_ips), len(spec.items("ipFamilies"))) > 1 else "SingleStack"


def _cluster_ips(spec: Fields) -> tuple[str, ...]:
    first = spec.text("clusterIP")
    stated = spec.texts("clusterIPs") or ((first,) if first else ())
    if "None" in (first, *stated):
        return ("None",)
    return tuple(spec.ip("clusterIP", address) for address in stated if address)


def _families(spec: Fields, cluster_ips: tuple[str, ...]) -> tuple[Family, ...]:
    stated = spec.texts("ipFamilies")
    for index, family in enumerate(stated):
        if family not in FAMILIES:
            raise spec.wrong(f"ipFamilies[{index}]", "not a known value", ", ".join(FAMILIES), got=family)
    if stated:
        return tuple(family for family in dict.fromkeys(stated) if family in FAMILIES)
    return tuple(family_of(address) for address in cluster_ips if address != "None")


def _ports(spec: Fields) -> tuple[ServicePort, ...]:
    found: list[ServicePort] = []
    for port in spec.children("ports"):
        number = port.integer("port", 1, 65535)
        if number is None:
            raise port.wrong("port", "a port number is missing", "1 to 65535")
        one = ServicePort(
            port=number,
            name=port.text("name"),
            protocol=port.choice("protocol", PROTOCOLS, "TCP"),
            target_port=_target_port(port) or number,
            node_port=port.port("nodePort"),
            app_protocol=port.text("appProtocol"),
        )
        if any(one.port == other.port and one.protocol == other.protocol for other in found):
            raise port.wrong("port", f"the port is given twice for {one.protocol}", "each port and protocol once")
        found.append(one)
    return tuple(found)


def _target_port(port: Fields) -> int | str:
    value = port.value.get("targetPort")
    if value is None or value == "":
        return 0
    if isinstance(value, str):
        return int(value) if value.isdecimal() and 0 < int(value) <= 65535 else value
    return port.port("targetPort") or 0


def _load_balancer(status: Fields) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (host names, addresses) of the load balancer; proxied addresses make no rules and are left out."""
    names, addresses = [], []
    for index, entry in enumerate(status.child("loadBalancer").children("ingress")):
        if entry.text("hostname"):
            names.append(entry.text("hostname"))
        if entry.text("ip") and entry.choice("ipMode", ("VIP", "Proxy"), "VIP") == "VIP":
            addresses.append(status.ip(f"loadBalancer.ingress[{index}].ip", entry.text("ip")))
    return tuple(names), tuple(addresses)


def _source_ranges(spec: Fields, metadata: Fields) -> tuple[str, ...]:
    """Return the allowed client ranges: the field, else the annotation that older clusters use."""
    stated = spec.texts("loadBalancerSourceRanges")
    if stated:
        return tuple(
            spec.network(f"loadBalancerSourceRanges[{index}]", value.strip()) for index, value in enumerate(stated)
        )
    annotation = "service.beta.kubernetes.io/load-balancer-source-ranges"
    text = metadata.labels("annotations").get(annotation, "")
    annotations = metadata.child("annotations")
    return tuple(annotations.network(f"[{annotation}]", part.strip()) for part in text.split(",") if part.strip())


def _affinity(spec: Fields) -> float | None:
    if spec.choice("sessionAffinity", ("None", "ClientIP"), "None") == "None":
        return None
    seconds = spec.child("sessionAffinityConfig").child("clientIP").integer("timeoutSeconds", 1, 86400)
    return DEFAULT_AFFINITY_S if seconds is None else float(seconds)


# ------------------------------------------------------------------------------------------------ endpoints


def read_slice(root: Fields, namespace: str) -> tuple[str, tuple[Endpoint, ...]] | None:
    """Read an EndpointSlice as (Service key, endpoints); ``None`` for slices of no Service or of host names.

    Conditions that are not stated hold, but for ``terminating`` (kubernetes ``pkg/proxy/endpointslicecache.go``).
    """
    service = root.child("metadata").labels("labels").get(SLICE_SERVICE_LABEL, "")
    kind = root.choice("addressType", (*FAMILIES, "FQDN"), "IPv4")
    if not service or kind == "FQDN":
        return None
    ports = _endpoint_ports(root)
    found: list[Endpoint] = []
    for entry in root.children("endpoints"):
        conditions, hints = entry.child("conditions"), entry.child("hints")
        ready = conditions.flag("ready", default=True)
        found.extend(
            Endpoint(
                address,
                ports,
                node=entry.text("nodeName"),
                zone=entry.text("zone"),
                pod=_target(entry, namespace),
                hostname=entry.text("hostname"),
                ready=ready,
                serving=conditions.flag("serving", default=True),
                terminating=conditions.flag("terminating"),
                zone_hints=tuple(zone.text("name") for zone in hints.children("forZones")),
                node_hints=tuple(node.text("name") for node in hints.children("forNodes")),
                further=number > 0,
            )
            for number, address in enumerate(entry.addresses("addresses"))
        )
    return f"{namespace}/{service}", tuple(found)


def read_endpoints(root: Fields, namespace: str) -> tuple[str, tuple[Endpoint, ...]]:
    """Read an Endpoints object as (Service key, endpoints)."""
    found: list[Endpoint] = []
    for subset in root.children("subsets"):
        ports = _endpoint_ports(subset)
        for name, ready in (("addresses", True), ("notReadyAddresses", False)):
            found.extend(
                Endpoint(
                    entry.ip("ip", entry.text("ip")),
                    ports,
                    node=entry.text("nodeName"),
                    pod=_target(entry, namespace),
                    hostname=entry.text("hostname"),
                    ready=ready,
                    serving=ready,
                )
                for entry in subset.children(name)
            )
    return f"{namespace}/{root.child('metadata').name()}", tuple(found)


def _endpoint_ports(root: Fields) -> tuple[EndpointPort, ...]:
    numbered = ((port, port.port("port")) for port in root.children("ports"))
    return tuple(
        EndpointPort(number, port.text("name"), port.choice("protocol", PROTOCOLS, "TCP"))
        for port, number in numbered
        if number is not None
    )


def _target(entry: Fields, namespace: str) -> str:
    target = entry.child("targetRef")
    if target.text("kind") != "Pod" or not target.text("name"):
        return ""
    return f"{target.text('namespace') or namespace}/{target.text('name')}"
