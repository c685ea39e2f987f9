"""Traffic for manifests that state none: who calls which Service, concluded from what containers are told.

A container whose environment, command line or mounted ConfigMap names a Service calls it. Names are resolved as in the
pod: its own namespace first, then ``name.namespace``, with or without ``svc`` and the cluster domain. What texts do not
tell is assumed, and said so: NodePort and LoadBalancer Services are called from outside, and every other Service that
nobody names is called by a workload that is not behind it, in turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from netsim.cluster.cluster import Cluster
from netsim.cluster.mentions import SCHEME_PORTS, Mention, find_mentions
from netsim.cluster.objects import Note, Pod, PodTemplate, Protocol, Service, ServicePort
from netsim.cluster.reading.pod_texts import ENV, split_text
from netsim.errors import Place

EXTERNAL = "external"
_SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
_EVIDENCE_LENGTH = 120


@dataclass(frozen=True, slots=True)
class InferredCall:
    """One edge of the traffic.

    ``from_workload`` is ``namespace/name`` of a workload or bare pod, or ``external``; ``service`` the key of the
    Service, ``port`` one of its ports. ``evidence`` is the text that names it, or the assumption made; ``place`` where
    the text was read.
    """

    from_workload: str
    service: str
    port: int
    protocol: Protocol
    evidence: str
    place: Place = Place()  # noqa: RUF009 (frozen)
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class InferredTraffic:
    """All edges, those found in texts first, and what the reader must know about them."""

    calls: tuple[InferredCall, ...]
    notes: tuple[Note, ...] = ()


def callers(cluster: Cluster) -> Mapping[str, PodTemplate]:
    """Return the templates of everything that can call, by key: workloads that have pods, then bare pods."""
    owners = dict.fromkeys(f"{pod.namespace}/{pod.template.owner}" for pod in cluster.pods if pod.template.owner)
    found = {w.key: w.template for w in cluster.workloads if w.key in owners}
    found.update((pod.key, pod.template) for pod in cluster.pods if not pod.template.owner)
    return found


def pods_of(cluster: Cluster, caller: str) -> tuple[Pod, ...]:
    """Return the pods of a caller key, in cluster order."""
    return tuple(
        pod
        for pod in cluster.pods
        if (f"{pod.namespace}/{pod.template.owner}" if pod.template.owner else pod.key) == caller
    )


def infer_traffic(cluster: Cluster) -> InferredTraffic:
    """Return who calls which Service: from texts, from outside, and assumed where nobody is known to call."""
    known = callers(cluster)
    found = list(infer_calls(cluster))
    notes = [Note("traffic-inferred", f"{len(found)} calls are inferred from the texts of containers")] if found else []
    found.extend(_from_outside(cluster))
    called = {call.service for call in found}
    waiting = [service for service in _application_services(cluster) if service.key not in called]
    assumed = list(_assumed(cluster, known, waiting, everyone=not found))
    if assumed:
        services = ", ".join(dict.fromkeys(call.service for call in assumed))
        shown = services if len(services) <= 300 else f"{services[:300]}…"
        notes.append(Note("traffic-assumed", f"no text names {shown}: called by other workloads in turn (assumed)"))
    if not found and not assumed:
        notes.append(Note("traffic-none", "no Service has endpoints that a pod could call", "warning"))
    notes.extend(
        Note("no-endpoints", f"{key} is called and has no endpoints: connections are refused", "warning")
        for key in dict.fromkeys(call.service for call in found)
        if not cluster.endpoints(key)
    )
    return InferredTraffic((*found, *assumed), tuple(notes))


# ------------------------------------------------------------------------------------------------ from texts


def infer_calls(cluster: Cluster) -> tuple[InferredCall, ...]:
    """Return the calls that texts of containers show, each caller, Service and port once, with the first evidence."""
    names = _Names(cluster)
    found: dict[tuple[str, str, int], InferredCall] = {}
    for caller, template in callers(cluster).items():
        for call in _calls_of(caller, template, names):
            found.setdefault((call.from_workload, call.service, call.port), call)
    return tuple(found.values())


def _calls_of(caller: str, template: PodTemplate, names: _Names) -> Iterator[InferredCall]:
    env = dict(text.removeprefix(ENV).split("=", 1) for text in template.texts if text.startswith(ENV) and "=" in text)
    for text in template.texts:
        for where, line in split_text(text):
            for mention in find_mentions(where, line, env):
                service = names.resolve(mention.host, template.namespace)
                port = None if service is None else _called_port(service, mention)
                if service is None or port is None:
                    continue
                label = where.rstrip(":")
                evidence = f"{where.removeprefix(ENV)}={line}" if where.startswith(ENV) else f"{label}: {line.strip()}"
                place = replace(template.place, field=label)
                shown = evidence if len(evidence) <= _EVIDENCE_LENGTH else evidence[: _EVIDENCE_LENGTH - 1] + "…"
                yield InferredCall(caller, service.key, port.port, port.protocol, shown, place)


def _called_port(service: Service, mention: Mention) -> ServicePort | None:
    """Return the Service's port that a mention means; ``None`` when the Service has no such port."""
    if mention.port is None:
        usual = SCHEME_PORTS.get(mention.scheme)
        return next((port for port in service.ports if port.port == usual), None) or main_port(service)
    for port in service.ports:
        if port.port == mention.port:
            return port
    if service.headless and mention.sure:  # the client connects to the pod itself, on any port it listens on
        return main_port(service)
    return None


def main_port(service: Service) -> ServicePort | None:
    """Return the port called where none is named: the first over TCP, else the first."""
    return next((port for port in service.ports if port.protocol == "TCP"), next(iter(service.ports), None))


class _Names:
    """Service names as a pod's resolver would find them."""

    def __init__(self, cluster: Cluster) -> None:
        self._services = cluster.services_by_key
        self._domain = tuple(cluster.cluster_domain.split("."))

    def resolve(self, host: str, namespace: str) -> Service | None:
        """Return the Service that ``host`` reaches from a namespace, ``None`` for other hosts."""
        service = self._stated(host, namespace)
        if service is not None and service.type == "ExternalName":
            return self._stated(service.external_name, service.namespace)
        return service

    def _stated(self, host: str, namespace: str) -> Service | None:
        parts = host.lower().rstrip(".").split(".")
        if tuple(parts[-len(self._domain) :]) == self._domain:
            parts = parts[: -len(self._domain)]
            if parts[-1:] != ["svc"]:
                return None
        if len(parts) >= 3 and parts[-1] == "svc":
            return self._in(parts[:-1])
        if len(parts) == 1:
            return self._get(namespace, parts[0])
        return self._in(parts) or (self._pod_name(namespace, parts) if len(parts) == 2 else None)

    def _in(self, parts: Sequence[str]) -> Service | None:
        """Resolve ``service.namespace`` or ``pod.service.namespace``."""
        if len(parts) == 2:
            return self._get(parts[1], parts[0])
        return self._pod_name(parts[2], parts[:2]) if len(parts) == 3 else None

    def _pod_name(self, namespace: str, parts: Sequence[str]) -> Service | None:
        service = self._get(namespace, parts[1])
        return service if service is not None and service.headless else None

    def _get(self, namespace: str, name: str) -> Service | None:
        return self._services.get(f"{namespace}/{name}")


# ------------------------------------------------------------------------------------------------ assumed


def _application_services(cluster: Cluster) -> list[Service]:
    """Return the services of the application that have endpoints: not the cluster's own."""
    return [
        service
        for service in cluster.services
        if service.namespace not in _SYSTEM_NAMESPACES
        and service.key not in (cluster.dns_service, "default/kubernetes")
        and service.ports
        and cluster.endpoints(service.key)
    ]


def _from_outside(cluster: Cluster) -> Iterator[InferredCall]:
    for service in _application_services(cluster):
        port = main_port(service)
        if port is not None and (service.type in ("NodePort", "LoadBalancer") or service.external_ips):
            kind = service.type if service.type != "ClusterIP" else "external addresses"
            yield InferredCall(
                EXTERNAL, service.key, port.port, port.protocol, f"{kind}: called from outside (assumed)", assumed=True
            )


def _assumed(
    cluster: Cluster, known: Mapping[str, PodTemplate], waiting: Sequence[Service], *, everyone: bool
) -> Iterator[InferredCall]:
    """Let workloads call the services that nobody is known to call, in turn; all workloads where nothing is known."""
    application = [key for key, template in known.items() if template.namespace not in _SYSTEM_NAMESPACES]
    order = application or list(known)
    if not waiting or not order:
        return
    behind = _behind(waiting, known)
    turns = cycle(order)
    idle = dict.fromkeys(order)
    for service in waiting:
        caller = _next_outside(turns, len(order), behind[service.key])
        idle.pop(caller, None)
        yield from _assumed_call(caller, service)
    services = cycle(waiting)
    for caller in idle if everyone else ():
        others = (service for service, _ in zip(services, waiting, strict=False) if caller not in behind[service.key])
        for service in islice(others, 1):
            yield from _assumed_call(caller, service)


def _next_outside(turns: Iterator[str], count: int, behind: frozenset[str]) -> str:
    """Return the next caller that is not behind the Service; where all are, simply the next."""
    first = caller = next(turns)
    for _ in range(count):
        if caller not in behind:
            return caller
        caller = next(turns)
    return first


def _assumed_call(caller: str, service: Service) -> Iterator[InferredCall]:
    port = main_port(service)
    if port is not None:
        evidence = "no text names a caller (assumed)"
        yield InferredCall(caller, service.key, port.port, port.protocol, evidence, assumed=True)


def _behind(services: Iterable[Service], known: Mapping[str, PodTemplate]) -> Mapping[str, frozenset[str]]:
    """Return the callers that are themselves behind each Service."""
    by_label: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for key, template in known.items():
        for label in template.labels.items():
            by_label[template.namespace, *label].add(key)
    return {
        service.key: frozenset.intersection(
            *(frozenset(by_label[service.namespace, *label]) for label in service.selector.items())
        )
        if service.selector
        else frozenset()
        for service in services
    }
