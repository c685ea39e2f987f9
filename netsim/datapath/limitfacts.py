"""What limits are judged by: the size of a cluster, its traffic per node and what its plugin needs."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netsim.cluster.cluster import Cluster
from netsim.cluster.externaldns.records import hostnames
from netsim.cluster.objects import NO_LABELS, IptablesTool, Kernel, Labels, NetworkPolicy, Node, Service

if TYPE_CHECKING:
    from netsim.datapath.plugin import Plugin


@dataclass(frozen=True, slots=True)
class PluginFacts:
    """What a network plugin uses up, as plain values.

    Parameters
    ----------
    name: for messages.
    routes_in_cloud: one route per node in the cloud's table (kubenet, flannel gce/aws-vpc, cloud routes).
    layer2: pods share one broadcast domain across nodes.
    bridge: pods are ports of a Linux bridge.
    encapsulation: ``none``, ``vxlan``, ``geneve``, ``ipip``, ``wireguard``.
    node_ranges: each node has its own range of the pod CIDR (host-local and kin).
    pod_cidr_mask: length of a node's range; ``None``: as the nodes state it, else /24 (/64 for IPv6).
    interface_addresses: pod addresses a node's cloud interfaces carry, ``None`` where that is not how pods get theirs.
    ebpf: services and connections are in eBPF maps. conntrack: pod traffic is tracked by the node's conntrack.
    outer_entries: conntrack entries that a connection between nodes takes besides, for its tunnel.
    masquerade: traffic to the outside takes the node's address.
    policy: how policies are enforced: empty for not at all, ``iptables``, ``ipset``, ``ebpf``, ``ovs``, ``azure-npm``.
    families: IP families it can give to pods.
    impossible: proxy modes that cannot exist with it, and why.
    """

    name: str = ""
    routes_in_cloud: bool = False
    layer2: bool = False
    bridge: bool = False
    encapsulation: str = "none"
    node_ranges: bool = True
    pod_cidr_mask: int | None = None
    interface_addresses: int | None = None
    ebpf: bool = False
    conntrack: bool = True
    outer_entries: int = 0
    masquerade: bool = True
    policy: str = ""
    families: tuple[str, ...] = ("IPv4", "IPv6")
    impossible: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrafficFacts:
    """Traffic of one node (unless stated otherwise); ``None`` means unknown.

    Parameters
    ----------
    connections_per_s: new TCP connections that start or end on the node. connection_s: how long one stays open.
    udp_flows_per_s: new UDP flows, DNS questions included (two of one socket are one flow).
    busiest_client_per_s: new connections of the busiest pod to one destination address and port. port_wait_s: how long
        its port stays taken after one is closed.
    entering_busiest_per_s: new connections from outside that the busiest node masquerades towards one backend.
    outside_per_s: new connections to outside the cluster. outside_busiest_per_s: those to the busiest destination.
    dns_queries_per_s: questions the node's pods send to the cluster DNS.
    dns_outside_per_s: those the cluster DNS forwards upstream. dns_upstream_s: how long upstream takes.
    pod_changes_per_s: pods that start or stop, in the whole cluster.
    """

    connections_per_s: float | None = None
    connection_s: float = 0.0
    udp_flows_per_s: float | None = None
    busiest_client_per_s: float | None = None
    port_wait_s: float = 60.0
    entering_busiest_per_s: float | None = None
    outside_per_s: float | None = None
    outside_busiest_per_s: float | None = None
    dns_queries_per_s: float | None = None
    dns_outside_per_s: float | None = None
    dns_upstream_s: float = 0.02
    pod_changes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The counts of a cluster that limits are compared with; ``None`` means unknown.

    Parameters
    ----------
    nodes, pods, containers, services, namespaces: totals. pods_per_node, pods_per_namespace,
        services_per_namespace: the largest.
    service_ports, cluster_ips, node_ports, source_ranges: totals over Services. ports_per_service: the most of one.
    load_balancers: Services of that type. endpoints: total; endpoints_per_service: the largest.
    headless_endpoints: endpoints of the largest headless Service. identities: distinct label sets of pods.
    policies: NetworkPolicies. policy_peers: pods the widest selector of a policy covers.
    policy_ports: ports of the policy rule with most.
    dns_replicas: CoreDNS replicas (2, kubeadm's, where the cluster shows none). verified_pods: it watches all pods.
    published_names: names ExternalDNS keeps. iptables_rules: rules of the busiest node, where counted exactly.
    cores, nic_bps, max_pods: of the smallest node. kernel: the oldest. iptables: legacy if a node's is. provider: its
    cloud.
    conntrack_max: entries a node's conntrack table holds, ``None`` as kube-proxy sets it.
    local_ports, snat_ports: ports of a client, and of a masquerading node, for one destination.
    pod_cidrs, service_cidrs: ranges of the cluster. node_masks: length of a node's range by family.
    """

    nodes: float = 1
    pods: float | None = None
    containers: float | None = None
    pods_per_node: float | None = None
    pods_per_namespace: float | None = None
    services: float | None = None
    services_per_namespace: float | None = None
    namespaces: float | None = None
    service_ports: float | None = None
    cluster_ips: float | None = None
    node_ports: float | None = None
    ports_per_service: float | None = None
    load_balancers: float | None = None
    source_ranges: float | None = None
    endpoints: float | None = None
    endpoints_per_service: float | None = None
    headless_endpoints: float | None = None
    identities: float | None = None
    policies: int = 0
    policy_peers: float | None = None
    policy_ports: int = 1
    dns_replicas: float | None = 2
    verified_pods: bool = False
    published_names: float | None = None
    iptables_rules: float | None = None
    cores: int = 16
    kernel: Kernel | None = None
    iptables: IptablesTool = "nft"
    nic_bps: float = 25e9
    max_pods: int = 110
    conntrack_max: int | None = None
    local_ports: int = 28_232
    snat_ports: int = 64_512
    provider: str = ""
    pod_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    node_masks: Mapping[int, int] = field(default_factory=dict)


_ENFORCED: Mapping[str, str] = {
    "calico-iptables": "ipset", "kube-router": "ipset", "weave": "ipset", "calico-ebpf": "ebpf", "cilium": "ebpf",
    "antrea": "ovs",
}  # fmt: skip
"""Kind of table each policy engine fills."""


def plugin_facts(plugin: Plugin, proxy: str) -> PluginFacts:
    """Return what limits need to know of a plugin under a proxy mode."""
    legs = plugin.legs.get(proxy, plugin.legs.get("default"))  # type: ignore[call-overload]
    hops = [step.hop for step in legs.egress] if legs else []
    return PluginFacts(
        name=plugin.name,
        families=plugin.families,
        routes_in_cloud=plugin.routes_in_cloud,
        layer2=plugin.layer2_domain,
        bridge="bridge" in hops,
        encapsulation=plugin.encapsulation.kind if plugin.encapsulation else "none",
        node_ranges=plugin.pod_cidr_per_node,
        interface_addresses=plugin.eni.pods if plugin.eni else None,
        ebpf="ebpf" in hops,
        conntrack="conntrack" in hops,
        outer_entries=plugin.encapsulation.outer_entries if plugin.encapsulation else 0,
        masquerade=plugin.masquerade != "never",
        policy=_ENFORCED.get(plugin.policy, ""),
        impossible={str(mode): why for mode, why in plugin.impossible.items()},
    )


def facts_of(cluster: Cluster, *, iptables_rules: float | None = None) -> ClusterFacts:
    """Return the counts of a cluster.

    Parameters
    ----------
    cluster: what exists.
    iptables_rules: rules of the busiest node where they were counted exactly, else they are estimated.
    """
    nodes, services = cluster.nodes, cluster.services
    with_address = [service for service in services if not service.headless and service.type != "ExternalName"]
    sizes = {service.key: _largest_family(cluster, service) for service in services}
    on_network = [pod for pod in cluster.pods if not pod.template.host_network]
    masks: dict[int, int] = {}
    for node in nodes:
        for cidr in node.pod_cidrs:
            network = ipaddress.ip_network(cidr, strict=False)
            masks[network.version] = network.prefixlen
    identities = dict.fromkeys((pod.namespace, *sorted(pod.labels.items())) for pod in on_network)
    dns = len(cluster.endpoints(cluster.dns_service))
    return ClusterFacts(
        nodes=max(len(nodes), 1),
        pods=len(cluster.pods),
        containers=sum(max(1, len(pod.template.images)) for pod in cluster.pods),
        pods_per_node=_most(pod.node for pod in cluster.pods if pod.node),
        pods_per_namespace=_most(pod.namespace for pod in cluster.pods),
        services=len(services),
        services_per_namespace=_most(service.namespace for service in services),
        namespaces=len(cluster.namespaces_by_name),
        service_ports=sum(len(service.ports) for service in with_address),
        cluster_ips=max(
            (sum(family in _families(service) for service in with_address) for family in ("IPv4", "IPv6")), default=0
        ),
        node_ports=sum(_node_ports(service) for service in services),
        ports_per_service=max((len(service.ports) for service in services), default=0),
        load_balancers=sum(service.type == "LoadBalancer" for service in services),
        source_ranges=sum(len(service.source_ranges) for service in services),
        endpoints=sum(sizes.values()),
        endpoints_per_service=max(sizes.values(), default=0),
        headless_endpoints=max((sizes[service.key] for service in services if service.headless), default=0),
        identities=len(identities),
        policies=len(cluster.policies),
        policy_peers=_widest_selector(cluster),
        policy_ports=max(
            (len(rule.ports) or 1 for policy in cluster.policies for rule in (*policy.ingress, *policy.egress)),
            default=1,
        ),
        dns_replicas=dns or 2,
        verified_pods="pods verified" in " ".join(cluster.corefile.split()),
        published_names=sum(len(hostnames(service.annotations)) for service in services),
        iptables_rules=iptables_rules,
        cores=min((node.machine.cores for node in nodes), default=16),
        kernel=min((node.machine.kernel for node in nodes if node.machine.kernel is not None), default=None),
        iptables="legacy" if any(node.machine.iptables == "legacy" for node in nodes) else "nft",
        nic_bps=min((node.machine.nic_bps for node in nodes), default=25e9),
        max_pods=min((node.max_pods for node in nodes), default=110),
        provider=_provider(nodes),
        pod_cidrs=cluster.cluster_cidrs,
        service_cidrs=cluster.service_cidrs,
        node_masks=masks,
    )


def _most(names: Iterable[str]) -> int:
    return max(Counter(names).values(), default=0)


def _families(service: Service) -> tuple[str, ...]:
    return service.ip_families or ("IPv4",)


def _largest_family(cluster: Cluster, service: Service) -> int:
    found = Counter(":" in endpoint.address for endpoint in cluster.endpoints(service.key))
    return max(found.values(), default=0)


def _node_ports(service: Service) -> int:
    if service.type == "NodePort" or (service.type == "LoadBalancer" and service.allocate_node_ports):
        return len(service.ports) + (service.health_check_node_port is not None)
    return 0


def _provider(nodes: tuple[Node, ...]) -> str:
    return next((node.provider for node in nodes if node.provider), "")


def _widest_selector(cluster: Cluster) -> int:
    """Return how many pods the widest peer of any policy covers, an upper bound where expressions are used."""
    return max((_covered(cluster, policy) for policy in cluster.policies), default=0)


def _covered(cluster: Cluster, policy: NetworkPolicy) -> int:
    counts = []
    for rule in (*policy.ingress, *policy.egress):
        for peer in rule.peers:
            if peer.ip_block is not None:
                counts.append(1 + len(peer.ip_block.excepts))
                continue
            labels = peer.pod_selector.match_labels if peer.pod_selector else NO_LABELS
            homes = cluster.namespaces_by_name if peer.namespace_selector is not None else (policy.namespace,)
            counts.append(sum(_pods_with(cluster, home, labels) for home in homes))
    return max(counts, default=0)


def _pods_with(cluster: Cluster, namespace: str, labels: Labels) -> int:
    if labels:
        return len(cluster.select_pods(namespace, labels))
    return cluster.pods_by_namespace.get(namespace, 0)
