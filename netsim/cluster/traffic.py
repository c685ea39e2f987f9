"""Traffic resolved against a cluster: which pods call which Service, as the engine will play it.

A scenario names workloads and services; here the names become pod indices and Service ports, and every name that
does not exist is an error with what does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from netsim.cluster.inference import EXTERNAL, InferredCall, callers, infer_traffic, pods_of
from netsim.cluster.objects import Note, Protocol, Service, ServicePort
from netsim.errors import InputError, Place
from netsim.scenario.spec import TrafficSpec

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.scenario.distributions import Duration, Size
    from netsim.scenario.spec import CallSpec, ClosedLoop, Scenario


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of request to a Service, with the calls its server makes before it answers.

    Sizes are distributions in bytes, ``work`` one in seconds on the receiver's core; ``count`` calls follow each
    other; ``probability`` is the share of requests that make the call; ``parallel`` starts it with the one before.
    Server and client take data in at ``request_reads_bps`` and ``response_reads_bps``, `None`: at once.
    """

    service: Service
    port: ServicePort
    request: Size
    response: Size
    work: Duration
    keep_alive: bool = False
    count: int = 1
    probability: float = 1.0
    parallel: bool = False
    then: tuple[Call, ...] = ()
    request_reads_bps: float | None = None
    response_reads_bps: float | None = None
    host: str = ""
    """Name the client resolves: as short as its namespace allows."""
    instances: Mapping[str, Service] = field(default_factory=dict)
    """Where the application is repeated: the Service that callers in a namespace mean by the name, by namespace."""

    def service_for(self, namespace: str) -> Service:
        """Return the Service that a caller in this namespace means."""
        return self.instances.get(namespace, self.service)


@dataclass(frozen=True, slots=True)
class Edge:
    """One entry of the traffic: clients, what they ask, how often.

    ``clients`` are indices into ``cluster.pods`` (empty for external clients); ``rate_per_s`` is per client (for
    external clients: in all). Exactly one of ``call`` and ``lookup`` is set: DNS lookups call nobody. Streams hand over
    ``writes`` bytes a send call, `None`: whole buffers.
    """

    label: str
    kind: Literal["rpc", "udp", "stream", "dns"]
    clients: Sequence[int]
    rate_per_s: float
    call: Call | None = None
    lookup: str = ""
    external: bool = False
    entry: Literal["cluster-ip", "node-port", "load-balancer"] = "load-balancer"
    pool: int = 8
    streams: int = 1
    writes: int | None = None
    closed: ClosedLoop | None = None
    place: Place = field(default_factory=Place)


def resolve_traffic(cluster: Cluster, specs: Sequence[TrafficSpec], *, file: str = "") -> tuple[Edge, ...]:
    """Resolve every entry. Raises `InputError` for a name that the cluster does not have."""
    labels: dict[str, int] = {}
    edges = []
    for index, spec in enumerate(specs):
        seen = labels[spec.label] = labels.get(spec.label, 0) + 1
        label = spec.label if seen == 1 else f"{spec.label}#{seen}"
        edges.append(_edge(cluster, spec, label, Place(file, field=f"traffic[{index}]")))
    return tuple(edges)


def traffic_of(cluster: Cluster, scenario: Scenario) -> tuple[tuple[Edge, ...], tuple[Note, ...]]:
    """Return the scenario's traffic, inferred from what containers name where it states none, with what to know of it.

    Raises `InputError` for a name that the cluster does not have, or when there is nobody who could call anything.
    """
    with scenario.origin.placing():
        return _traffic_of(cluster, scenario)


def _traffic_of(cluster: Cluster, scenario: Scenario) -> tuple[tuple[Edge, ...], tuple[Note, ...]]:
    if scenario.traffic:
        stated = resolve_traffic(cluster, scenario.traffic, file=scenario.file)
        return stated, tuple(_refusals(cluster, stated))
    inferred = infer_traffic(cluster)
    calls = _merged(inferred.calls)
    rate = f"{scenario.inferred_rate:g}/s per client pod"
    specs = [_inferred_spec(call, scenario.inferred_rate) for call in calls]
    told = [Note("traffic-edge", f"{c.from_workload} calls {c.service}:{c.port} ({c.evidence})") for c in calls]
    if calls:
        text = f"no traffic stated: {len(calls)} calls inferred, each {rate}, 1 KiB asked and answered"
        told.insert(0, Note("traffic-inferred", text))
    if all(call.from_workload == EXTERNAL for call in calls):
        specs += _lookup_specs(cluster, scenario.inferred_rate)
        told.append(Note("traffic-lookups", f"no pod calls anything: every workload looks up a name, {rate} (assumed)"))
    if not specs:
        raise InputError(
            "no traffic is stated and none can be inferred: no pod could call a service",
            place=Place(scenario.file, field="traffic"),
            allowed="a traffic section, or manifests with pods",
        )
    return resolve_traffic(cluster, specs, file=scenario.file), (*told, *inferred.notes)


def _lookup_specs(cluster: Cluster, rate_per_s: float) -> list[TrafficSpec]:
    """Let every workload but the DNS itself look up a name: what every pod does, whatever else it does."""
    dns = cluster.services_by_key.get(cluster.dns_service)
    own = {endpoint.pod for endpoint in cluster.endpoints(cluster.dns_service)} if dns else set()
    found = []
    for caller, template in callers(cluster).items():
        if own.isdisjoint(pod.key for pod in pods_of(cluster, caller)):
            of_node = template.dns_policy == "Default" or (
                template.host_network and template.dns_policy == "ClusterFirst"
            )
            name = "example.com" if dns is None or of_node else f"{dns.name}.{dns.namespace}"
            found.append({"from": caller, "to": name, "kind": "dns", "rate": f"{rate_per_s!r}/s"})
    return [TrafficSpec.model_validate(each) for each in found]


def _refusals(cluster: Cluster, edges: Sequence[Edge]) -> Iterator[Note]:
    """Warn of every Service that is called and has nobody behind it."""
    called = dict.fromkeys(service.key for edge in edges if edge.call for service in _services(edge.call))
    for key in called:
        if not cluster.endpoints(key):
            yield Note("no-endpoints", f"{key} is called and has no endpoints: connections are refused", "warning")


def _services(call: Call) -> Iterator[Service]:
    yield from call.instances.values() or (call.service,)
    for inner in call.then:
        yield from _services(inner)


def _merged(calls: Sequence[InferredCall]) -> list[InferredCall]:
    """Return calls over TCP and UDP, those of a repeated application once, by bare names that fit every instance."""
    alike: dict[tuple[str, str, int], list[InferredCall]] = {}
    for call in calls:
        if call.protocol != "SCTP":
            (space, caller), (other, service) = _parts(call.from_workload), _parts(call.service)
            near = space == other
            key = (caller, service, call.port) if near else (call.from_workload, call.service, call.port)
            alike.setdefault(key, []).append(call)
    return [
        group[0]
        if len(group) == 1
        else replace(
            group[0], from_workload=caller, service=service, evidence=f"{group[0].evidence}; {len(group)} alike"
        )
        for (caller, service, _), group in alike.items()
    ]


def _parts(key: str) -> tuple[str, str]:
    namespace, _, name = key.rpartition("/")
    return namespace, name


def _inferred_spec(call: InferredCall, rate_per_s: float) -> TrafficSpec:
    return TrafficSpec.model_validate(
        {
            "from": call.from_workload,
            "to": f"{call.service}:{call.port}",
            "kind": "udp" if call.protocol == "UDP" else "rpc",
            "rate": f"{rate_per_s!r}/s",
            "entry": "cluster-ip" if call.from_workload != EXTERNAL else "load-balancer",
        }
    )


def _edge(cluster: Cluster, spec: TrafficSpec, label: str, place: Place) -> Edge:
    external = spec.source == EXTERNAL
    clients = () if external else find_clients(cluster, spec.source, _within(place, "from"))
    if not external and not clients:
        raise InputError("the clients have no pods", place=_within(place, "from"), got=spec.source)
    namespace = "default" if external else cluster.pods[clients[0]].namespace
    if spec.kind == "dns":
        call, lookup = None, spec.to
    else:
        namespaces = tuple(dict.fromkeys(cluster.pods[index].namespace for index in clients)) or (namespace,)
        call, lookup = _call(cluster, spec, namespaces, place), ""
    each = spec.rate.per_pod
    if each is None:
        together = spec.rate.per_service or 0.0
        each = together if external else together / len(clients)
    return Edge(
        label, spec.kind, clients, each, call=call, lookup=lookup, external=external, entry=spec.entry,
        pool=spec.pool, streams=spec.streams, writes=spec.writes, closed=spec.closed, place=place,
    )  # fmt: skip


def _call(cluster: Cluster, spec: CallSpec, namespaces: Sequence[str], place: Place) -> Call:
    protocol: Protocol = "UDP" if isinstance(spec, TrafficSpec) and spec.kind == "udp" else "TCP"
    service, port = find_service(cluster, spec.to, namespaces[0], _within(place, "to"), protocol)
    instances = _instances(cluster, service, port, spec.to, namespaces)
    servers = tuple(dict.fromkeys(other.namespace for other in instances.values())) or (service.namespace,)
    return Call(
        service, port, spec.request, spec.response, spec.work, keep_alive=spec.connection == "keep-alive",
        count=spec.count, probability=spec.probability, parallel=spec.parallel,
        request_reads_bps=spec.reads.request, response_reads_bps=spec.reads.response,
        then=tuple(
            _call(cluster, inner, servers, _within(place, f"then[{index}]")) for index, inner in enumerate(spec.then)
        ),
        host=service.name if service.namespace == namespaces[0] else f"{service.name}.{service.namespace}",
        instances=instances,
    )  # fmt: skip


def _instances(
    cluster: Cluster, service: Service, port: ServicePort, name: str, namespaces: Sequence[str]
) -> dict[str, Service]:
    """Return what callers of several namespaces mean by a bare name: each the Service of its own namespace."""
    if "/" in name or len(namespaces) < 2 or service.namespace != namespaces[0]:
        return {}
    found = {space: cluster.services_by_key.get(f"{space}/{service.name}") for space in namespaces}
    return {space: other for space, other in found.items() if other is not None and port in other.ports}


def _within(place: Place, name: str) -> Place:
    return Place(place.file, place.line, f"{place.field}.{name}")


def _unknown(kind: str, name: str, known: Sequence[str], place: Place) -> InputError:
    near = get_close_matches(name, known, n=3) or sorted(known)[:8]
    return InputError(f"no such {kind} in the cluster", place=place, got=name, allowed=", ".join(near) or "nothing")


def find_service(
    cluster: Cluster, name: str, namespace: str, place: Place, protocol: Protocol = "TCP"
) -> tuple[Service, ServicePort]:
    """Find ``name``, ``namespace/name`` or either with ``:port`` (number or port name), and its port for a protocol.

    A bare name is looked for in ``namespace`` first, then must be unique over the cluster.
    """
    base, _, port_text = name.partition(":")
    candidates = _by_name(cluster.services_by_key, base, namespace)
    if len(candidates) > 1:
        raise InputError(
            "the service name is in several namespaces", place=place, got=name, allowed=", ".join(candidates)
        )
    if not candidates:
        raise _unknown("service", base, [*cluster.services_by_key, *(s.name for s in cluster.services)], place)
    service = cluster.services_by_key[candidates[0]]
    if not service.ports and service.headless and port_text.isdigit():
        return service, ServicePort(int(port_text), protocol=protocol)
    return service, _port(service, port_text, protocol, name, place)


def _port(service: Service, port_text: str, protocol: Protocol, name: str, place: Place) -> ServicePort:
    """Return the first port that is meant and speaks the protocol."""
    meant = [port for port in service.ports if not port_text or port_text in (str(port.port), port.name)]
    for port in meant:
        if port.protocol == protocol:
            return port
    what = f"the service is not reached by {protocol} there" if meant else "the service has no such port"
    ports = (f"{p.port}/{p.protocol}" + (f" ({p.name})" if p.name else "") for p in service.ports)
    raise InputError(what, place=place, got=name, allowed=", ".join(ports) or "nothing: it has no ports")


def find_clients(cluster: Cluster, name: str, place: Place) -> Sequence[int]:
    """Find the pods of a workload or behind a service, by ``name`` or ``namespace/name``; ``all`` means every pod.

    Host-network agents and the cluster's DNS are not counted among ``all``.
    """
    if name == "all":
        return tuple(
            index
            for index, pod in enumerate(cluster.pods)
            if not pod.template.host_network and pod.namespace != "kube-system"
        )
    owners = cluster.pods_by_owner
    candidates = _by_name(owners, name, "default")
    if candidates:
        return tuple(index for key in candidates for index in owners[key])
    services = _by_name(cluster.services_by_key, name, "default")
    if services:
        index_of = {pod.key: index for index, pod in enumerate(cluster.pods)}
        behind = dict.fromkeys(e.pod for key in services for e in cluster.endpoints(key) if e.pod)
        return tuple(index_of[key] for key in behind if key in index_of)
    raise _unknown("workload or service", name, [*owners, *(key.partition("/")[2] for key in owners)], place)


def _by_name(known: Mapping[str, object], name: str, namespace: str) -> list[str]:
    """Return the keys that ``name`` may mean: exact, in the namespace, or anywhere."""
    if "/" in name:
        return [name] if name in known else []
    own = f"{namespace}/{name}"
    if own in known:
        return [own]
    return [key for key in known if key.partition("/")[2] == name]
