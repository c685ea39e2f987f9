"""From an inventory to a cluster: owners and ConfigMap references resolved, ranges concluded; nothing placed or added.

A Deployment, its ReplicaSets and their pods in one dump are one workload: pods are counted where they are listed, a
ReplicaSet that a Deployment owns is part of it, and only workloads without any listed pod get pods of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from netsim.cluster.address_range import DEFAULT_SERVICE_RANGES, cluster_range_for
from netsim.cluster.cluster import Cluster
from netsim.cluster.defaults import Defaults, find_dns_service
from netsim.cluster.objects import Endpoint, Family, Note, Pod, PodTemplate, Service, Workload, family_of
from netsim.cluster.provision import pods_by_owner
from netsim.cluster.reading.component_reader import read_kubelet, read_proxy
from netsim.cluster.reading.evidence import Evidence, find_evidence
from netsim.cluster.reading.inventory import Inventory
from netsim.cluster.reading.pod_reader import Blueprint, Owner, StatedWorkload
from netsim.cluster.reading.pod_texts import resolve_texts

_COREDNS = ("kube-system", "coredns")
_NODE_LOCAL = ("node-local-dns", "nodelocaldns")
_HASH_LABEL = "pod-template-hash"
_COREFILE = "Corefile"


def assemble(inventory: Inventory, defaults: Defaults) -> Cluster:
    """Return the cluster that the inventory's objects state."""
    templates = _Templates(inventory)
    pods = tuple(
        replace(stated.pod, template=templates.of(stated.blueprint, stated.owner)) for stated in inventory.pods.values()
    )
    services = tuple(inventory.services.values())
    corefile = _corefile(inventory, [_COREDNS])
    evidence = find_evidence(tuple(inventory.nodes.values()), pods, services, inventory.config_maps, corefile)
    cluster_cidrs, service_cidrs = _ranges(evidence, services, defaults)
    dns = find_dns_service(services)
    kubelet = read_kubelet(inventory.config_maps, inventory.configurations)
    stated_domain = defaults.domain or ("" if kubelet is None else kubelet.domain)
    return Cluster(
        nodes=tuple(inventory.nodes.values()),
        pods=pods,
        services=services,
        namespaces=tuple(inventory.namespaces.values()),
        policies=tuple(inventory.policies.values()),
        workloads=_workloads(inventory, templates, pods),
        slices=_slices(inventory),
        proxy=read_proxy(inventory.config_maps, inventory.configurations),
        kubelet=kubelet,
        corefile=corefile,
        corefile_imports=_corefile_imports(inventory),
        node_local_corefile=_corefile(inventory, [("kube-system", name) for name in _NODE_LOCAL]),
        dns_service=dns.key if dns is not None else "kube-system/kube-dns",
        cluster_domain=stated_domain or evidence.domain or "cluster.local",
        notes=_notes(inventory),
        cluster_cidrs=cluster_cidrs,
        service_cidrs=service_cidrs,
    )


class _Templates:
    """The final template of every blueprint: its owner known, its texts resolved; one object for each."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[tuple[int, Owner | None], PodTemplate] = {}

    def of(self, blueprint: Blueprint, owner: Owner | None) -> PodTemplate:
        """Return the template of pods that ``owner`` controls."""
        known = self._known.get((id(blueprint), owner))
        if known is None:
            template = blueprint.template
            kind, name = final_owner(self._inventory, template.namespace, owner, template.labels)
            texts = resolve_texts(blueprint.texts, template.namespace, self._inventory.config_maps)
            known = replace(template, owner_kind=kind, owner=name, texts=texts)
            self._known[id(blueprint), owner] = known
        return known


def final_owner(inventory: Inventory, namespace: str, owner: Owner | None, labels: Mapping[str, str]) -> Owner:
    """Return the workload at the end of the owner chain: a Deployment rather than its ReplicaSet.

    Where the ReplicaSet is not in the input its name tells: the Deployment's, a dash and the pod's template hash.
    Pods of nobody, or of a node (static pods), are owned by ``("Pod", "")``.
    """
    if owner is None or owner[0] == "Node":
        return "Pod", ""
    kind, name = owner
    if kind != "ReplicaSet":
        return owner
    stated = inventory.workloads.get((namespace, kind, name))
    if stated is not None:
        return stated.owner or owner
    suffix = f"-{labels.get(_HASH_LABEL, '')}"
    if len(suffix) > 1 and name.endswith(suffix):
        return "Deployment", name.removesuffix(suffix)
    return owner


def _workloads(inventory: Inventory, templates: _Templates, pods: Sequence[Pod]) -> tuple[Workload, ...]:
    """Return every workload once: the stated ones, and those known from their ReplicaSets or pods only."""
    found: dict[tuple[str, str, str], Workload] = {}
    parts: list[StatedWorkload] = []
    for stated in inventory.workloads.values():
        workload = stated.workload
        if stated.owner is not None and workload.kind == "ReplicaSet":
            parts.append(stated)
        else:
            template = templates.of(stated.blueprint, (workload.kind, workload.name))
            found[workload.namespace, workload.kind, workload.name] = replace(workload, template=template)
    from_parts: dict[tuple[str, str, str], Workload] = {}
    for stated in parts:
        workload, (kind, name) = stated.workload, stated.owner or ("", "")
        key = (workload.namespace, kind, name)
        if workload.replicas and key not in found:
            before = from_parts[key].replicas if key in from_parts else 0
            template = templates.of(stated.blueprint, ("ReplicaSet", workload.name))
            from_parts[key] = Workload(kind, workload.namespace, name, workload.replicas + before, template)
    found.update(from_parts)
    for key, owned in pods_by_owner(pods).items():
        if key not in found:
            namespace, kind, name = key
            found[key] = Workload(kind, namespace, name, len(owned), owned[0].template)
    return tuple(found.values())


def _slices(inventory: Inventory) -> dict[str, tuple[Endpoint, ...]]:
    """Return stated endpoints by Service; EndpointSlices win over the older Endpoints objects that mirror them."""
    return {**inventory.endpoints, **inventory.slices}


def _corefile(inventory: Inventory, names: Iterable[tuple[str, str]]) -> str:
    for name in names:
        text = inventory.config_maps.get(name, {}).get(_COREFILE, "")
        if text:
            return text
    return ""


def _corefile_imports(inventory: Inventory) -> dict[str, str]:
    """Return the files beside the Corefile: its ConfigMap's other keys, ``coredns-custom`` mounted as ``custom``."""
    beside = inventory.config_maps.get(_COREDNS, {})
    custom = inventory.config_maps.get((_COREDNS[0], "coredns-custom"), {})
    return {key: text for key, text in beside.items() if key != _COREFILE} | {
        f"custom/{key}": text for key, text in custom.items()
    }


def _ranges(
    evidence: Evidence, services: Sequence[Service], defaults: Defaults
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return one range a family for pods and for services: stated by the caller, concluded, or the usual one."""
    families = _families(evidence, services, defaults)
    cluster = {family_of(cidr): cidr for cidr in defaults.cluster_cidrs or evidence.cluster_cidrs}
    service = {family_of(cidr): cidr for cidr in defaults.service_cidrs or evidence.service_cidrs}
    return (
        tuple(cluster.get(f) or cluster_range_for(1, f, defaults.node_masks.get(f)) for f in families),
        tuple(service.get(f) or DEFAULT_SERVICE_RANGES[f] for f in families),
    )


def _families(evidence: Evidence, services: Sequence[Service], defaults: Defaults) -> tuple[Family, ...]:
    """Return the cluster's families, primary first: those of its ranges, else those its Services ask for."""
    stated = defaults.cluster_cidrs or evidence.cluster_cidrs or evidence.service_cidrs or defaults.service_cidrs
    families = dict.fromkeys(family_of(cidr) for cidr in stated)
    if not families:
        families = dict.fromkeys(defaults.families)
    families.update(dict.fromkeys(family for service in services for family in service.ip_families))
    if any(service.ip_family_policy == "RequireDualStack" and not service.headless for service in services):
        families.update(dict.fromkeys(("IPv4", "IPv6")))
    return tuple(families)


def _notes(inventory: Inventory) -> tuple[Note, ...]:
    notes = [
        Note("kind-ignored", f"{count} {kind} object{'s' * (count != 1)} ignored", "ignored")
        for kind, count in inventory.ignored.items()
    ]
    if inventory.ended:
        notes.append(Note("pods-ended", f"{inventory.ended} pods that have ended are left out", "ignored"))
    for kind, count in inventory.replaced.items():
        notes.append(
            Note(
                "object-replaced",
                f"{count} {kind} object{'s' * (count != 1)} replaced by a later one of the same name",
                "warning",
            )
        )
    blueprints = [w.blueprint for w in inventory.workloads.values()] or [p.blueprint for p in inventory.pods.values()]
    constraints = Counter(name for blueprint in blueprints for name in blueprint.ignored)
    for name, count in constraints.items():
        notes.append(
            Note("constraint-ignored", f"{name} of {count} pod templates is not followed in placement", "ignored")
        )
    return tuple(notes)
