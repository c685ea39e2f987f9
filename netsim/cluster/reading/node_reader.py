"""Nodes and namespaces as the API states them."""

from __future__ import annotations

from dataclasses import replace

from netsim.cluster.objects import Machine, Namespace, Node, release
from netsim.cluster.reading.fields import Fields
from netsim.cluster.scheduling import Taint

ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
RACK_LABELS = ("topology.kubernetes.io/rack", "rack")
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_PROVIDERS = {"aws": "aws", "azure": "azure", "gce": "gce"}


WITHOUT_NF_TABLES = "Container-Optimized OS"
"""Its kernels have no nf_tables, so programs fall back to the legacy iptables (kubernetes PR 121046: "Operation not
supported"; linkerd issue 9053)."""


def read_node(root: Fields, machine: Machine, max_pods: int, provider: str) -> Node:
    """Read a Node. Its capacity gives the cores; ``machine`` the hardware of which the API knows nothing.

    ``max_pods`` and ``provider`` hold for nodes that do not say.
    """
    metadata, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
    labels = metadata.labels("labels")
    size, room = status.child("capacity"), status.child("allocatable")
    cores = size.quantity("cpu")
    cpu = room.quantity("cpu") if room.has("cpu") else cores
    memory = room.quantity("memory") if room.has("memory") else size.quantity("memory")
    pods = room.quantity("pods") if room.has("pods") else size.quantity("pods")
    if cores is not None and cores >= 1:
        machine = replace(machine, cores=int(cores), queues=min(machine.queues, int(cores)))
    machine = _with_system(machine, status.child("nodeInfo"))
    ranges = spec.networks("podCIDRs")
    if not ranges and spec.text("podCIDR"):
        ranges = (spec.network("podCIDR", spec.text("podCIDR")),)
    return Node(
        name=metadata.name(),
        addresses=_addresses(status),
        pod_cidrs=ranges,
        machine=machine,
        rack=next((labels[label] for label in RACK_LABELS if label in labels), ""),
        zone=next((labels[label] for label in ZONE_LABELS if label in labels), ""),
        labels=labels,
        taints=_taints(spec),
        max_pods=max_pods if pods is None else int(pods),
        cpu_millis=None if cpu is None else int(cpu * 1000),
        memory_bytes=None if memory is None else int(memory),
        provider=_PROVIDERS.get(spec.text("providerID").partition("://")[0], provider),
        ready=_ready(status),
    )


def _with_system(machine: Machine, info: Fields) -> Machine:
    """Return a machine with what the node says of its kernel and distribution."""
    kernel = release(info.text("kernelVersion"))
    if kernel is not None:
        machine = replace(machine, kernel=kernel)
    return replace(machine, iptables="legacy") if info.text("osImage").startswith(WITHOUT_NF_TABLES) else machine


def _addresses(status: Fields) -> tuple[str, ...]:
    """Return the internal addresses, the first of each family; external ones where there is no other."""
    found: dict[str, list[str]] = {"InternalIP": [], "ExternalIP": []}
    for entry in status.children("addresses"):
        kind = entry.text("type")
        if kind in found:
            found[kind].append(entry.ip("address", entry.text("address")))
    by_family: dict[bool, str] = {}
    for address in found["InternalIP"] or found["ExternalIP"]:
        by_family.setdefault(":" in address, address)
    return tuple(by_family.values())


def _taints(spec: Fields) -> tuple[Taint, ...]:
    effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
    taints = [
        Taint(taint.text("key"), taint.text("value"), taint.choice("effect", effects, "NoSchedule"))
        for taint in spec.children("taints")
    ]
    if spec.flag("unschedulable"):
        taints.append(Taint("node.kubernetes.io/unschedulable"))
    return tuple(dict.fromkeys(taints))


def _ready(status: Fields) -> bool:
    for condition in status.children("conditions"):
        if condition.text("type") == "Ready":
            return condition.text("status") == "True"
    return True


def read_namespace(root: Fields) -> Namespace:
    """Read a Namespace; the label that every namespace carries is added."""
    metadata = root.child("metadata")
    name = metadata.name()
    return Namespace(name, {**metadata.labels("labels"), NAMESPACE_LABEL: name})
