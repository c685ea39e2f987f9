"""Service ports as a proxy sees them: one per (Service, port, family), with every endpoint behind it.

Mirrors ``pkg/proxy/serviceport.go`` (BaseServicePortInfo) and ``endpointslicecache.go`` of Kubernetes: addresses are
split by family, an endpoint belongs to a Service port when name and protocol of its port are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Endpoint, Family, Protocol, Service, ServicePort, family_of
from netsim.cluster.service_rules.config import network, of_family
from netsim.cluster.service_rules.hints import hinted

NOT_PROXIED_LABELS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
"""A Service with one of these labels is left to another proxy (KEP-2447)."""


class Backend(NamedTuple):
    """One endpoint of one Service port."""

    address: str
    port: int
    node: str = ""
    ready: bool = True
    draining: bool = False
    """Serving while terminating: used when nothing is ready."""
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()

    def on(self, node: str) -> bool:
        """Tell whether the endpoint runs on this node."""
        return bool(node) and self.node == node


@dataclass(frozen=True, slots=True, eq=False)
class ServedPort:
    """One Service port in one family.

    ``node_port`` and ``health_check_port`` are 0 where there is none; ``cluster_ip`` is empty while the input leaves
    the address to be allocated. ``external_local`` and ``internal_local`` state the traffic policies.
    """

    service: str
    name: str
    family: Family
    protocol: Protocol
    cluster_ip: str
    port: int
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    node_port: int
    affinity: bool
    internal_local: bool
    external_local: bool
    health_check_port: int
    backends: tuple[Backend, ...]

    @property
    def id(self) -> str:
        """``namespace/name:port``, the identity in reports."""
        return f"{self.service}:{self.port}"

    @property
    def external_addresses(self) -> int:
        """External IPs, load-balancer IPs and the node port, counted."""
        return len(self.external_ips) + len(self.load_balancer_ips) + (self.node_port > 0)

    @property
    def external(self) -> bool:
        """Reachable from outside the cluster in some way."""
        return self.external_addresses > 0

    @property
    def uses_cluster(self) -> bool:
        """Some traffic may go to endpoints of any node (external policy Local still short-cuts pods to them)."""
        return not self.internal_local or self.external

    @property
    def uses_local(self) -> bool:
        """Some traffic is confined to endpoints of its node."""
        return self.internal_local or (self.external_local and self.external)

    @property
    def confined(self) -> bool:
        """A node never uses endpoints of other nodes: both policies are Local, or the only one that counts is."""
        return self.internal_local and (self.external_local or not self.external)

    @property
    def filtered(self) -> bool:
        """``loadBalancerSourceRanges`` guard its load-balancer IPs."""
        return bool(self.load_balancer_ips and self.source_ranges)


def proxied(service: Service) -> bool:
    """Tell whether kube-proxy makes rules for a Service: not for headless, ExternalName or labelled ones."""
    if service.type == "ExternalName" or service.headless:
        return False
    return not any(label in service.labels for label in NOT_PROXIED_LABELS)


def cluster_families(cluster: Cluster) -> tuple[Family, ...]:
    """Return the families in use, primary first: those of the Services, and all of a dual-stack cluster."""
    ranges = tuple(dict.fromkeys(family_of(cidr) for cidr in cluster.cluster_cidrs))
    services = dict.fromkeys(
        family for service in cluster.services if proxied(service) for family in _families(service, ranges[:1])
    )
    if not services:
        return ranges or ("IPv4",)
    extra = ranges if len(ranges) > 1 else ()
    return tuple(dict.fromkeys([*services, *extra]))


def _families(service: Service, primary: tuple[Family, ...]) -> tuple[Family, ...]:
    stated = tuple(dict.fromkeys(family_of(ip) for ip in service.cluster_ips))
    return stated or service.ip_families or primary or ("IPv4",)


def served_ports(cluster: Cluster, family: Family) -> tuple[ServedPort, ...]:
    """Return every Service port of one family that gets rules, in the order of the Services."""
    primary = tuple(family_of(cidr) for cidr in cluster.cluster_cidrs[:1])
    return tuple(
        port
        for service in cluster.services
        if proxied(service) and family in _families(service, primary)
        for port in _ports_of(cluster, service, family)
    )


def _ports_of(cluster: Cluster, service: Service, family: Family) -> Iterator[ServedPort]:
    every = cluster.endpoints(service.key)
    endpoints = tuple(end for end in every if family_of(end.address) == family and not end.further)
    if service.key not in cluster.slices:
        endpoints = hinted(cluster, service, endpoints)
    cluster_ip = next(iter(of_family(service.cluster_ips, family)), "")
    open_to_outside = service.type in ("NodePort", "LoadBalancer") or bool(service.external_ips)
    external_local = open_to_outside and service.external_traffic_policy == "Local"
    health = service.health_check_node_port if external_local and service.type == "LoadBalancer" else None
    ranges = tuple(cidr.strip() for cidr in service.source_ranges if network(cidr) is not None)
    for port in service.ports:
        yield ServedPort(
            service=service.key,
            name=port.name,
            family=family,
            protocol=port.protocol,
            cluster_ip=cluster_ip,
            port=port.port,
            external_ips=of_family(service.external_ips, family),
            load_balancer_ips=of_family(service.load_balancer_ips, family),
            source_ranges=of_family(ranges, family),
            node_port=port.node_port or 0,
            affinity=service.affinity_s is not None,
            internal_local=service.internal_traffic_policy == "Local",
            external_local=external_local,
            health_check_port=health or 0,
            backends=_backends(port, endpoints),
        )


def _backends(port: ServicePort, endpoints: tuple[Endpoint, ...]) -> tuple[Backend, ...]:
    found: dict[tuple[str, int], Backend] = {}
    for end in endpoints:
        for target in end.ports:
            if target.name == port.name and target.protocol == port.protocol:
                found[end.address, target.port] = Backend(
                    end.address, target.port, end.node, end.ready, end.serving and end.terminating and not end.ready,
                    end.zone_hints, end.node_hints,
                )  # fmt: skip
    return tuple(found.values())
