"""From what is stated to a running cluster: pods of workloads, their nodes, everybody's addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from netsim.cluster.address_range import NODE_MASKS, Range, cluster_range_for
from netsim.cluster.cluster import Cluster
from netsim.cluster.ipam import (
    assign_node_ranges,
    assign_pod_addresses,
    assign_service_addresses,
)
from netsim.cluster.objects import Family, Node, Note, Pod, Workload
from netsim.cluster.placement import Placer

OwnerKey = tuple[str, str, str]
"""A workload as (namespace, kind, name), as pods refer to it."""


def owner_key(pod: Pod) -> OwnerKey:
    """Return the workload a pod belongs to."""
    return pod.template.namespace, pod.template.owner_kind, pod.template.owner


def pods_by_owner(pods: Iterable[Pod]) -> Mapping[OwnerKey, list[Pod]]:
    """Return the pods of each workload, in cluster order; bare pods are left out."""
    found: dict[OwnerKey, list[Pod]] = defaultdict(list)
    for pod in pods:
        if pod.template.owner:
            found[owner_key(pod)].append(pod)
    return found


def provision(cluster: Cluster, node_masks: Mapping[Family, int] | None = None) -> Cluster:
    """Return the cluster with what its controllers would add.

    Workloads without pods get them; pods without a node are placed; nodes, pods and services get the addresses they
    lack. What is there is kept, so provisioning twice changes nothing. Without nodes pods stay unplaced.

    Raises
    ------
    InputError
        No node fits a pod, or a range has fewer addresses than are needed.
    """
    masks = dict(node_masks or {})
    pods = _placed(cluster)
    cluster = _with_room(cluster, masks)
    nodes = assign_node_ranges(cluster.nodes, cluster.cluster_cidrs, masks)
    return replace(
        cluster,
        nodes=tuple(nodes),
        pods=tuple(assign_pod_addresses(pods, nodes)),
        services=tuple(assign_service_addresses(cluster.services, cluster.service_cidrs, cluster.dns_service)),
    )


def _with_room(cluster: Cluster, masks: Mapping[Family, int]) -> Cluster:
    """Widen the usual cluster range for clusters that outgrow it; a range that any node is in is kept."""
    if any(node.pod_cidrs for node in cluster.nodes):
        return cluster
    ranges = [_range_with_room(cidr, len(cluster.nodes), masks) for cidr in cluster.cluster_cidrs]
    notes = [
        Note("cluster-range", f"{before} has too few blocks for {len(cluster.nodes)} nodes: {after} is used instead")
        for before, after in zip(cluster.cluster_cidrs, ranges, strict=True)
        if before != after
    ]
    return replace(cluster, cluster_cidrs=tuple(ranges)).noted(notes)


def _range_with_room(cidr: str, nodes: int, masks: Mapping[Family, int]) -> str:
    known = Range(cidr)
    mask = masks.get(known.family, NODE_MASKS[known.family])
    usual = known.text == cluster_range_for(1, known.family, mask)
    return cluster_range_for(nodes, known.family, mask) if usual and nodes > 1 << (mask - known.prefix) else cidr


# ------------------------------------------------------------------------------------------------ pods


def _placed(cluster: Cluster) -> list[Pod]:
    """Return all pods: the stated ones, then those of workloads that have none; placed where there are nodes."""
    owned = pods_by_owner(cluster.pods)
    names = {pod.key for pod in cluster.pods}
    waiting = [
        workload for workload in cluster.workloads if (workload.namespace, workload.kind, workload.name) not in owned
    ]
    placer = Placer(cluster.nodes, (pod for pod in cluster.pods if pod.node))
    daemons = [
        pod
        for workload in waiting
        if workload.kind == "DaemonSet"
        for pod in daemon_pods(workload, cluster.nodes, placer, names)
    ]
    stated = _place_stated(cluster, placer)
    new = [
        pod
        for workload in waiting
        if workload.kind != "DaemonSet"
        for pod in _replica_pods(workload, placer if cluster.nodes else None, names)
    ]
    return [*stated, *daemons, *new]


def _place_stated(cluster: Cluster, placer: Placer) -> Sequence[Pod]:
    if not cluster.nodes or all(pod.node for pod in cluster.pods):
        return cluster.pods
    waiting: dict[int, list[int]] = defaultdict(list)
    for index, pod in enumerate(cluster.pods):
        if not pod.node:
            waiting[id(pod.template)].append(index)
    found = list(cluster.pods)
    for indices in waiting.values():
        names = [found[index].name for index in indices]
        nodes = placer.place(found[indices[0]].template, names)
        for index, node in zip(indices, nodes, strict=True):
            found[index] = replace(found[index], node=node)
    return found


def free_pod_names(workload: Workload, count: int, names: set[str]) -> list[str]:
    """Return pod names ``workload-0``, ``workload-1``, …; names that are taken are left out and ``names`` grows."""
    found: list[str] = []
    index = 0
    while len(found) < count:
        name = f"{workload.name}-{index}"
        key = f"{workload.namespace}/{name}"
        if key not in names:
            names.add(key)
            found.append(name)
        index += 1
    return found


def daemon_pods(workload: Workload, nodes: Iterable[Node], placer: Placer, names: set[str]) -> list[Pod]:
    """Return a pod of a DaemonSet for every node it fits on."""
    chosen = [node for node in nodes if placer.fits(workload.template, node)]
    for node in chosen:
        placer.add(workload.template, node)
    pod_names = free_pod_names(workload, len(chosen), names)
    return [Pod(name, workload.template, node.name) for name, node in zip(pod_names, chosen, strict=True)]


def _replica_pods(workload: Workload, placer: Placer | None, names: set[str]) -> list[Pod]:
    template = workload.template
    pod_names = free_pod_names(workload, workload.replicas, names)
    nodes = placer.place(template, pod_names) if placer is not None else [""] * len(pod_names)
    stateful = workload.kind == "StatefulSet"
    return [
        Pod(name, template, node, hostname=name if stateful else "")
        for name, node in zip(pod_names, nodes, strict=True)
    ]
