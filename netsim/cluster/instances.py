"""An application repeated: further instances in namespaces of their own, so that the number of services grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import (
    Namespace,
    NetworkPolicy,
    Peer,
    Pod,
    PodTemplate,
    PolicyRule,
    Requirement,
    Selector,
    Service,
    Workload,
)
from netsim.cluster.provision import pods_by_owner
from netsim.cluster.reading.node_reader import NAMESPACE_LABEL

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")


def with_instances(cluster: Cluster, count: int) -> Cluster:
    """Return the cluster with its application ``count`` times; instance *k* of namespace ``shop`` lives in ``shop-k``.

    Workloads, their pods, services and policies are repeated with names, selectors and texts pointing into the
    instance's own namespaces. Bare pods, DaemonSets and the system namespaces are not. Addresses that only one Service
    can have (cluster IPs, node ports, external and load balancer addresses) are left to the allocator.
    """
    namespaces = [
        name
        for name in dict.fromkeys([*(w.namespace for w in cluster.workloads), *(s.namespace for s in cluster.services)])
        if name not in SYSTEM_NAMESPACES
    ]
    copies = [
        _Instance(cluster, {name: _renamed(cluster, name, number) for name in namespaces})
        for number in range(2, count + 1)
    ]
    return replace(
        cluster,
        namespaces=(*cluster.namespaces, *(namespace for copy in copies for namespace in copy.namespaces())),
        workloads=(*cluster.workloads, *(workload for copy in copies for workload in copy.workloads())),
        pods=(*cluster.pods, *(pod for copy in copies for pod in copy.pods())),
        services=(*cluster.services, *(service for copy in copies for service in copy.services())),
        policies=(*cluster.policies, *(policy for copy in copies for policy in copy.policies())),
    )


def _renamed(cluster: Cluster, namespace: str, number: int) -> str:
    name = f"{namespace}-{number}"
    while name in cluster.namespaces_by_name:
        name = f"{name}-copy"
    return name


class _Instance:
    """One repetition: the names of its namespaces and everything in them."""

    def __init__(self, cluster: Cluster, names: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._names = names
        self._templates: dict[int, PodTemplate] = {}

    def namespaces(self) -> list[Namespace]:
        known = self._cluster.namespaces_by_name
        return [
            Namespace(new, {**(known[old].labels if old in known else {}), NAMESPACE_LABEL: new})
            for old, new in self._names.items()
        ]

    def workloads(self) -> list[Workload]:
        return [
            replace(workload, namespace=self._names[workload.namespace], template=self._template(workload.template))
            for workload in self._cluster.workloads
            if workload.namespace in self._names and workload.kind != "DaemonSet"
        ]

    def pods(self) -> list[Pod]:
        return [
            Pod(pod.name, self._template(pod.template), hostname=pod.hostname)
            for (namespace, kind, _), pods in pods_by_owner(self._cluster.pods).items()
            if namespace in self._names and kind != "DaemonSet"
            for pod in pods
        ]

    def services(self) -> list[Service]:
        return [
            replace(
                service,
                namespace=self._names[service.namespace],
                cluster_ips=("None",) if service.headless else (),
                external_ips=(),
                load_balancer_ips=(),
                load_balancer_names=(),
                health_check_node_port=None,
                external_name=self._text(service.external_name),
                ports=tuple(replace(port, node_port=None) for port in service.ports),
            )
            for service in self._cluster.services
            if service.namespace in self._names
        ]

    def policies(self) -> list[NetworkPolicy]:
        return [
            replace(
                policy,
                namespace=self._names[policy.namespace],
                ingress=tuple(self._rule(rule) for rule in policy.ingress),
                egress=tuple(self._rule(rule) for rule in policy.egress),
            )
            for policy in self._cluster.policies
            if policy.namespace in self._names
        ]

    def _rule(self, rule: PolicyRule) -> PolicyRule:
        return replace(rule, peers=tuple(self._peer(peer) for peer in rule.peers))

    def _peer(self, peer: Peer) -> Peer:
        """Point a selector that names a repeated namespace at the instance's own."""
        selector = peer.namespace_selector
        if selector is None:
            return peer
        labels = {
            key: self._names.get(value, value) if key == NAMESPACE_LABEL else value
            for key, value in selector.match_labels.items()
        }
        return replace(
            peer,
            namespace_selector=Selector(labels, tuple(self._requirement(r) for r in selector.match_expressions)),
        )

    def _requirement(self, requirement: Requirement) -> Requirement:
        if requirement.key != NAMESPACE_LABEL:
            return requirement
        return replace(requirement, values=tuple(self._names.get(value, value) for value in requirement.values))

    def _template(self, template: PodTemplate) -> PodTemplate:
        known = self._templates.get(id(template))
        if known is None:
            known = self._templates[id(template)] = replace(
                template,
                namespace=self._names[template.namespace],
                texts=tuple(self._text(text) for text in template.texts),
            )
        return known

    def _text(self, text: str) -> str:
        """Rewrite full service names (``db.shop.svc``) to the instance's namespace."""
        for old, new in self._names.items():
            text = text.replace(f".{old}.svc", f".{new}.svc")
        return text
