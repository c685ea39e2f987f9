"""The cluster a scenario describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from netsim.cluster.address_range import Range
from netsim.cluster.cluster import Cluster
from netsim.cluster.defaults import Defaults
from netsim.cluster.manifests import load_cluster
from netsim.cluster.objects import Fabric, Family, Machine, release
from netsim.cluster.scaling import ScaleRule, scale
from netsim.cluster.synthetic import Synthetic, build_synthetic
from netsim.errors import InputError, Place
from netsim.scenario.spec import ClusterSpec, FabricSpec, MachineSpec, SyntheticSpec


def build_cluster(spec: ClusterSpec, *, dns_replicas: int | None = None, directory: Path | None = None) -> Cluster:
    """Return the cluster of a scenario, complete and scaled to the nodes it asks for.

    Parameters
    ----------
    spec: the scenario's ``cluster``.
    dns_replicas: replicas of CoreDNS; ``None``: as the input says, growing with the nodes as ``scale.dns`` tells.
    directory: where relative paths start; the working directory by default.

    Raises
    ------
    InputError
        As `load_cluster`, `build_synthetic` and `scale`.
    """
    defaults = Defaults(
        nodes=spec.scale.base_nodes if spec.nodes is not None else None,
        machine=machine_of(spec.machine),
        families=spec.families,
        cluster_cidrs=spec.cluster_cidr,
        service_cidrs=spec.service_cidr,
        node_masks=_node_masks(spec),
        dns_replicas=2 if dns_replicas is None else dns_replicas,
        max_pods=spec.max_pods,
        provider=spec.provider,
        domain=spec.domain if "domain" in spec.model_fields_set else None,
        fabric=fabric_of(spec.fabric),
        zones=spec.fabric.zones,
    )
    cluster = _built(spec, defaults, dns_replicas, directory)
    if spec.cluster_cidr or spec.service_cidr:
        _check_apart(cluster)
    return cluster


def _check_apart(cluster: Cluster) -> None:
    """Refuse stated ranges in which an address could be a pod's and a Service's."""
    for pods in cluster.cluster_cidrs:
        for services in cluster.service_cidrs:
            if Range(pods).overlaps(Range(services)):
                raise InputError(
                    "the pods' range and the services' range overlap", place=Place(field="cluster.cluster_cidr"),
                    got=pods, allowed=f"a range outside {services}",
                )  # fmt: skip


def _built(spec: ClusterSpec, defaults: Defaults, dns_replicas: int | None, directory: Path | None) -> Cluster:
    if spec.synthetic is not None:
        if dns_replicas is None:
            defaults = replace(defaults, dns_replicas=_dns_replicas(spec))
        return build_synthetic(_synthetic(spec, spec.synthetic, defaults))
    cluster = load_cluster(*((directory or Path()) / path for path in spec.manifests), defaults=defaults)
    if spec.nodes is None and dns_replicas is None:
        return cluster
    if dns_replicas is None and spec.nodes is not None:
        present = len({endpoint.pod for endpoint in cluster.endpoints(cluster.dns_service)})
        dns_replicas = max(present, _dns_replicas(spec))
    rule = ScaleRule(
        replicas=spec.scale.replicas,
        services=spec.scale.services,
        base_nodes=spec.scale.base_nodes,
        fixed=spec.scale.fixed,
        dns_replicas=dns_replicas,
        widen=not spec.cluster_cidr,
    )
    if spec.nodes is None:
        rule = replace(rule, replicas="fixed", services="fixed")
    return scale(cluster, spec.nodes or len(cluster.nodes), rule)


def _dns_replicas(spec: ClusterSpec) -> int:
    """Return how many CoreDNS pods the size stated calls for.

    The rule is that of the cluster-proportional autoscaler as Kubernetes ships it for DNS: the larger of one replica a
    16 nodes and one a 256 cores, never a single one (kubernetes ``cluster/addons/dns-horizontal-autoscaler``:
    ``linear``, ``nodesPerReplica`` 16, ``coresPerReplica`` 256, ``preventSinglePointFailure``).
    """
    nodes = spec.nodes or (spec.synthetic.nodes if spec.synthetic is not None else 0)
    if spec.scale.dns == "fixed":
        return 2
    return max(2, -(-nodes // 16), -(-nodes * spec.machine.cores // 256))


def machine_of(spec: MachineSpec) -> Machine:
    """Return the machine a scenario describes; one receive queue a core unless stated."""
    return Machine(
        cores=spec.cores,
        clock_ghz=spec.clock_ghz,
        nic_bps=spec.nic,
        queues=spec.cores if spec.queues is None else spec.queues,
        ring=spec.ring,
        rps=spec.rps,
        backlog=spec.backlog,
        interrupts=spec.interrupts,
        moderation=spec.moderation,
        transmit_queue=spec.transmit_queue,
        mtu=spec.mtu,
        tso=spec.tso,
        gro=spec.gro,
        checksum=spec.checksum,
        tunnel=spec.tunnel,
        qdisc=spec.qdisc,
        byte_queue_limit=spec.byte_queue_limit,
        kernel=release(spec.kernel) if spec.kernel is not None else None,
        iptables=spec.iptables,
    )


def fabric_of(spec: FabricSpec) -> Fabric:
    """Return the fabric a scenario describes."""
    return Fabric(
        nodes_per_rack=spec.nodes_per_rack,
        spines=spec.spines,
        oversubscription=spec.oversubscription,
        link_latency_s=spec.link_latency,
        zone_latency_s=spec.zone_latency,
        buffer_bytes=spec.buffer,
        loss=spec.loss,
    )


def _node_masks(spec: ClusterSpec) -> Mapping[Family, int]:
    return {} if spec.node_mask is None else {"IPv4": spec.node_mask}


def _synthetic(spec: ClusterSpec, described: SyntheticSpec, defaults: Defaults) -> Synthetic:
    """Describe the synthetic cluster at the size asked for: pods a node stay, services grow where the rule says so."""
    nodes = spec.nodes or described.nodes
    factor = nodes / (spec.scale.base_nodes or described.nodes)
    services, per_node = described.services, described.pods_per_node
    if spec.scale.services == "proportional":
        services = round(services * factor)
    elif spec.scale.replicas == "fixed":
        per_node = max(1, round(per_node / factor))
    return Synthetic(
        nodes=nodes,
        pods_per_node=per_node,
        services=services,
        endpoints_per_service=described.endpoints_per_service,
        policies=described.policies,
        namespaces=described.namespaces,
        seed=described.seed,
        families=defaults.families,
        machine=defaults.machine,
        fabric=defaults.fabric,
        zones=defaults.zones,
        max_pods=defaults.max_pods,
        provider=defaults.provider,
        cluster_cidrs=defaults.cluster_cidrs,
        service_cidrs=defaults.service_cidrs,
        node_masks=defaults.node_masks,
        dns_replicas=defaults.dns_replicas,
        domain=spec.domain,
    )
