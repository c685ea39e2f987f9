"""The same application on another number of nodes, by a stated rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from netsim.cluster.address_range import NODE_MASKS, Range, cluster_range_for
from netsim.cluster.cluster import Cluster
from netsim.cluster.instances import SYSTEM_NAMESPACES, with_instances
from netsim.cluster.objects import Endpoint, Family, Node, Note, Pod, Workload, family_of
from netsim.cluster.placement import Placer
from netsim.cluster.provision import daemon_pods, free_pod_names, owner_key, pods_by_owner, provision
from netsim.cluster.wiring import wire
from netsim.errors import InputError, Place

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_HOSTNAME = "kubernetes.io/hostname"
STORE_IMAGES = (
    "cassandra", "cockroach", "consul", "elasticsearch", "etcd", "influxdb", "kafka", "mariadb", "memcached", "mongo",
    "mysql", "nats", "neo4j", "opensearch", "postgres", "rabbitmq", "redis", "valkey", "zookeeper",
)  # fmt: skip
"""Image names that begin like this hold state: more replicas would not share the work."""


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """How an application grows with the cluster.

    Parameters
    ----------
    replicas: ``proportional`` multiplies replicas by nodes over ``base_nodes`` (rounded, at least 1); ``fixed`` keeps
        them.
    services: ``proportional`` repeats the application in further namespaces (``shop-2``, ``shop-3``, …), each with the
        replicas it has now, instead of adding replicas.
    base_nodes: cluster size at which the replica counts hold; by default the number of nodes there are.
    pods_per_node: application pods on each node on average instead of a multiple of what there is; dealt to the
        workloads in proportion to their replicas.
    fixed: names, ``namespace/name`` keys or patterns of workloads that keep their replicas.
    stateful: ``fixed`` keeps StatefulSets and workloads whose image is a known store (`STORE_IMAGES`) as they are.
    dns_replicas: replicas of the cluster DNS; ``None`` keeps them.
    widen: use a larger pod range where the cluster's has too few blocks; otherwise that is an error.
    """

    replicas: Literal["proportional", "fixed"] = "proportional"
    services: Literal["fixed", "proportional"] = "fixed"
    base_nodes: int | None = None
    pods_per_node: float | None = None
    fixed: tuple[str, ...] = ()
    stateful: Literal["fixed", "proportional"] = "fixed"
    dns_replicas: int | None = None
    widen: bool = True


def scale(cluster: Cluster, nodes: int, rule: ScaleRule | None = None) -> Cluster:
    """Return the application of ``cluster`` on ``nodes`` nodes.

    New nodes are copies of the present ones in turn, control plane nodes left out. DaemonSets follow the nodes; pods
    of ``kube-system`` and bare pods stay; what stays on its node keeps its address.

    Parameters
    ----------
    cluster: a provisioned cluster.
    nodes: number of nodes wanted, control plane included.
    rule: how the application grows.

    Raises
    ------
    InputError
        No nodes, pods that fit nowhere, or a pod range too small that the rule does not let grow.
    """
    rule = rule or ScaleRule()
    if nodes < 1:
        raise InputError("a cluster needs a node", place=Place(field="cluster.nodes"), got=nodes, allowed="1 or more")
    if not cluster.nodes:
        raise InputError("there is no node to copy", place=Place(field="cluster.nodes"), allowed="a cluster with nodes")
    factor = nodes / (rule.base_nodes or len(cluster.nodes))
    size = len(cluster.nodes)
    masks = _masks(cluster)
    cluster = _with_nodes(cluster, nodes, masks, rule)
    if rule.services == "proportional":
        cluster = with_instances(cluster, max(1, round(factor)))
    else:
        cluster = _with_replicas(cluster, _wanted(cluster, factor, nodes, rule))
    dns = _dns_workload(cluster)
    if rule.dns_replicas is not None and dns is not None:
        cluster = _with_replicas(cluster, {dns.key: rule.dns_replicas})
    return provision(cluster, masks).noted([_stated(cluster, size, nodes, factor, rule)])


# ------------------------------------------------------------------------------------------------ nodes


def _with_nodes(cluster: Cluster, count: int, masks: Mapping[Family, int], rule: ScaleRule) -> Cluster:
    nodes = _copied(cluster.nodes, count) if count > len(cluster.nodes) else _first(cluster.nodes, count)
    nodes = wire(nodes, cluster.fabric.nodes_per_rack, 1)
    kept = {node.name for node in nodes}
    pods = [
        pod if pod.node in kept else replace(pod, node="", addresses=())
        for pod in cluster.pods
        if pod.node in kept or pod.template.owner_kind != "DaemonSet"
    ]
    new = [node for node in nodes if node.name not in cluster.node_index]
    cluster = replace(
        cluster,
        nodes=tuple(nodes),
        pods=(*pods, *_new_daemons(cluster, nodes, new, pods)),
        slices=_external_slices(cluster),
    )
    return _with_ranges(cluster, masks) if rule.widen else cluster


def _new_daemons(cluster: Cluster, nodes: Sequence[Node], new: Sequence[Node], pods: Sequence[Pod]) -> list[Pod]:
    """Return the pods of DaemonSets on new nodes."""
    placer, names = Placer(nodes, pods), {pod.key for pod in pods}
    owned = pods_by_owner(pods)
    return [
        pod
        for workload in cluster.workloads
        if workload.kind == "DaemonSet" and (workload.namespace, workload.kind, workload.name) in owned
        for pod in daemon_pods(workload, new, placer, names)
    ]


def _external_slices(cluster: Cluster) -> dict[str, tuple[Endpoint, ...]]:
    """Keep the endpoints of services without a selector; those of pods follow the pods."""
    return {
        key: endpoints
        for key, endpoints in cluster.slices.items()
        if key not in cluster.services_by_key or not cluster.services_by_key[key].selector
    }


def _copied(nodes: Sequence[Node], count: int) -> list[Node]:
    workers = [node for node in nodes if not _is_control_plane(node)] or list(nodes)
    names = {node.name for node in nodes}
    found = list(nodes)
    number = len(nodes)
    while len(found) < count:
        model = workers[(len(found) - len(nodes)) % len(workers)]
        number += 1
        name = f"node-{number}"
        if name not in names:
            labels = {**model.labels, _HOSTNAME: name} if _HOSTNAME in model.labels else model.labels
            found.append(replace(model, name=name, addresses=(), pod_cidrs=(), rack="", labels=labels, ready=True))
    return found


def _first(nodes: Sequence[Node], count: int) -> list[Node]:
    """Return the first nodes; at least one of them a worker."""
    control = [node for node in nodes if _is_control_plane(node)]
    workers = [node for node in nodes if not _is_control_plane(node)]
    kept = {node.name for node in control[: count - 1 if workers else count]}
    kept.update(node.name for node in workers[: count - len(kept)])
    return [node for node in nodes if node.name in kept]


def _is_control_plane(node: Node) -> bool:
    return any(taint.key in _CONTROL_PLANE for taint in node.taints)


def _masks(cluster: Cluster) -> dict[Family, int]:
    """Return the prefix lengths of node ranges as the nodes have them."""
    found: dict[Family, int] = dict(NODE_MASKS)
    for node in reversed(cluster.nodes):
        for cidr in node.pod_cidrs:
            found[family_of(cidr)] = Range(cidr).prefix
    return found


def _with_ranges(cluster: Cluster, masks: Mapping[Family, int]) -> Cluster:
    """Renumber pods from a larger range where the present one has too few blocks."""
    count = len(cluster.nodes)
    ranges = []
    for cidr in cluster.cluster_cidrs:
        known = Range(cidr)
        blocks = 1 << max(0, masks[known.family] - known.prefix)
        ranges.append(cidr if count <= blocks else cluster_range_for(count, known.family, masks[known.family]))
    if tuple(ranges) == tuple(cluster.cluster_cidrs):
        return cluster
    before, after = ", ".join(cluster.cluster_cidrs), ", ".join(ranges)
    note = Note("cluster-range", f"{before} has too few blocks for {count} nodes: pods are renumbered from {after}")
    return replace(
        cluster,
        cluster_cidrs=tuple(ranges),
        nodes=tuple(replace(node, pod_cidrs=()) for node in cluster.nodes),
        pods=tuple(pod if pod.template.host_network else replace(pod, addresses=()) for pod in cluster.pods),
    ).noted([note])


# ------------------------------------------------------------------------------------------------ replicas


def stays(workload: Workload, rule: ScaleRule) -> bool:
    """Tell whether a workload keeps its replicas under the rule, whatever the number of nodes."""
    if workload.namespace in SYSTEM_NAMESPACES or workload.kind in ("DaemonSet", "Job"):
        return True
    if any(fnmatchcase(workload.key, name) or fnmatchcase(workload.name, name) for name in rule.fixed):
        return True
    return rule.stateful == "fixed" and (workload.kind == "StatefulSet" or _is_store(workload.template.images))


def _is_store(images: Iterable[str]) -> bool:
    names = (image.partition("@")[0].rpartition("/")[2].partition(":")[0] for image in images)
    return any(name.startswith(STORE_IMAGES) for name in names)


def _wanted(cluster: Cluster, factor: float, nodes: int, rule: ScaleRule) -> dict[str, int]:
    """Return the replicas of every workload that does not stay, by key."""
    if rule.replicas == "fixed" and rule.pods_per_node is None:
        return {}
    owned = pods_by_owner(cluster.pods)
    present = {
        workload.key: len(owned.get((workload.namespace, workload.kind, workload.name), ()))
        for workload in cluster.workloads
        if not stays(workload, rule)
    }
    total = sum(present.values())
    if rule.pods_per_node is not None and total:
        factor = max(0.0, rule.pods_per_node * nodes - (len(cluster.pods) - total)) / total
    return {key: max(1, round(count * factor)) for key, count in present.items() if count}


def _with_replicas(cluster: Cluster, wanted: Mapping[str, int]) -> Cluster:
    """Return the cluster with pods added or taken away; new pods have no node yet."""
    owned = pods_by_owner(cluster.pods)
    names = {pod.key for pod in cluster.pods}
    gone: set[str] = set()
    added: list[Pod] = []
    workloads = []
    for workload in cluster.workloads:
        count = wanted.get(workload.key)
        pods = owned.get((workload.namespace, workload.kind, workload.name), [])
        if count is None or not pods:
            workloads.append(workload)
            continue
        workloads.append(replace(workload, replicas=count))
        gone.update(pod.key for pod in pods[count:])
        missing = free_pod_names(workload, max(0, count - len(pods)), names)
        stateful = workload.kind == "StatefulSet"
        added.extend(Pod(name, workload.template, hostname=name if stateful else "") for name in missing)
    pods_left = [pod for pod in cluster.pods if pod.key not in gone] if gone else cluster.pods
    return replace(cluster, workloads=tuple(workloads), pods=(*pods_left, *added))


def _dns_workload(cluster: Cluster) -> Workload | None:
    service = cluster.services_by_key.get(cluster.dns_service)
    pods = cluster.select_pods(service.namespace, service.selector) if service is not None else ()
    owners = {owner_key(pod) for pod in pods}
    return next((w for w in cluster.workloads if (w.namespace, w.kind, w.name) in owners), None)


def _stated(cluster: Cluster, before: int, nodes: int, factor: float, rule: ScaleRule) -> Note:
    """Put the rule into words."""
    kept = [w.key for w in cluster.workloads if stays(w, rule) and w.namespace not in SYSTEM_NAMESPACES]
    if rule.services == "proportional":
        how = f"the application is repeated {max(1, round(factor))} times, each in namespaces of its own"
    elif rule.pods_per_node is not None:
        how = f"replicas are chosen for {rule.pods_per_node:g} pods a node"
    elif rule.replicas == "proportional":
        how = f"replicas are multiplied by {factor:g}, at least 1"
    else:
        how = "replicas stay"
    staying = f"; unchanged: {', '.join(kept[:10])}{' …' if len(kept) > 10 else ''}" if kept else ""
    return Note("scaled", f"from {before} to {nodes} nodes: {how}{'' if rule.services == 'proportional' else staying}")
