"""The cluster as one frozen value, with the indices that everybody needs, built on first use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from netsim.cluster.configurations import KubeletFacts, ProxyFacts
from netsim.cluster.endpoints import derive_endpoints
from netsim.cluster.objects import (
    Endpoint,
    Fabric,
    Labels,
    Namespace,
    NetworkPolicy,
    Node,
    Note,
    Pod,
    Service,
    Workload,
)


@dataclass(frozen=True)
class Cluster:
    """What exists, at one revision. No clock and no cost.

    ``slices`` holds endpoints that the input states (EndpointSlice or Endpoints objects) by service key; services
    without an entry get theirs from their selector. ``corefile`` is CoreDNS's configuration text (empty: the kubeadm
    default); ``dns_service`` the key of the cluster DNS Service. ``cluster_cidrs`` and ``service_cidrs`` hold one range
    a family.
    """

    nodes: tuple[Node, ...] = ()
    pods: Sequence[Pod] = ()
    services: tuple[Service, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    workloads: tuple[Workload, ...] = ()
    slices: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    corefile: str = ""
    node_local_corefile: str = ""
    corefile_imports: Mapping[str, str] = field(default_factory=dict)
    """Files beside the Corefile that its ``import`` lines find, by relative path (``custom/shop.server``)."""
    dns_service: str = "kube-system/kube-dns"
    added_services: frozenset[str] = frozenset()
    """Services by key that the input lacks and every cluster has; only the default cluster DNS is ever added."""
    cluster_domain: str = "cluster.local"
    cluster_cidrs: tuple[str, ...] = ("10.244.0.0/16",)
    service_cidrs: tuple[str, ...] = ("10.96.0.0/12",)
    proxy: ProxyFacts | None = None
    """kube-proxy's configuration, where the input has it."""
    kubelet: KubeletFacts | None = None
    """The kubelets' configuration, where the input has it."""
    host_search: tuple[str, ...] = ()
    """Search domains of the nodes' own resolv.conf, which the kubelet appends to those of pods."""
    fabric: Fabric = Fabric()  # noqa: RUF009 (frozen)
    notes: tuple[Note, ...] = ()
    revision: int = 0

    # ---------------------------------------------------------------- indices

    @cached_property
    def node_index(self) -> Mapping[str, int]:
        """Position of each node by name."""
        return {node.name: index for index, node in enumerate(self.nodes)}

    @cached_property
    def pods_by_key(self) -> Mapping[str, Pod]:
        """Pods by ``namespace/name``."""
        return {pod.key: pod for pod in self.pods}

    @cached_property
    def pods_by_address(self) -> Mapping[str, Pod]:
        """Pods (not host-network ones) by each of their addresses."""
        return {address: pod for pod in self.pods if not pod.template.host_network for address in pod.addresses}

    @cached_property
    def pods_by_owner(self) -> Mapping[str, Sequence[int]]:
        """Positions of the pods of each workload, by ``namespace/name`` of it (of the pod itself without one)."""
        found: dict[str, list[int]] = defaultdict(list)
        for index, pod in enumerate(self.pods):
            found[f"{pod.namespace}/{pod.template.owner or pod.name}"].append(index)
        return dict(found)

    @cached_property
    def pods_by_namespace(self) -> Mapping[str, int]:
        """Number of pods in each namespace."""
        return Counter(pod.namespace for pod in self.pods)

    @cached_property
    def services_by_key(self) -> Mapping[str, Service]:
        """Services by ``namespace/name``."""
        return {service.key: service for service in self.services}

    @cached_property
    def namespaces_by_name(self) -> Mapping[str, Namespace]:
        """Namespaces by name; a namespace that pods or services imply is present with its default label."""
        names = dict.fromkeys([*(ns.name for ns in self.namespaces), *(pod.namespace for pod in self.pods)])
        names.update(dict.fromkeys(service.namespace for service in self.services))
        stated = {ns.name: ns for ns in self.namespaces}
        return {name: stated.get(name) or Namespace(name, {"kubernetes.io/metadata.name": name}) for name in names}

    @cached_property
    def _pods_by_label(self) -> Mapping[tuple[str, str, str], tuple[Pod, ...]]:
        found: dict[tuple[str, str, str], list[Pod]] = defaultdict(list)
        for pod in self.pods:
            for key, value in pod.labels.items():
                found[pod.namespace, key, value].append(pod)
        return {label: tuple(pods) for label, pods in found.items()}

    def select_pods(self, namespace: str, labels: Labels) -> tuple[Pod, ...]:
        """Return the pods of a namespace that carry all ``labels`` (a Service selector), in cluster order."""
        if not labels:
            return ()
        lists = sorted((self._pods_by_label.get((namespace, *item), ()) for item in labels.items()), key=len)
        items = labels.items()
        return tuple(pod for pod in lists[0] if items <= pod.labels.items())

    @cached_property
    def _endpoints(self) -> dict[str, tuple[Endpoint, ...]]:
        return {}

    def endpoints(self, service_key: str) -> tuple[Endpoint, ...]:
        """Return every endpoint of a Service, all families, ready or not; empty for unknown or selector-less ones."""
        known = self._endpoints.get(service_key)
        if known is None:
            known = self.slices.get(service_key)
            service = self.services_by_key.get(service_key)
            if known is None:
                known = derive_endpoints(service, self) if service is not None else ()
            self._endpoints[service_key] = known
        return known

    def zone_of(self, node: str) -> str:
        """Return the zone of a node, empty when unknown."""
        index = self.node_index.get(node)
        return "" if index is None else self.nodes[index].zone

    def noted(self, notes: Iterable[Note]) -> Cluster:
        """Return the same cluster with more notes."""
        return replace(self, notes=(*self.notes, *notes))
