"""Why a name of the cluster has no answer, in words."""

from __future__ import annotations

from collections.abc import Iterator

from netsim.cluster.cluster import Cluster
from netsim.cluster.corefile import Kubernetes
from netsim.cluster.dns.directory import Directory
from netsim.cluster.dns.kubernetes import address_of_pod_label
from netsim.cluster.dns.names import ServiceName, parse_service_name
from netsim.cluster.dns.server import DnsServer
from netsim.cluster.names import below, canonical_address, is_reverse, longest_zone
from netsim.cluster.objects import Service, Workload


def explain(server: DnsServer, name: str, type: str) -> str:
    """Return why a name has no answer of this type; empty where there is nothing to say or the name has one.

    Parameters
    ----------
    server: the cluster's DNS server.
    name: absolute name, as asked.
    type: record type.
    """
    spec = server.kubernetes()
    response = server.answer(name, type)
    if response.result == "ANSWER":
        return ""
    if response.why:
        return response.why
    zone = longest_zone(spec.zones, name) if spec else ""
    if spec is None or not zone:
        return ""
    if is_reverse(name):
        return "only cluster IPs of Services and addresses of ready endpoints have PTR records"
    asked = parse_service_name(below(name.lower(), zone), multicluster=False, zonal=spec.zonal)
    if asked is None or not asked.kind or not asked.service:
        return _no_object(server.cluster, spec, asked, zone)
    if response.rcode == "NOERROR":
        return f"the name exists, but has no {type} record"
    return next(_reasons(server.cluster, spec, asked), "")


def _no_object(cluster: Cluster, spec: Kubernetes, asked: ServiceName | None, zone: str) -> str:
    if asked is None:
        return ""
    if asked.namespace and not Directory(cluster, spec).exposed(asked.namespace):
        return f"no namespace {asked.namespace!r}"
    return f"names of Services are service.namespace.svc.{zone}"


def _reasons(cluster: Cluster, spec: Kubernetes, asked: ServiceName) -> Iterator[str]:
    namespace, directory = asked.namespace, Directory(cluster, spec)
    if namespace not in cluster.namespaces_by_name:
        yield f"no namespace {namespace!r}"
    elif not directory.exposed(namespace):
        yield f"the kubernetes plugin does not serve namespace {namespace!r}"
    elif asked.kind == "pod":
        yield _pod_reason(spec, asked)
    else:
        service = cluster.services_by_key.get(f"{namespace}/{asked.service}")
        if service is None:
            yield _no_service(cluster, asked)
        elif directory.service(namespace, asked.service) is None:
            yield f"Service {service.key!r} does not carry the labels the kubernetes plugin selects"
        else:
            yield _service_reason(cluster, directory, service, asked)


def _pod_reason(spec: Kubernetes, asked: ServiceName) -> str:
    if spec.pods == "disabled":
        return "the kubernetes plugin answers no pod names (pods disabled)"
    address = address_of_pod_label(asked.service)
    if not canonical_address(address):
        return f"{asked.service!r} does not spell an address: pod names are 10-0-0-7.{asked.namespace}.pod"
    return f"no pod in {asked.namespace!r} has the address {address} (pods verified)"


def _no_service(cluster: Cluster, asked: ServiceName) -> str:
    base = f"records come from Services; no Service {asked.service!r} in {asked.namespace!r}"
    workload = _workload(cluster, asked.namespace, asked.service)
    if workload is not None:
        base += f" ({workload.kind} {asked.service!r} alone has none)"
        others = [service.name for service in cluster.services if _selects(service, workload)]
        if others:
            base += f"; its pods are behind Service {', '.join(repr(name) for name in others)}"
        return base
    elsewhere = [s.namespace for s in cluster.services if s.name == asked.service]
    if elsewhere:
        base += f"; there is one in {', '.join(repr(namespace) for namespace in sorted(elsewhere)[:3])}"
    return base


def _workload(cluster: Cluster, namespace: str, name: str) -> Workload | None:
    found = (w for w in cluster.workloads if w.namespace == namespace and w.name == name)
    return next(found, None)


def _selects(service: Service, workload: Workload) -> bool:
    same = service.namespace == workload.namespace
    return same and bool(service.selector) and service.selector.items() <= workload.template.labels.items()


def _service_reason(cluster: Cluster, directory: Directory, service: Service, asked: ServiceName) -> str:
    every, ready = cluster.endpoints(service.key), directory.ready(service)
    if asked.port or asked.protocol:
        named = ", ".join(f"_{port.name}._{port.protocol.lower()}" for port in service.ports if port.name)
        return f"Service {service.key!r} has no such named port; it has {named or 'none'}"
    if service.type == "ExternalName":
        return f"Service {service.key!r} is an ExternalName and has no endpoints"
    if not ready:
        have = f"none of its {len(every)} endpoints is ready" if every else "it has no endpoints"
        return (
            f"Service {service.key!r} is {'headless' if service.headless else 'without its own record here'} and {have}"
        )
    if asked.endpoint:
        return _endpoint_reason(directory, service, asked, len(ready))
    return f"Service {service.key!r} has no address"


def _endpoint_reason(directory: Directory, service: Service, asked: ServiceName, count: int) -> str:
    example = directory.label(directory.ready(service)[0])
    return (
        f"none of the {count} ready endpoints of Service {service.key!r} is called {asked.endpoint!r}; "
        f"one is {example!r}"
    )
