"""ExternalDNS: which names it would publish for a cluster, what that costs its provider, and how late a name appears.

Sources: kubernetes-sigs/external-dns ``source/service.go``, ``source/ingress.go``, ``registry/txt``,
``docs/annotations``, ``docs/flags``. Annotations carry the prefix ``external-dns.alpha.kubernetes.io/`` or, since
v0.22, ``external-dns.kubernetes.io/``; the newer one wins where both are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum
from typing import Literal

from netsim.cluster.cluster import Cluster
from netsim.cluster.cni.hostlocal import parse_address
from netsim.cluster.objects import Service, family_of
from netsim.errors import InputError

PREFIXES = ("external-dns.kubernetes.io/", "external-dns.alpha.kubernetes.io/")
CONTROLLER = "dns-controller"
RecordType = Literal["A", "AAAA", "CNAME", "SRV", "TXT"]
MANAGED: tuple[RecordType, ...] = ("A", "AAAA", "CNAME")
"""``--managed-record-types``; SRV records of NodePort Services are made only when asked for."""
LONGEST_TTL_S = 2**31 - 1
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:h|ms|m|s))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(h|ms|m|s)")


@dataclass(frozen=True, slots=True)
class Record:
    """One record set: a name, a type, its targets in order, its TTL (``None``: the provider's) and who asked."""

    name: str
    type: RecordType
    targets: tuple[str, ...]
    ttl_s: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """ExternalDNS's flags that change what is published.

    ``publish_internal`` also publishes ClusterIP Services; ``publish_host_ip`` gives headless pods their node's
    address; ``node_external`` holds ExternalIP addresses of nodes by name; ``domain_filter`` keeps names under these
    domains (empty: all); ``txt_formats`` TXT records beside each record: 2 for the releases that write the old and
    the typed form, 1 for those that write the typed one, 0 without the registry.
    """

    publish_internal: bool = False
    publish_host_ip: bool = False
    node_external: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    domain_filter: tuple[str, ...] = ()
    managed: tuple[RecordType, ...] = MANAGED
    txt_formats: int = 2
    txt_owner: str = "default"


DEFAULT_OPTIONS = Options()


def annotation(annotations: Mapping[str, str], name: str) -> str | None:
    """Return an ExternalDNS annotation under either prefix."""
    return next((annotations[prefix + name] for prefix in PREFIXES if prefix + name in annotations), None)


def hostnames(annotations: Mapping[str, str], name: str = "hostname") -> tuple[str, ...]:
    """Return the names of a comma-separated annotation, final dots removed."""
    text = (annotation(annotations, name) or "").replace(" ", "")
    return tuple(each.removesuffix(".") for each in text.split(",") if each)


def ttl_of(annotations: Mapping[str, str]) -> int | None:
    """Return the TTL annotation in seconds (a number or a duration such as ``1m``), ``None`` when absent or refused."""
    text = annotation(annotations, "ttl")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 12:
        seconds = int(text)
    elif _DURATION.fullmatch(text):
        scale = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}
        seconds = int(fsum(float(number) * scale[unit] for number, unit in _PART.findall(text)))
    else:
        return None
    return seconds if 1 <= seconds <= LONGEST_TTL_S else None


def type_of(target: str) -> RecordType:
    """Return the record type a target needs: A, AAAA, or CNAME for a name."""
    try:
        return "A" if parse_address(target).version == 4 else "AAAA"
    except InputError:
        return "CNAME"


# ------------------------------------------------------------------------------------------------ records


def published(
    cluster: Cluster, ingresses: Iterable[tuple[str, Sequence[str]]] = (), options: Options = DEFAULT_OPTIONS
) -> tuple[Record, ...]:
    """Return the records ExternalDNS wants to exist, merged by name and type, sorted by name; ownership TXT excluded.

    Parameters
    ----------
    cluster: Services with their annotations and status, endpoints, nodes.
    ingresses: (host, addresses of its load balancer) of Ingress-like objects.
    options: the flags.
    """
    wanted = [record for service in cluster.services for record in service_records(cluster, service, options)]
    for host, targets in ingresses:
        wanted.extend(_records(host.removesuffix("."), targets, None, f"ingress/{host}"))
    merged: dict[tuple[str, str, int | None], Record] = {}
    for record in sorted(wanted, key=lambda each: (each.name, each.source)):
        if record.type not in options.managed or not _in_domains(record.name, options.domain_filter):
            continue
        key = (record.name, record.type, record.ttl_s)
        known = merged.get(key)
        targets = record.targets if known is None else known.targets + record.targets
        merged[key] = replace(known or record, targets=tuple(sorted(dict.fromkeys(targets))))
    return tuple(merged.values())


def _in_domains(name: str, domains: tuple[str, ...]) -> bool:
    return not domains or any(name == each.strip(".") or name.endswith("." + each.strip(".")) for each in domains)


def service_records(cluster: Cluster, service: Service, options: Options = DEFAULT_OPTIONS) -> tuple[Record, ...]:
    """Return the records one Service asks for (``serviceSource.endpoints``)."""
    controller = annotation(service.annotations, "controller")
    if controller is not None and controller != CONTROLLER:
        return ()
    ttl, source = ttl_of(service.annotations), f"service/{service.key}"
    found: list[Record] = []
    for name, internal in (("hostname", False), ("internal-hostname", True)):
        for host in hostnames(service.annotations, name):
            stated = hostnames(service.annotations, "target")
            targets = stated or _targets(cluster, service, internal, options)
            if service.headless and not stated:
                found.extend(_headless(cluster, service, host, ttl, options))
            if service.type == "NodePort":
                found.extend(_node_port_srv(service, host, ttl, source) if targets else ())
            found.extend(_records(host, targets, ttl, source))
    return tuple(found)


def _records(host: str, targets: Sequence[str], ttl: int | None, source: str) -> list[Record]:
    by_type: dict[RecordType, list[str]] = {}
    for target in dict.fromkeys(targets):
        by_type.setdefault(type_of(target), []).append(target.removesuffix("."))
    return [Record(host, kind, tuple(each), ttl, source) for kind, each in by_type.items()]


def _targets(cluster: Cluster, service: Service, internal: bool, options: Options) -> tuple[str, ...]:
    """Return what a Service's names point to, by its type; headless ones point to pods (`_headless`)."""
    if service.headless:
        return ()
    if service.type == "LoadBalancer":
        if internal:
            return service.cluster_ips
        return service.external_ips or (*service.load_balancer_ips, *service.load_balancer_names)
    if service.type == "ExternalName":
        return (service.external_name,)
    if service.type == "NodePort":
        return _node_addresses(cluster, service, options)
    return service.cluster_ips if internal or options.publish_internal else ()


def _node_addresses(cluster: Cluster, service: Service, options: Options) -> tuple[str, ...]:
    """Return external addresses of nodes when public or when there are any, else internal ones."""
    nodes = cluster.nodes
    if service.external_traffic_policy == "Local":
        homes = {endpoint.node for endpoint in cluster.endpoints(service.key)}
        nodes = tuple(node for node in nodes if node.name in homes)
    internal = tuple(address for node in nodes for address in node.addresses)
    external = tuple(address for node in nodes for address in options.node_external.get(node.name, ()))
    access = annotation(service.annotations, "access")
    if access == "private":
        return internal
    if access == "public":
        return (*external, *(address for address in internal if family_of(address) == "IPv6"))
    return external or internal


def _node_port_srv(service: Service, host: str, ttl: int | None, source: str) -> list[Record]:
    return [
        Record(
            f"_{service.name}._{port.protocol.lower()}.{host}", "SRV", (f"0 50 {port.node_port} {host}",), ttl, source
        )
        for port in service.ports
        if port.node_port
    ]


def _headless(cluster: Cluster, service: Service, host: str, ttl: int | None, options: Options) -> list[Record]:
    """Return the pods' records: the Service's name, and one per pod with a hostname."""
    kind = annotation(service.annotations, "endpoints-type")
    by_name: dict[str, list[str]] = {}
    for endpoint in cluster.endpoints(service.key):
        pod = cluster.pods_by_key.get(endpoint.pod)
        if pod is None or not (endpoint.ready or service.publish_not_ready):
            continue
        hostname = pod.hostname or pod.template.hostname
        own = hostnames(pod.template.annotations, "target")
        targets = own or _pod_targets(cluster, pod.node, endpoint.address, kind, options)
        for name in (host, f"{hostname}.{host}") if hostname else (host,):
            by_name.setdefault(name, []).extend(targets)
    source = f"service/{service.key}"
    return [record for name in sorted(by_name) for record in _records(name, by_name[name], ttl, source)]


def _pod_targets(cluster: Cluster, node: str, address: str, kind: str | None, options: Options) -> tuple[str, ...]:
    if kind == "NodeExternalIP":
        return options.node_external.get(node, ())
    if kind == "HostIP" or options.publish_host_ip:
        index = cluster.node_index.get(node)
        return () if index is None else cluster.nodes[index].addresses[:1]
    return (address,)


def ownership(records: Iterable[Record], options: Options = DEFAULT_OPTIONS) -> tuple[Record, ...]:
    """Return the TXT records that mark records as owned: the typed form, and the old one where it is still written."""
    text = f"heritage=external-dns,external-dns/owner={options.txt_owner}"
    found = []
    for record in records:
        value = (f'"{text},external-dns/resource={record.source}"',)
        if options.txt_formats > 1 and record.type != "AAAA":
            found.append(Record(record.name, "TXT", value, record.ttl_s, record.source))
        if options.txt_formats:
            found.append(Record(f"{record.type.lower()}-{record.name}", "TXT", value, record.ttl_s, record.source))
    return tuple(found)


def records_per_name(options: Options = DEFAULT_OPTIONS) -> int:
    """Return how many record sets one published name costs, its ownership records included."""
    return 1 + options.txt_formats


# ------------------------------------------------------------------------------------------------ plan


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes of one sync, ownership records included."""

    create: tuple[Record, ...] = ()
    update: tuple[Record, ...] = ()
    delete: tuple[Record, ...] = ()

    @property
    def size(self) -> int:
        """Number of changes."""
        return len(self.create) + len(self.update) + len(self.delete)


Policy = Literal["sync", "upsert-only", "create-only"]


def plan(
    wanted: Iterable[Record],
    existing: Iterable[Record] = (),
    policy: Policy = "upsert-only",
    options: Options = DEFAULT_OPTIONS,
) -> Plan:
    """Return what one sync changes (``plan/plan.go``).

    Parameters
    ----------
    wanted: records of `published`.
    existing: records this owner has in the zone, without ownership records.
    policy: ``sync`` deletes, ``upsert-only`` does not, ``create-only`` only adds.
    """
    target = {(record.name, record.type): record for record in wanted}
    current = {(record.name, record.type): record for record in existing}
    create = [record for key, record in target.items() if key not in current]
    changed = [
        record
        for key, record in target.items()
        if key in current
        and (current[key].targets != record.targets or (record.ttl_s or current[key].ttl_s) != current[key].ttl_s)
    ]
    gone = [record for key, record in current.items() if key not in target]
    update = changed if policy != "create-only" else []
    delete = gone if policy == "sync" else []
    return Plan(*(tuple(each) + ownership(each, options) for each in (create, update, delete)))
