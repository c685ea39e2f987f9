"""Everything the input states, kind by kind, as it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from netsim.cluster.configurations import KubeletFacts, ProxyFacts
from netsim.cluster.objects import Endpoint, Machine, Namespace, NetworkPolicy, Node, Service
from netsim.cluster.policy import read_policy
from netsim.cluster.reading.component_reader import KUBELET, PROXY, kubelet_facts, proxy_facts
from netsim.cluster.reading.documents import rendered
from netsim.cluster.reading.fields import Fields, shown
from netsim.cluster.reading.node_reader import read_namespace, read_node
from netsim.cluster.reading.pod_reader import WORKLOAD_READERS, Blueprints, StatedPod, StatedWorkload, read_pod
from netsim.cluster.reading.service_reader import read_endpoints, read_service, read_slice
from netsim.cluster.reading.yaml_source import RawObject
from netsim.errors import InputError, Place

Key = TypeVar("Key")
Kept = TypeVar("Kept")


@dataclass(slots=True)
class Inventory:
    """Objects in the order read; a later object of the same kind and name replaces an earlier one, as on apply.

    ``ignored`` counts objects by kind that netsim does not read, ``replaced`` those that a later one overrode,
    ``ended`` pods that have finished, ``blueprints`` the pod templates read so far. ``machine``,
    ``max_pods`` and ``provider`` are assumed of nodes that do not say.
    """

    machine: Machine = Machine()  # noqa: RUF009 (frozen)
    max_pods: int = 110
    provider: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    pods: dict[tuple[str, str], StatedPod] = field(default_factory=dict)
    workloads: dict[tuple[str, str, str], StatedWorkload] = field(default_factory=dict)
    services: dict[tuple[str, str], Service] = field(default_factory=dict)
    slices: dict[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    endpoints: dict[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    policies: dict[tuple[str, str], NetworkPolicy] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    configurations: dict[str, ProxyFacts | KubeletFacts] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    count: int = 0
    blueprints: Blueprints = field(default_factory=Blueprints)

    def add(self, raw: RawObject) -> None:
        """Read one object. Raises `InputError` that names the field; the caller knows the file."""
        if not isinstance(raw.value, Mapping):
            raise InputError("not an object", got=shown(raw.value), allowed="a mapping with kind and metadata")
        root = Fields(raw.value)
        version = root.text("apiVersion") or raw.list_version
        metadata = root.child("metadata")
        kind = root.text("kind") or raw.list_kind.removesuffix("List")
        if not kind:
            metadata.labels("labels")
            raise root.wrong(
                "kind", "not a Kubernetes object: its kind is missing", "a kind such as Deployment", got=""
            )
        rendered(kind, raw)
        self.count += 1
        group = version.rpartition("/")[0]
        read = _READERS.get((group, kind)) or (_ANY_GROUP.get(kind) if not version else None)
        if read is None:
            self.ignored[f"{kind}.{group}" if kind in _ANY_GROUP else kind] += 1
            return
        read(self, root, _Source(kind, metadata.text("namespace") or "default", Place(raw.file, raw.line)))

    def keep(self, store: dict[Key, Kept], key: Key, value: Kept, kind: str) -> None:
        """Store an object under its key; count a different one that it replaces."""
        if key in store and store[key] != value:
            self.replaced[kind] += 1
        store[key] = value


@dataclass(frozen=True, slots=True)
class _Source:
    """What is known of an object before its fields are read."""

    kind: str
    namespace: str
    place: Place


_Reader = Callable[[Inventory, Fields, _Source], None]


def _add_node(inventory: Inventory, root: Fields, source: _Source) -> None:
    node = read_node(root, inventory.machine, inventory.max_pods, inventory.provider)
    inventory.keep(inventory.nodes, node.name, node, source.kind)


def _add_namespace(inventory: Inventory, root: Fields, source: _Source) -> None:
    namespace = read_namespace(root)
    inventory.keep(inventory.namespaces, namespace.name, namespace, source.kind)


def _add_pod(inventory: Inventory, root: Fields, source: _Source) -> None:
    stated = read_pod(root, source.namespace, source.place, inventory.blueprints)
    if stated is None:
        inventory.ended += 1
    else:
        inventory.keep(inventory.pods, (source.namespace, stated.pod.name), stated, source.kind)


def _add_workload(inventory: Inventory, root: Fields, source: _Source) -> None:
    stated = WORKLOAD_READERS[source.kind](root, source.namespace, source.place)
    key = (source.namespace, source.kind, stated.workload.name)
    inventory.keep(inventory.workloads, key, stated, source.kind)


def _add_service(inventory: Inventory, root: Fields, source: _Source) -> None:
    service = read_service(root, source.namespace)
    inventory.keep(inventory.services, (source.namespace, service.name), service, source.kind)


def _add_slice(inventory: Inventory, root: Fields, source: _Source) -> None:
    found = read_slice(root, source.namespace)
    if found is not None:
        inventory.slices[found[0]] = inventory.slices.get(found[0], ()) + found[1]


def _add_endpoints(inventory: Inventory, root: Fields, source: _Source) -> None:
    key, endpoints = read_endpoints(root, source.namespace)
    inventory.keep(inventory.endpoints, key, endpoints, source.kind)


def _add_policy(inventory: Inventory, root: Fields, source: _Source) -> None:
    policy = read_policy(root.value, Place())
    inventory.keep(inventory.policies, (policy.namespace, policy.name), policy, source.kind)


def _add_config_map(inventory: Inventory, root: Fields, source: _Source) -> None:
    key = (source.namespace, root.child("metadata").name())
    inventory.keep(inventory.config_maps, key, root.labels("data"), source.kind)


def _add_proxy_configuration(inventory: Inventory, root: Fields, source: _Source) -> None:
    inventory.keep(inventory.configurations, source.kind, proxy_facts(root), source.kind)


def _add_kubelet_configuration(inventory: Inventory, root: Fields, source: _Source) -> None:
    inventory.keep(inventory.configurations, source.kind, kubelet_facts(root), source.kind)


_GROUPS: Mapping[str, tuple[tuple[str, ...], _Reader]] = {
    "Node": (("",), _add_node),
    "Namespace": (("",), _add_namespace),
    "Pod": (("",), _add_pod),
    "Service": (("",), _add_service),
    "Endpoints": (("",), _add_endpoints),
    "ConfigMap": (("",), _add_config_map),
    "ReplicationController": (("",), _add_workload),
    "EndpointSlice": (("discovery.k8s.io",), _add_slice),
    "NetworkPolicy": (("networking.k8s.io", "extensions"), _add_policy),
    "Job": (("batch",), _add_workload),
    **dict.fromkeys(("Deployment", "DaemonSet", "ReplicaSet"), (("apps", "extensions"), _add_workload)),
    "StatefulSet": (("apps",), _add_workload),
    PROXY: (("kubeproxy.config.k8s.io",), _add_proxy_configuration),
    KUBELET: (("kubelet.config.k8s.io",), _add_kubelet_configuration),
}
"""API groups and reader of each kind; a kind of the same name in another group (a custom resource) is ignored."""
_ANY_GROUP: Mapping[str, _Reader] = {kind: reader for kind, (_, reader) in _GROUPS.items()}
_READERS: Mapping[tuple[str, str], _Reader] = {
    (group, kind): reader for kind, (groups, reader) in _GROUPS.items() for group in groups
}
