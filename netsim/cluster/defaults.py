"""What manifests do not say: nodes and the cluster DNS, added as a step of its own and always noted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netsim.cluster.address_range import NODE_MASKS, Range, address_text, address_value
from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import (
    ContainerPort,
    Fabric,
    Family,
    Machine,
    Node,
    Note,
    Pod,
    PodTemplate,
    Service,
    ServicePort,
    Workload,
    family_of,
)
from netsim.cluster.provision import provision
from netsim.cluster.scheduling import Toleration
from netsim.cluster.wiring import ZONE_LABEL, wire
from netsim.errors import InputError, Place

_MAX_PODS = 110
"""The kubelets' own default."""
DNS_NAMESPACE = "kube-system"
DNS_LABEL = "k8s-app"
DNS_LABEL_VALUES = ("kube-dns", "coredns")
DNS_PORTS = (
    ServicePort(53, "dns", "UDP", 53),
    ServicePort(53, "dns-tcp", "TCP", 53),
    ServicePort(9153, "metrics", "TCP", 9153),
)
_LEAST_NODES = 3
_PODS_PER_DEFAULT_NODE = 30
"""Pods a default node is planned for, so that a large application is not squeezed onto three nodes."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is assumed where the input is silent.

    Parameters
    ----------
    nodes: number of nodes when the input has none; ``None``: as many as the pods ask for, at least three.
    machine: hardware of nodes, as far as the input does not state it.
    families: IP families of the cluster when no address says otherwise; the first is the primary one.
    cluster_cidrs, service_cidrs: ranges to use instead of the usual ones.
    node_masks: prefix length of a node's pod range by family (24 and 64 by default).
    dns_replicas: replicas of CoreDNS when the input has none.
    max_pods: pods a node takes that does not say.
    provider: cloud that keeps the routes of nodes that do not say.
    domain: DNS domain of the cluster when the input does not tell; ``None``: ``cluster.local``.
    fabric: how nodes are wired.
    zones: number of zones that nodes without a zone are spread over in turn.
    """

    nodes: int | None = None
    machine: Machine = Machine()  # noqa: RUF009 (frozen)
    families: tuple[Family, ...] = ("IPv4",)
    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    node_masks: Mapping[Family, int] = field(default_factory=dict)
    dns_replicas: int = 2
    max_pods: int = _MAX_PODS
    provider: str = ""
    domain: str | None = None
    fabric: Fabric = Fabric()  # noqa: RUF009 (frozen)
    zones: int = 1


def with_defaults(cluster: Cluster, defaults: Defaults | None = None) -> Cluster:
    """Return the cluster with nodes and a cluster DNS where it has none, everything placed and addressed.

    Raises
    ------
    InputError
        Zero nodes are asked for, no node fits a pod, or a range is too small.
    """
    defaults = _as_kubelets_say(defaults or Defaults(), cluster)
    cluster = _with_dns(cluster, defaults.dns_replicas)
    return provision(_with_nodes(cluster, defaults), defaults.node_masks)


def _as_kubelets_say(defaults: Defaults, cluster: Cluster) -> Defaults:
    """Take ``maxPods`` of the input's kubelet configuration, unless another number is asked for."""
    most = None if cluster.kubelet is None else cluster.kubelet.max_pods
    return defaults if most is None or defaults.max_pods != _MAX_PODS else replace(defaults, max_pods=most)


# ------------------------------------------------------------------------------------------------ DNS


def find_dns_service(services: Iterable[Service]) -> Service | None:
    """Return the Service that is the cluster DNS: ``kube-dns`` by name, else by its well-known label."""
    candidates = [service for service in services if any(port.port == 53 for port in service.ports)]
    for service in candidates:
        if service.name == "kube-dns" and service.namespace == DNS_NAMESPACE:
            return service
    for service in candidates:
        labelled = service.labels.get(DNS_LABEL) in DNS_LABEL_VALUES
        if labelled or service.name in ("kube-dns", "coredns") or service.name == "dns-default":
            return service
    return None


def _with_dns(cluster: Cluster, replicas: int) -> Cluster:
    service = find_dns_service(cluster.services)
    notes = []
    if service is None:
        selector = {DNS_LABEL: "kube-dns"}
        service = Service(
            DNS_NAMESPACE, "kube-dns", ports=DNS_PORTS, selector=selector, labels=selector,
            ip_family_policy="PreferDualStack",
        )  # fmt: skip
        cluster = replace(cluster, services=(*cluster.services, service), added_services=frozenset({service.key}))
        notes.append(Note("dns-service", "no cluster DNS in the input: Service kube-system/kube-dns is added"))
    elif not service.selector and not cluster.slices.get(service.key):
        stated, service = service, replace(service, selector={DNS_LABEL: "kube-dns"})
        cluster = replace(cluster, services=tuple(service if s is stated else s for s in cluster.services))
        notes.append(
            Note("dns-selector", f"{service.key} has neither selector nor endpoints in the input: it selects CoreDNS")
        )
    if service.selector and not cluster.slices.get(service.key) and not _behind(cluster, service):
        workload = _coredns(service, replicas)
        cluster = replace(cluster, workloads=(*cluster.workloads, workload))
        notes.append(
            Note("dns-pods", f"no CoreDNS in the input: Deployment {workload.key} of {replicas} replicas is added")
        )
    return replace(cluster, dns_service=service.key).noted(notes)


def _behind(cluster: Cluster, service: Service) -> bool:
    wanted = service.selector.items()
    templates = (
        workload.template for workload in cluster.workloads if workload.replicas or workload.kind == "DaemonSet"
    )
    return bool(cluster.select_pods(service.namespace, service.selector)) or any(
        template.namespace == service.namespace and wanted <= template.labels.items() for template in templates
    )


def _coredns(service: Service, replicas: int) -> Workload:
    """CoreDNS as kubeadm deploys it; the ports are those the Service looks for."""
    ports = tuple(
        ContainerPort(port.target_port or port.port, port.name, port.protocol)
        if isinstance(port.target_port, int)
        else ContainerPort(port.port, port.target_port, port.protocol)
        for port in service.ports
    )
    template = PodTemplate(
        namespace=service.namespace, owner_kind="Deployment", owner="coredns", labels=service.selector, ports=ports,
        dns_policy="Default", cpu_millis=100, memory_bytes=70 * 2**20, images=("registry.k8s.io/coredns/coredns",),
        tolerations=(
            Toleration("CriticalAddonsOnly", "Exists"),
            Toleration("node-role.kubernetes.io/control-plane", "Exists", "", "NoSchedule"),
        ),
    )  # fmt: skip
    return Workload("Deployment", service.namespace, "coredns", replicas, template)


# ------------------------------------------------------------------------------------------------ nodes


def _with_nodes(cluster: Cluster, defaults: Defaults) -> Cluster:
    """Add the nodes that pods name but the input lacks; default nodes where that leaves none."""
    if defaults.nodes is not None and defaults.nodes < 1:
        raise InputError(
            "a cluster needs a node", place=Place(field="cluster.nodes"), got=defaults.nodes, allowed="1 or more"
        )
    known = {node.name for node in cluster.nodes}
    stated = (*(pod.node for pod in cluster.pods), *(workload.template.node_name for workload in cluster.workloads))
    named = [name for name in dict.fromkeys(stated) if name and name not in known]
    notes = []
    nodes = list(cluster.nodes)
    if named or not nodes:
        cluster = _without_affinity(cluster)
    if named:
        nodes.extend(_named_nodes(cluster.pods, named, defaults))
        notes.append(
            Note("nodes-named", f"{len(named)} nodes that pods name are not in the input: assumed {_told(defaults)}")
        )
    if not nodes:
        count = defaults.nodes or _nodes_needed(cluster, defaults)
        nodes = default_nodes(count, defaults, [workload.template for workload in cluster.workloads])
        notes.append(Note("nodes-default", f"no nodes in the input: {count} nodes assumed, {_told(defaults)}"))
    nodes = wire(nodes, defaults.fabric.nodes_per_rack, defaults.zones)
    return replace(cluster, nodes=tuple(nodes), fabric=defaults.fabric).noted(notes)


def _without_affinity(cluster: Cluster) -> Cluster:
    """Drop required node affinity where nodes are assumed: nobody knows which labels they would have."""
    found = [workload for workload in cluster.workloads if workload.template.node_terms]
    waiting = [pod for pod in cluster.pods if pod.template.node_terms]
    if not found and not waiting:
        return cluster
    free: dict[int, PodTemplate] = {}  # pods of one workload go on sharing a template

    def freed(template: PodTemplate) -> PodTemplate:
        return free.setdefault(id(template), replace(template, node_terms=()))

    note = Note("affinity-ignored", "nodes are assumed, so required node affinity of pods is not followed", "ignored")
    return replace(
        cluster,
        workloads=tuple(replace(each, template=freed(each.template)) for each in cluster.workloads),
        pods=tuple(replace(each, template=freed(each.template)) for each in cluster.pods),
    ).noted([note])


def _told(defaults: Defaults) -> str:
    machine = defaults.machine
    return f"each {machine.cores} cores, {machine.nic_bps / 1e9:g} Gbit/s, at most {defaults.max_pods} pods"


def _nodes_needed(cluster: Cluster, defaults: Defaults) -> int:
    every = [(pod.template, 1) for pod in cluster.pods] + [(w.template, w.replicas) for w in cluster.workloads]
    pods = sum(count for _, count in every)
    cpu_millis = sum(template.cpu_millis * count for template, count in every)
    largest = max((template.cpu_millis for template, _ in every), default=0)
    usable = max(1, defaults.machine.cores * 1000 - largest)
    return max(_LEAST_NODES, -(-pods // _PODS_PER_DEFAULT_NODE), -(-cpu_millis // usable))


def default_nodes(count: int, defaults: Defaults, templates: Sequence[PodTemplate] = ()) -> list[Node]:
    """Return ``count`` equal nodes; labels that the templates' node selectors ask for are there, in turn."""
    asked: dict[str, dict[str, None]] = defaultdict(dict)
    for template in templates:
        for key, value in template.node_selector.items():
            asked[key][value] = None
    values = {key: tuple(options) for key, options in asked.items()}
    return [
        _default_node(f"node-{index}", defaults, {key: v[index % len(v)] for key, v in values.items()})
        for index in range(1, count + 1)
    ]


def _default_node(name: str, defaults: Defaults, asked: Mapping[str, str]) -> Node:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        **asked,
    }
    return Node(
        name,
        machine=defaults.machine,
        zone=asked.get(ZONE_LABEL, ""),
        labels=labels,
        max_pods=defaults.max_pods,
        cpu_millis=defaults.machine.cores * 1000,
        provider=defaults.provider,
    )


def _named_nodes(pods: Sequence[Pod], names: Sequence[str], defaults: Defaults) -> list[Node]:
    """Return the nodes that pods name; their addresses and ranges as those of the pods show, their size unknown."""
    own: dict[str, tuple[str, ...]] = {}
    blocks: dict[str, set[str]] = defaultdict(set)
    for pod in pods:
        if pod.template.host_network and pod.addresses:
            own.setdefault(pod.node, pod.addresses)
        elif pod.node:
            blocks[pod.node].update(_block(address, defaults) for address in pod.addresses)
    holders: dict[str, int] = defaultdict(int)
    for members in blocks.values():
        for block in sorted(members):
            holders[block] += 1
    found = []
    for name in names:
        own_blocks = sorted(blocks[name], key=lambda b: (family_of(b) != "IPv4", b))
        alone = len({family_of(b) for b in own_blocks}) == len(own_blocks) and all(holders[b] == 1 for b in own_blocks)
        node = _default_node(name, defaults, {})
        ranges = tuple(own_blocks) if alone else ()
        found.append(replace(node, addresses=own.get(name, ()), pod_cidrs=ranges, cpu_millis=None))
    return found


def _block(address: str, defaults: Defaults) -> str:
    family = family_of(address)
    mask = defaults.node_masks.get(family, NODE_MASKS[family])
    shift = Range(address).bits - mask
    return f"{address_text(address_value(address) >> shift << shift, family)}/{mask}"
