"""Pods and their controllers as the API states them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import get_args

from netsim.cluster.bandwidth import pod_bandwidth
from netsim.cluster.objects import ContainerPort, DnsConfig, Pod, PodTemplate, Protocol, Workload
from netsim.cluster.reading.fields import Fields
from netsim.cluster.reading.pod_texts import ConfigKey, ContainerTexts
from netsim.cluster.scheduling import NodeOperator, NodeRequirement, NodeTerm, Toleration
from netsim.errors import Place

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
Owner = tuple[str, str]
"""A controller as (kind, name)."""
_NODE_OPERATORS: tuple[NodeOperator, ...] = get_args(NodeOperator)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_ENDED = ("Succeeded", "Failed")
_TEMPLATE_HASH = "pod-template-hash"
_AGENT_ANNOTATIONS = (
    "cni.projectcalico.org/",
    "k8s.ovn.org/",
    "k8s.v1.cni.cncf.io/",
    "kubectl.kubernetes.io/last-applied",
)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A pod template as read: its texts still refer to ConfigMaps that may come later in the input.

    ``ignored`` names scheduling constraints the template states and netsim does not follow.
    """

    template: PodTemplate
    texts: tuple[ContainerTexts, ...] = ()
    ignored: tuple[str, ...] = ()


class Blueprints:
    """The templates of pods read so far, so that the pods of one workload share one object."""

    def __init__(self) -> None:
        self._of_replica_set: dict[tuple[object, ...], Blueprint] = {}
        self._recent: dict[tuple[str, Owner], list[Blueprint]] = {}

    def read(self, spec: Fields, metadata: Fields, namespace: str, place: Place, owner: Owner | None) -> Blueprint:
        """Return the blueprint of a pod.

        Pods that one ReplicaSet made have one template by construction, so it is read from the first of them and from
        any whose labels or annotations were changed since: most of a large dump need not be read at all.
        """
        if owner is None:
            return read_blueprint(spec, metadata, namespace, place)
        labels = metadata.labels("labels")
        if owner[0] != "ReplicaSet" or _TEMPLATE_HASH not in labels:
            blueprint = read_blueprint(spec, metadata, namespace, place)
            if owner[0] == "DaemonSet":  # its controller pins every pod to a node by affinity
                blueprint = replace(blueprint, template=replace(blueprint.template, node_terms=()))
            return self._shared(namespace, owner, blueprint)
        key = (namespace, owner, *labels.items(), *_shared_annotations(metadata).items())
        known = self._of_replica_set.get(key)
        if known is None:
            known = self._shared(namespace, owner, read_blueprint(spec, metadata, namespace, place))
            self._of_replica_set[key] = known
        return known

    def _shared(self, namespace: str, owner: Owner, blueprint: Blueprint) -> Blueprint:
        recent = self._recent.setdefault((namespace, owner), [])
        for other in reversed(recent[-4:]):
            if other == blueprint:
                return other
        recent.append(blueprint)
        return blueprint


@dataclass(frozen=True, slots=True)
class StatedPod:
    """A pod of the input; ``owner`` is its controller as (kind, name)."""

    pod: Pod
    blueprint: Blueprint
    owner: Owner | None


@dataclass(frozen=True, slots=True)
class StatedWorkload:
    """A controller of the input; ``owner`` is the controller's own controller as (kind, name)."""

    workload: Workload
    blueprint: Blueprint
    owner: Owner | None


def controller_of(metadata: Fields) -> Owner | None:
    """Return the owner that is the controller, as (kind, name)."""
    owners = list(metadata.children("ownerReferences"))
    for owner in owners:
        if owner.flag("controller", default=len(owners) == 1):
            return owner.text("kind"), owner.text("name")
    return None


# ------------------------------------------------------------------------------------------------ templates


def read_blueprint(spec: Fields, metadata: Fields, namespace: str, place: Place) -> Blueprint:
    """Read a pod spec. Raises `InputError` where a field has the wrong type or value."""
    containers = list(spec.children("containers"))
    sidecars = [c for c in spec.children("initContainers") if c.text("restartPolicy") == "Always"]
    running = [*sidecars, *containers]
    host_network = spec.flag("hostNetwork")
    annotations = _shared_annotations(metadata)
    ingress_bps, egress_bps = pod_bandwidth(annotations, metadata.at("annotations"))
    template = PodTemplate(
        namespace=namespace,
        labels=metadata.labels("labels"),
        annotations=annotations,
        ports=tuple(port for container in running for port in _ports(container, host_network)),
        host_network=host_network,
        hostname=spec.text("hostname"),
        subdomain=spec.text("subdomain"),
        dns_policy=spec.choice(
            "dnsPolicy", ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"), "ClusterFirst"
        ),
        dns_config=_dns_config(spec.child("dnsConfig")) if spec.has("dnsConfig") else None,
        node_selector=spec.labels("nodeSelector"),
        node_terms=_node_terms(spec),
        tolerations=tuple(_toleration(toleration) for toleration in spec.children("tolerations")),
        cpu_millis=_millis(_requests(spec, containers, sidecars, "cpu")),
        cpu_limit_millis=_cpu_limit(running),
        memory_bytes=int(_requests(spec, containers, sidecars, "memory").to_integral_value(ROUND_CEILING)),
        images=tuple(container.text("image") for container in running if container.has("image")),
        set_hostname_as_fqdn=spec.flag("setHostnameAsFQDN"),
        host_aliases=tuple(_host_alias(alias) for alias in spec.children("hostAliases")),
        ingress_bps=ingress_bps,
        egress_bps=egress_bps,
        place=place,
    )
    volumes = _config_volumes(spec)
    return Blueprint(template, tuple(_container_texts(c, volumes, namespace) for c in running), _ignored(spec))


def _shared_annotations(metadata: Fields) -> dict[str, str]:
    """Return the annotations without those that agents write on every pod: they would keep pods from sharing one."""
    return {
        key: value for key, value in metadata.labels("annotations").items() if not key.startswith(_AGENT_ANNOTATIONS)
    }


def _ports(container: Fields, host_network: bool) -> Iterable[ContainerPort]:
    for port in container.children("ports"):
        number = port.integer("containerPort", 1, 65535)
        if number is None:
            raise port.wrong("containerPort", "a port number is missing", "1 to 65535")
        protocol = port.choice("protocol", PROTOCOLS, "TCP")
        host_port = port.port("hostPort") or (number if host_network else None)
        yield ContainerPort(number, port.text("name"), protocol, host_port)


def _dns_config(config: Fields) -> DnsConfig:
    options = tuple(
        (option.text("name"), option.text("value") if option.has("value") else None)
        for option in config.children("options")
    )
    return DnsConfig(config.addresses("nameservers"), config.texts("searches"), options)


def _host_alias(alias: Fields) -> tuple[str, tuple[str, ...]]:
    return alias.ip("ip", alias.text("ip")), tuple(name.lower() for name in alias.texts("hostnames"))


def _toleration(toleration: Fields) -> Toleration:
    return Toleration(
        key=toleration.text("key"),
        operator=toleration.choice("operator", ("Equal", "Exists"), "Equal"),
        value=toleration.text("value"),
        effect=toleration.text("effect"),
    )


def _node_terms(spec: Fields) -> tuple[NodeTerm, ...]:
    affinity = spec.child("affinity").child("nodeAffinity").child(_REQUIRED)
    return tuple(
        NodeTerm(_node_requirements(term, "matchExpressions"), _node_requirements(term, "matchFields"))
        for term in affinity.children("nodeSelectorTerms")
    )


def _node_requirements(term: Fields, name: str) -> tuple[NodeRequirement, ...]:
    return tuple(
        NodeRequirement(entry.text("key"), entry.choice("operator", _NODE_OPERATORS, "In"), entry.texts("values"))
        for entry in term.children(name)
    )


def _request(container: Fields, resource: str) -> Decimal:
    resources = container.child("resources")
    stated = resources.child("requests").quantity(resource)
    limit = resources.child("limits").quantity(resource)
    return stated if stated is not None else limit or Decimal(0)


def _requests(spec: Fields, containers: list[Fields], sidecars: list[Fields], resource: str) -> Decimal:
    """Return what the scheduler counts: the sum of what runs together, or the largest init container."""
    together = sum((_request(container, resource) for container in (*containers, *sidecars)), Decimal(0))
    first = max((_request(container, resource) for container in spec.children("initContainers")), default=Decimal(0))
    overhead = spec.child("overhead").quantity(resource) or Decimal(0)
    return max(together, first) + overhead


def _millis(cpus: Decimal) -> int:
    return int((cpus * 1000).to_integral_value(ROUND_CEILING))


def _cpu_limit(containers: list[Fields]) -> int | None:
    limits = [container.child("resources").child("limits").quantity("cpu") for container in containers]
    stated = [limit for limit in limits if limit is not None]
    return _millis(sum(stated, Decimal(0))) if stated and len(stated) == len(limits) else None


def _ignored(spec: Fields) -> tuple[str, ...]:
    affinity = spec.child("affinity")
    names = [name for name in ("podAffinity", "podAntiAffinity") if affinity.child(name).has(_REQUIRED)]
    return (*names, *(["topologySpreadConstraints"] if spec.items("topologySpreadConstraints") else []))


# ------------------------------------------------------------------------------------------------ texts


def _config_volumes(spec: Fields) -> Mapping[str, list[tuple[str, tuple[str, ...] | None]]]:
    found: dict[str, list[tuple[str, tuple[str, ...] | None]]] = {}
    for volume in spec.children("volumes"):
        projected = [source.child("configMap") for source in volume.child("projected").children("sources")]
        for source in (volume.child("configMap"), *projected):
            if source.has("name"):
                keys = tuple(item.text("key") for item in source.children("items")) or None
                found.setdefault(volume.text("name"), []).append((source.text("name"), keys))
    return found


def _container_texts(
    container: Fields, volumes: Mapping[str, list[tuple[str, tuple[str, ...] | None]]], namespace: str
) -> ContainerTexts:
    mounts = [source for mount in container.children("volumeMounts") for source in volumes.get(mount.text("name"), ())]
    env_from = [(source.text("prefix"), source.child("configMapRef")) for source in container.children("envFrom")]
    return ContainerTexts(
        env=tuple(pair for entry in container.children("env") for pair in _env(entry, namespace)),
        env_from=tuple((prefix, source.text("name")) for prefix, source in env_from if source.has("name")),
        command_line=container.texts("command") + container.texts("args"),
        mounts=tuple(dict.fromkeys(mounts)),
    )


def _env(entry: Fields, namespace: str) -> Iterable[tuple[str, str | ConfigKey]]:
    name = entry.text("name")
    if entry.has("value"):
        yield name, entry.text("value")
        return
    source = entry.child("valueFrom")
    if source.child("fieldRef").text("fieldPath") == "metadata.namespace":
        yield name, namespace
    elif source.has("configMapKeyRef"):
        key = source.child("configMapKeyRef")
        yield name, ConfigKey(key.text("name"), key.text("key"))


# ------------------------------------------------------------------------------------------------ objects


def read_pod(root: Fields, namespace: str, place: Place, known: Blueprints) -> StatedPod | None:
    """Read a Pod; one that ended (phase Succeeded or Failed) holds no address any more and yields ``None``."""
    metadata, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
    if status.text("phase") in _ENDED:
        return None
    if not metadata.text("name") and metadata.has("generateName"):
        name = f"{metadata.text('generateName')}0"
    else:
        name = metadata.name()
    owner = controller_of(metadata)
    blueprint = known.read(spec, metadata, namespace, place, owner)
    stated = tuple(entry.ip("ip", entry.text("ip")) for entry in status.children("podIPs") if entry.has("ip"))
    if not stated and status.text("podIP"):
        stated = (status.ip("podIP", status.text("podIP")),)
    if stated and stated[0] == status.text("hostIP") and not spec.has("hostNetwork"):
        blueprint = replace(blueprint, template=replace(blueprint.template, host_network=True))
    pod = Pod(
        name=name,
        template=blueprint.template,
        node=spec.text("nodeName"),
        addresses=stated,
        ready=_ready(status),
        terminating=metadata.has("deletionTimestamp"),
    )
    return StatedPod(pod, blueprint, owner)


def _ready(status: Fields) -> bool:
    for condition in status.children("conditions"):
        if condition.text("type") == "Ready":
            return condition.text("status") == "True"
    return status.text("phase", "Running") == "Running"


def _workload(root: Fields, namespace: str, place: Place, kind: str, replicas: int) -> StatedWorkload:
    metadata, spec = root.child("metadata"), root.child("spec")
    template = spec.child("template")
    if not template.value:
        raise spec.wrong("template", "a workload without a pod template", "a mapping of fields")
    pod_spec = template.child("spec")
    blueprint = read_blueprint(pod_spec, template.child("metadata"), namespace, place)
    _check_selector(spec, blueprint.template)
    service_name = spec.text("serviceName") if kind == "StatefulSet" else ""
    subdomain = service_name or blueprint.template.subdomain
    named = replace(blueprint.template, node_name=pod_spec.text("nodeName"), subdomain=subdomain)
    blueprint = replace(blueprint, template=named)
    workload = Workload(kind, namespace, metadata.name(), replicas, blueprint.template, service_name)
    return StatedWorkload(workload, blueprint, controller_of(metadata))


def _check_selector(spec: Fields, template: PodTemplate) -> None:
    """A controller whose selector misses its own template is refused by the API server."""
    selector = spec.child("selector")
    wanted = selector.labels("matchLabels") if selector.has("matchLabels") else {}
    if not wanted.items() <= template.labels.items():
        raise selector.wrong(
            "matchLabels", "the selector does not match the labels of the template", str(template.labels)
        )


def _scaled(kind: str) -> Callable[[Fields, str, Place], StatedWorkload]:
    def read(root: Fields, namespace: str, place: Place) -> StatedWorkload:
        replicas = root.child("spec").integer("replicas", 0, 10**6)
        return _workload(root, namespace, place, kind, 1 if replicas is None else replicas)

    return read


def _daemon_set(root: Fields, namespace: str, place: Place) -> StatedWorkload:
    return _workload(root, namespace, place, "DaemonSet", 0)


def _job(root: Fields, namespace: str, place: Place) -> StatedWorkload:
    spec, status = root.child("spec"), root.child("status")
    parallel = spec.integer("parallelism", 0, 10**6)
    ended = status.has("completionTime") or spec.flag("suspend")
    return _workload(root, namespace, place, "Job", 0 if ended else 1 if parallel is None else parallel)


WORKLOAD_READERS: Mapping[str, Callable[[Fields, str, Place], StatedWorkload]] = {
    "Deployment": _scaled("Deployment"),
    "StatefulSet": _scaled("StatefulSet"),
    "ReplicaSet": _scaled("ReplicaSet"),
    "ReplicationController": _scaled("ReplicationController"),
    "DaemonSet": _daemon_set,
    "Job": _job,
}
