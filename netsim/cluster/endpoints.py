"""Endpoints as the EndpointSlice controller derives them from a Service's selector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.cluster.objects import Endpoint, EndpointPort, Pod, Service, ServicePort, family_of

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster


def resolve_port(port: ServicePort, pod: Pod) -> int | None:
    """Return the number a Service's target port has on this pod; ``None`` when the pod lacks the named port."""
    target = port.target_port or port.port
    if isinstance(target, int):
        return target
    for declared in pod.template.ports:
        if declared.name == target and declared.protocol == port.protocol:
            return declared.port
    return None


def _ports(service: Service, pod: Pod) -> tuple[EndpointPort, ...]:
    resolved = ((port, resolve_port(port, pod)) for port in service.ports)
    return tuple(EndpointPort(number, port.name, port.protocol) for port, number in resolved if number is not None)


def _families(service: Service) -> tuple[str, ...]:
    if service.ip_families:
        return tuple(service.ip_families)
    stated = tuple(dict.fromkeys(family_of(ip) for ip in service.cluster_ips if ip != "None"))
    return stated or ("IPv4", "IPv6")


def derive_endpoints(service: Service, cluster: Cluster) -> tuple[Endpoint, ...]:
    """Return the endpoints a Service's selector yields, in pod order, the families of the Service only.

    Pods without an address or that ended have none. A pod with a ``subdomain`` equal to the Service's name lends its
    hostname to the endpoint (kubernetes ``pkg/controller/util/endpoint``: ShouldSetHostname).
    """
    if not service.selector or service.type == "ExternalName":
        return ()
    families = _families(service)
    shared: dict[int, tuple[EndpointPort, ...]] = {}
    found: list[Endpoint] = []
    for pod in cluster.select_pods(service.namespace, service.selector):
        key = id(pod.template)
        ports = shared.get(key)
        if ports is None:
            ports = shared[key] = _ports(service, pod)
        hostname = pod.hostname or pod.template.hostname
        if not (hostname and pod.template.subdomain == service.name):
            hostname = ""
        serving = pod.ready if pod.serving is None else pod.serving
        ready = service.publish_not_ready or (pod.ready and not pod.terminating)
        zone = cluster.zone_of(pod.node)
        found.extend(
            Endpoint(
                address,
                ports,
                node=pod.node,
                zone=zone,
                pod=pod.key,
                hostname=hostname,
                ready=ready,
                serving=serving,
                terminating=pod.terminating,
            )
            for address in pod.addresses
            if family_of(address) in families
        )
    return tuple(found)
