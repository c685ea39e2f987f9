"""Clusters that are described instead of read: so many nodes, pods, services, policies."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from netsim.cluster.address_range import DEFAULT_SERVICE_RANGES, cluster_range_for
from netsim.cluster.cluster import Cluster
from netsim.cluster.defaults import Defaults, default_nodes, with_defaults
from netsim.cluster.objects import (
    ContainerPort,
    Fabric,
    Family,
    Machine,
    Namespace,
    NetworkPolicy,
    Note,
    Peer,
    Pod,
    PodTemplate,
    PolicyPort,
    PolicyRule,
    Selector,
    Service,
    ServicePort,
    Workload,
)
from netsim.cluster.provision import provision
from netsim.cluster.reading.node_reader import NAMESPACE_LABEL
from netsim.cluster.wiring import wire
from netsim.errors import InputError, Place

PORT = 8080
"""Port of every synthetic Service and of the containers behind it."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A described cluster.

    Parameters
    ----------
    nodes: number of nodes; pods_per_node: pods on each, the cluster DNS not counted.
    services: ClusterIP Services of one TCP port.
    endpoints_per_service: pods behind each; by default the pods are spread evenly over the services. Where services
        times endpoints exceed the pods, services share pods; where they are fewer, the rest are clients.
    policies: NetworkPolicies, each letting the pods of one other group reach the group it selects.
    namespaces: number of namespaces that groups of pods are dealt to in turn.
    seed: draws which group a policy lets in.
    families, machine, fabric, zones, max_pods, provider, cluster_cidrs, service_cidrs, node_masks, dns_replicas,
    domain: as in `Defaults`.
    """

    nodes: int = 10
    pods_per_node: int = 30
    services: int = 100
    endpoints_per_service: int | None = None
    policies: int = 0
    namespaces: int = 10
    seed: int = 1
    families: tuple[Family, ...] = ("IPv4",)
    machine: Machine = Machine()  # noqa: RUF009 (frozen)
    fabric: Fabric = Fabric()  # noqa: RUF009 (frozen)
    zones: int = 1
    max_pods: int = 110
    provider: str = ""
    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    node_masks: Mapping[Family, int] = field(default_factory=dict)
    dns_replicas: int = 2
    domain: str = "cluster.local"


@dataclass(frozen=True, slots=True)
class _Group:
    """Pods that are alike: behind the same services, or clients."""

    template: PodTemplate
    size: int


def build_synthetic(spec: Synthetic, *, complete: bool = True) -> Cluster:
    """Return the described cluster; the same description always gives the same one.

    Pods are dealt to nodes in turn, so every node has exactly ``pods_per_node`` and a group is spread as far as it can.

    Parameters
    ----------
    spec: the description.
    complete: add a cluster DNS (`with_defaults`).

    Raises
    ------
    InputError
        A count is out of range, or the ranges hold fewer addresses than are needed.
    """
    _check(spec)
    groups = _groups(spec)
    pods, workloads = _pods(spec, groups)
    defaults = Defaults(
        machine=spec.machine,
        families=spec.families,
        node_masks=spec.node_masks,
        dns_replicas=spec.dns_replicas,
        max_pods=max(spec.max_pods, spec.pods_per_node + spec.dns_replicas),
        provider=spec.provider,
        fabric=spec.fabric,
        zones=spec.zones,
    )
    notes = []
    if defaults.max_pods > spec.max_pods:
        notes.append(
            Note("max-pods", f"nodes take {defaults.max_pods} pods, as {spec.pods_per_node} a node are asked for")
        )
    cluster = Cluster(
        nodes=tuple(default_nodes(spec.nodes, defaults)),
        pods=tuple(pods),
        services=_services(spec, groups),
        namespaces=tuple(Namespace(name, {NAMESPACE_LABEL: name}) for name in map(_namespace, range(spec.namespaces))),
        policies=_policies(spec, groups),
        workloads=tuple(workloads),
        cluster_domain=spec.domain,
        cluster_cidrs=spec.cluster_cidrs
        or tuple(cluster_range_for(1, family, spec.node_masks.get(family)) for family in spec.families),
        service_cidrs=spec.service_cidrs or tuple(DEFAULT_SERVICE_RANGES[family] for family in spec.families),
        fabric=spec.fabric,
        notes=tuple(notes),
    )
    if complete:
        return replace(with_defaults(cluster, defaults), added_services=frozenset())  # a description includes its DNS
    nodes = tuple(wire(cluster.nodes, spec.fabric.nodes_per_rack, spec.zones))
    return provision(replace(cluster, nodes=nodes), spec.node_masks)


def _check(spec: Synthetic) -> None:
    endpoints = 1 if spec.endpoints_per_service is None else spec.endpoints_per_service
    for name, value, least in (
        ("nodes", spec.nodes, 1),
        ("pods_per_node", spec.pods_per_node, 1),
        ("services", spec.services, 0),
        ("endpoints_per_service", endpoints, 1),
        ("policies", spec.policies, 0),
        ("namespaces", spec.namespaces, 1),
    ):
        if value < least:
            place = Place(field=f"cluster.synthetic.{name}")
            raise InputError("too few", place=place, got=value, allowed=f"{least} or more")
    pods = spec.nodes * spec.pods_per_node
    if endpoints > pods:
        place = Place(field="cluster.synthetic.endpoints_per_service")
        raise InputError("more endpoints than pods", place=place, got=endpoints, allowed=f"at most {pods}")


def _namespace(index: int) -> str:
    return f"ns-{index + 1}"


def _groups(spec: Synthetic) -> list[_Group]:
    """Cut the pods into groups of equal size behind services; what is left over are clients."""
    pods = spec.nodes * spec.pods_per_node
    if spec.endpoints_per_service is None:
        count = min(spec.services, pods)
        sizes = [pods // count + (index < pods % count) for index in range(count)]
    else:
        count = min(spec.services, pods // spec.endpoints_per_service)
        sizes = [spec.endpoints_per_service] * count
    groups = [_group(f"app-{index + 1}", _namespace(index % spec.namespaces), size) for index, size in enumerate(sizes)]
    left = pods - sum(sizes)
    for index in range(min(spec.namespaces, left)):
        size = left // min(spec.namespaces, left) + (index < left % min(spec.namespaces, left))
        groups.append(_group(f"client-{index + 1}", _namespace(index), size))
    return groups


def _group(name: str, namespace: str, size: int) -> _Group:
    ports = (ContainerPort(PORT, "http"),) if name.startswith("app-") else ()
    return _Group(PodTemplate(namespace, "Deployment", name, {"app": name}, ports=ports), size)


def _pods(spec: Synthetic, groups: Sequence[_Group]) -> tuple[list[Pod], list[Workload]]:
    nodes = [f"node-{index}" for index in range(1, spec.nodes + 1)]
    pods: list[Pod] = []
    workloads = []
    for group in groups:
        template, owner = group.template, group.template.owner
        start = len(pods)
        pods.extend(
            Pod(f"{owner}-{index}", template, nodes[(start + index) % spec.nodes]) for index in range(group.size)
        )
        workloads.append(Workload("Deployment", template.namespace, owner, group.size, template))
    return pods, workloads


def _services(spec: Synthetic, groups: Sequence[_Group]) -> tuple[Service, ...]:
    served = [group.template for group in groups if group.template.ports]
    policy = "SingleStack" if len(spec.families) == 1 else "PreferDualStack"
    ports = (ServicePort(PORT, "http", target_port=PORT),)
    found = []
    for index in range(spec.services):
        template = served[index % len(served)]
        name = f"service-{index + 1}"
        found.append(Service(template.namespace, name, ports=ports, selector=template.labels, ip_family_policy=policy))
    return tuple(found)


def _policies(spec: Synthetic, groups: Sequence[_Group]) -> tuple[NetworkPolicy, ...]:
    draw = random.Random(spec.seed)
    found = []
    for index in range(spec.policies):
        selected = groups[index % len(groups)].template
        allowed = groups[int(draw.random() * len(groups))].template
        peer = Peer(
            pod_selector=Selector(allowed.labels),
            namespace_selector=Selector({NAMESPACE_LABEL: allowed.namespace}),
        )
        rule = PolicyRule((peer,), (PolicyPort(port=PORT),))
        found.append(
            NetworkPolicy(selected.namespace, f"policy-{index + 1}", Selector(selected.labels), ingress=(rule,))
        )
    return tuple(found)
