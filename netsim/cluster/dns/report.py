"""The question ``inspect dns`` answers: what a name resolves to, from a server or from inside a pod, query by query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.cluster.cluster import Cluster
from netsim.cluster.corefile.sources import QUERY_TYPES
from netsim.cluster.dns import LINK_LOCAL_CACHE, DnsServer, Outside, Question, Record, Response, Result
from netsim.cluster.dns.explain import explain
from netsim.cluster.dns.server import cluster_dns, cluster_dns_address, node_local_dns
from netsim.cluster.names import absolute, canonical_address, is_domain, reverse_name
from netsim.cluster.objects import Pod
from netsim.cluster.resolver import ADDRESS_TYPES, HostResolv, Query, new_lookup, resolv_conf, walk
from netsim.errors import InputError, Place

MAX_MESSAGE_BYTES = 65_535
"""Largest DNS message, over TCP too (RFC 1035 §4.2.2): an answer with more records is cut."""


@dataclass(frozen=True, slots=True)
class SentQuery:
    """A query as it left; ``rcode`` is ``TIMEOUT`` where no answer came."""

    name: str
    type: str
    rcode: str


@dataclass(frozen=True, slots=True)
class DnsReport:
    """What a name resolves to.

    ``type`` is ``A+AAAA`` where both are asked. ``rcode`` is that of the last answer (``TIMEOUT`` without any); ``why``
    says in words why a name has no answer, and is empty otherwise.
    """

    name: str
    type: str
    rcode: str
    answers: tuple[Record, ...]
    queries: tuple[SentQuery, ...]
    result: Result
    why: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return the JSON document; ``why`` is there when there is a reason to give."""
        document: dict[str, object] = {
            "question": {"name": self.name, "type": self.type},
            "rcode": self.rcode,
            "answers": [record.to_dict() for record in self.answers],
            "queries": [{"name": q.name, "type": q.type, "rcode": q.rcode} for q in self.queries],
            "result": self.result,
        }
        return document | ({"why": self.why} if self.why else {})


class Resolvers:
    """The DNS servers of a cluster as pods reach them, by nameserver address."""

    def __init__(self, cluster: Cluster, outside: Outside) -> None:
        self.central = cluster_dns(cluster, outside)
        self.local = node_local_dns(cluster, self.central)
        service = cluster.services_by_key.get(cluster.dns_service)
        addresses = service.cluster_ips if service else ()
        front = self.local or self.central
        self._servers: dict[str, DnsServer] = dict.fromkeys((*addresses, cluster_dns_address(cluster)), front)
        if self.local is not None:
            self._servers[LINK_LOCAL_CACHE] = self.local
        for pod in cluster.endpoints(cluster.dns_service):
            self._servers.setdefault(pod.address, self.central)
        self._outside = outside

    def server_at(self, address: str) -> DnsServer | None:
        """Return the cluster's DNS server behind an address; ``None`` for a server outside."""
        return self._servers.get(canonical_address(address) or address)

    def answer(self, address: str, name: str, type: str, client: str) -> Response | None:
        """Return what the server at an address answers; nothing comes back from the loopback of a pod."""
        server = self.server_at(address)
        if server is not None:
            return server.answer(name, type, client)
        if not address or address.startswith("127.") or address == "::1":
            return None
        return self._outside.answer(Question(absolute(name), type, client))


def query_server(cluster: Cluster, name: str, type: str | None = None, *, outside: Outside | None = None) -> DnsReport:
    """Return the cluster DNS's answer to exactly this name (``A`` without a type)."""
    kind = _checked_type(type) or "A"
    server = cluster_dns(cluster, outside)
    question = absolute(_checked_name(name, kind))
    response = server.answer(question, kind)
    why = response.why or (explain(server, question, kind) if response.result != "ANSWER" else "")
    sent = (SentQuery(question, kind, response.rcode),)
    return DnsReport(name, kind, response.rcode, response.answers, sent, response.result, why)


def query_sequence(
    cluster: Cluster,
    name: str,
    pod: Pod,
    resolver: str = "glibc",
    type: str | None = None,
    *,
    host: HostResolv | None = None,
    outside: Outside | None = None,
) -> DnsReport:
    """Return what a pod's resolver sends for one lookup and what comes back.

    Parameters
    ----------
    cluster: where the pod and its DNS servers are.
    name: as the application gives it.
    pod: decides about resolv.conf, hosts file and, with autopath, the answers.
    resolver: ``glibc``, ``musl`` or ``go``.
    type: record type; without one A and AAAA, as getaddrinfo asks.
    host: the node's resolv.conf.
    outside: what upstream servers answer.
    """
    kind = _checked_type(type)
    types = (kind,) if kind else ADDRESS_TYPES
    host = host or HostResolv(search=cluster.host_search)
    outside = outside or Outside(search=host.search)
    config = resolv_conf(pod, cluster, host)
    servers = Resolvers(cluster, outside)
    client = pod.addresses[0] if pod.addresses else ""
    nameservers = config.nameservers or ("127.0.0.1",)
    lookup = new_lookup(resolver, config, _checked_name(name, types[0]), types)

    def network(query: Query) -> Response | None:
        response = servers.answer(nameservers[query.server], query.name, query.type, client)
        if response is None:
            return None
        limit_bytes = lookup.udp_limit_bytes if query.transport == "udp" else MAX_MESSAGE_BYTES
        return response.fitted(Question(query.name, query.type), limit_bytes)

    walked = walk(lookup, network)
    sent = tuple(
        SentQuery(e.query.name, e.query.type, e.response.rcode if e.response else "TIMEOUT") for e in walked.exchanges
    )
    done = walked.done
    rcode = {"ANSWER": "NOERROR", "NODATA": "NOERROR"}.get(done.result, done.result)
    why = "" if done.result == "ANSWER" else _why(servers, config.nameservers, sent, types)
    return DnsReport(name, kind or "+".join(ADDRESS_TYPES), rcode, done.answers, sent, done.result, why)


def inspect_dns(
    cluster: Cluster,
    name: str,
    type: str | None = None,
    from_pod: str | None = None,
    resolver: str = "glibc",
    *,
    host: HostResolv | None = None,
    outside: Outside | None = None,
) -> DnsReport:
    """Return what a name resolves to: as the resolver of a pod (``namespace/name``) sees it, else from the cluster DNS.

    Raises
    ------
    InputError: for an unknown pod, record type or resolver.
    """
    if from_pod is None:
        return query_server(cluster, name, type, outside=outside)
    return query_sequence(cluster, name, find_pod(cluster, from_pod), resolver, type, host=host, outside=outside)


def find_pod(cluster: Cluster, key: str) -> Pod:
    """Return a pod by ``namespace/name``; the name of a workload means the first of its pods."""
    pod = cluster.pods_by_key.get(key)
    if pod is not None:
        return pod
    namespace, _, name = key.rpartition("/")
    for candidate in cluster.pods:
        if candidate.template.owner == name and candidate.namespace == (namespace or "default"):
            return candidate
    raise InputError("no such pod", place=Place(field="from"), got=key, allowed="namespace/pod of the cluster")


def _checked_type(type: str | None) -> str | None:
    if type is None:
        return None
    kind = type.upper()
    if kind not in QUERY_TYPES:
        raise InputError("unknown record type", place=Place(field="type"), got=type, allowed="A, AAAA, SRV, PTR...")
    return kind


def _checked_name(name: str, type: str) -> str:
    """Refuse what cannot be asked; a bare address asked for PTR is turned into its reverse name, as tools do."""
    if type == "PTR" and canonical_address(name):
        return reverse_name(name)
    if not name or (not is_domain(name) and not canonical_address(name)):
        raise InputError("not a domain name", place=Place(field="name"), got=name, allowed="labels of 1 to 63 bytes")
    return name


def _why(servers: Resolvers, nameservers: Sequence[str], sent: Sequence[SentQuery], types: Sequence[str]) -> str:
    """Return the most telling reason among the candidates: the first in the cluster that has one."""
    if not nameservers:
        return "the pod has no nameserver (dnsPolicy None without dnsConfig)"
    server = servers.server_at(nameservers[0])
    if server is None:
        return f"the pod asks {nameservers[0]}, which is not the cluster's DNS"
    for name in dict.fromkeys(query.name for query in sent):
        reason = explain(servers.central, name, types[0])
        if reason:
            return reason
    return ""
