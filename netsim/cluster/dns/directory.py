"""The cluster as CoreDNS's kubernetes plugin sees it through its watches: indexed, filtered, ready endpoints only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from netsim.cluster.cluster import Cluster
from netsim.cluster.corefile import Kubernetes
from netsim.cluster.names import canonical_address
from netsim.cluster.objects import Endpoint, EndpointPort, Service
from netsim.cluster.policy.selectors import selector_matches

NO_PORT = -1
"""Port of Services and endpoints that declare none: they have addresses but no SRV record (object/service.go)."""
_PORTLESS = (EndpointPort(NO_PORT, "", "TCP"),)


def endpoint_label(endpoint: Endpoint, pod_names: bool) -> str:
    """Return the first label of an endpoint's name (plugin/kubernetes: endpointHostname).

    Its hostname, else the pod's name where ``endpoint_pod_names`` asks for it, else the address with dashes.
    """
    if endpoint.hostname:
        return endpoint.hostname.lower()
    if pod_names and endpoint.pod:
        return endpoint.pod.partition("/")[2]
    label = endpoint.address.replace(".", "-").replace(":", "-")
    return f"{label}0" if label.endswith("-") else label


class Directory:
    """Indices over one cluster for one ``kubernetes`` plugin, each built when first needed."""

    def __init__(self, cluster: Cluster, spec: Kubernetes) -> None:
        self._cluster, self._spec = cluster, spec
        self._labels: dict[str, Mapping[str, tuple[Endpoint, ...]]] = {}
        self._ready: dict[str, tuple[Endpoint, ...]] = {}

    # ---------------------------------------------------------------- forward

    def exposed(self, namespace: str) -> bool:
        """Whether the namespace exists and the plugin serves it."""
        found = self._cluster.namespaces_by_name.get(namespace)
        if found is None or (self._spec.namespaces and namespace not in self._spec.namespaces):
            return False
        wanted = self._spec.namespace_labels
        return wanted is None or selector_matches(wanted, found.labels)

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service the plugin watches."""
        service = self._cluster.services_by_key.get(f"{namespace}/{name}")
        if service is None or (self._spec.labels and not selector_matches(self._spec.labels, service.labels)):
            return None
        return service

    def ready(self, service: Service) -> tuple[Endpoint, ...]:
        """Return the ready endpoints of a Service in cluster order; none with ``noendpoints``."""
        if not self._spec.endpoints:
            return ()
        known = self._ready.get(service.key)
        if known is None:
            known = tuple(endpoint for endpoint in self._cluster.endpoints(service.key) if endpoint.ready)
            self._ready[service.key] = known
        return known

    def label(self, endpoint: Endpoint) -> str:
        """Return the endpoint's label under this plugin's settings."""
        return endpoint_label(endpoint, self._spec.endpoint_pod_names)

    def labelled(self, service: Service, label: str) -> tuple[Endpoint, ...]:
        """Return the ready endpoints of a Service that have this label."""
        known = self._labels.get(service.key)
        if known is None:
            found: dict[str, list[Endpoint]] = defaultdict(list)
            for endpoint in self.ready(service):
                found[self.label(endpoint)].append(endpoint)
            known = self._labels[service.key] = {name: tuple(endpoints) for name, endpoints in found.items()}
        return known.get(label, ())

    @staticmethod
    def ports(endpoint: Endpoint) -> tuple[EndpointPort, ...]:
        """Return the endpoint's ports, the stand-in for none included."""
        return endpoint.ports or _PORTLESS

    # ---------------------------------------------------------------- reverse

    @cached_property
    def _services_by_address(self) -> Mapping[str, Service]:
        return {
            canonical_address(address): service
            for service in reversed(self._cluster.services)
            for address in service.cluster_ips
            if address != "None"
        }

    @cached_property
    def _external_by_address(self) -> Mapping[str, tuple[Service, ...]]:
        found: dict[str, list[Service]] = defaultdict(list)
        for service in self._cluster.services:
            for address in external_addresses(service):
                found[canonical_address(address) or address].append(service)
        return {address: tuple(services) for address, services in found.items()}

    @cached_property
    def _endpoints_by_address(self) -> Mapping[str, tuple[tuple[Service, Endpoint], ...]]:
        found: dict[str, list[tuple[Service, Endpoint]]] = defaultdict(list)
        for service in self._cluster.services:
            if self.service(service.namespace, service.name) is not None:
                for endpoint in self.ready(service):
                    found[canonical_address(endpoint.address)].append((service, endpoint))
        return {address: tuple(pairs) for address, pairs in found.items()}

    @cached_property
    def _pod_namespaces(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = defaultdict(list)
        for pod in self._cluster.pods:
            if pod.addresses and not pod.terminating:
                found[pod.addresses[0]].append(pod.namespace)
        return {address: tuple(namespaces) for address, namespaces in found.items()}

    def service_at(self, address: str) -> Service | None:
        """Return the Service with this cluster IP, as far as the plugin watches it."""
        service = self._services_by_address.get(address)
        return None if service is None else self.service(service.namespace, service.name)

    def external_at(self, address: str) -> tuple[Service, ...]:
        """Return the Services reachable from outside at this address."""
        return self._external_by_address.get(address, ())

    def endpoints_at(self, address: str) -> tuple[tuple[Service, Endpoint], ...]:
        """Return the ready endpoints with this address and the Services they belong to."""
        return self._endpoints_by_address.get(address, ())

    def pods_at(self, address: str) -> tuple[str, ...]:
        """Return the namespaces of the pods with this primary address (host-network pods included)."""
        return self._pod_namespaces.get(address, ())


def external_addresses(service: Service) -> tuple[str, ...]:
    """Return addresses and host names under which a Service is reached from outside."""
    return tuple(dict.fromkeys((*service.external_ips, *service.load_balancer_ips, *service.load_balancer_names)))
