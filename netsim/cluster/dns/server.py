"""A DNS server: the cluster's CoreDNS or a node-local cache, as its Corefile configures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from netsim.cluster.cluster import Cluster
from netsim.cluster.corefile import (
    Autopath,
    Cache,
    Corefile,
    Dns64,
    External,
    Forward,
    Hosts,
    Kubernetes,
    Rewrite,
    ServerBlock,
    Templates,
    Whoami,
    default_corefile,
    parse_corefile,
)
from netsim.cluster.corefile.specs import Plugin
from netsim.cluster.dns.directory import Directory
from netsim.cluster.dns.external import ExternalHandler
from netsim.cluster.dns.kubernetes import KubernetesHandler
from netsim.cluster.dns.outside import Outside
from netsim.cluster.dns.plugins import (
    AutopathHandler,
    CacheHandler,
    Dns64Handler,
    ForwardHandler,
    HostsHandler,
    TemplateHandler,
    WhoamiHandler,
)
from netsim.cluster.dns.records import Question, Response
from netsim.cluster.dns.rewriting import RewriteHandler
from netsim.cluster.names import absolute, is_domain, longest_zone

MAX_DEPTH = 8
"""Queries a server may make to answer one before it gives up, a guard against rules that lead in circles."""
MEMORY = 65_536
"""Responses one server object remembers; the inputs never change, so they never age."""
LINK_LOCAL_CACHE = "169.254.20.10"
"""Address the node-local cache binds by convention (NodeLocal DNSCache)."""


class Handler(Protocol):
    """One plugin at work: it answers, or passes the question on."""

    def answer(self, question: Question, proceed: Callable[[Question], Response]) -> Response:
        """Return the response."""
        ...


@dataclass(frozen=True, slots=True)
class _Served:
    """A server block with its plugins at work."""

    block: ServerBlock
    chain: tuple[Handler, ...]


class DnsServer:
    """Answers questions as one CoreDNS configuration does over one cluster, with cold caches.

    Parameters
    ----------
    cluster: where Services, endpoints and pods come from.
    corefile: the configuration; default the cluster's own, or kubeadm's where it has none.
    outside: what upstream servers answer.
    servers: DNS servers that ``forward`` may reach inside the cluster, by address.
    """

    def __init__(
        self,
        cluster: Cluster,
        corefile: Corefile | None = None,
        outside: Outside | None = None,
        servers: Mapping[str, DnsServer] | None = None,
    ) -> None:
        self.cluster = cluster
        self.corefile = corefile or cluster_corefile(cluster)
        self.outside = outside or Outside()
        self._servers = dict(servers or {})
        self.port = serving_port(cluster, self.corefile)
        self._served = self._served_zones()
        self._memory: dict[Question, Response] = {}

    # ---------------------------------------------------------------- questions

    def answer(self, name: str, type: str = "A", client: str = "") -> Response:
        """Answer one query.

        Parameters
        ----------
        name: the exact name; a missing final dot is added.
        type: record type.
        client: address the query comes from, for plugins that look at it (autopath, dns64).
        """
        question = Question(absolute(name), type.upper(), client)
        known = self._memory.get(question)
        if known is None:
            known = self.ask(question)
            if len(self._memory) < MEMORY:
                self._memory[question] = known
        return known

    def ask(self, question: Question) -> Response:
        """Answer a question that may have come up while answering another one."""
        if not is_domain(question.name):
            return Response("FORMERR", why=f"{question.name!r} is no domain name")
        if question.depth > MAX_DEPTH:
            return Response("SERVFAIL", why=f"{question.name} leads in a circle")
        served = self._served.get(longest_zone(self._served, question.name))
        if served is None:
            return Response("REFUSED", why="no server block of the Corefile serves this name")
        return self._run(served.chain, 0, question)

    def block_for(self, name: str) -> ServerBlock | None:
        """Return the server block that gets a name: the one with the longest zone."""
        served = self._served.get(longest_zone(self._served, name))
        return served.block if served else None

    def cache_for(self, name: str) -> Cache | None:
        """Return the cache that a name's answers go through, if any."""
        block = self.block_for(name)
        cache = block.first(Cache) if block else None
        return cache if cache and longest_zone(cache.zones, name) else None

    def kubernetes(self) -> Kubernetes | None:
        """Return the first ``kubernetes`` plugin, if any."""
        found = (served.block.first(Kubernetes) for served in self._served.values())
        return next((plugin for plugin in found if plugin), None)

    # ---------------------------------------------------------------- construction

    def _served_zones(self) -> dict[str, _Served]:
        """Return the blocks by zone that listen on the DNS port; of several bound to other addresses the first."""
        found: dict[str, _Served] = {}
        for block in self.corefile.servers:
            served = _Served(block, self._chain(block))
            for address in block.addresses:
                if address.transport == "dns" and address.port == self.port:
                    found.setdefault(address.zone.lower(), served)
        return found

    def _chain(self, block: ServerBlock) -> tuple[Handler, ...]:
        made = (self._handler(plugin, block) for plugin in block.plugins)
        return tuple(handler for handler in made if handler is not None)

    def _handler(self, plugin: Plugin, block: ServerBlock) -> Handler | None:
        match plugin:
            case Kubernetes():
                return KubernetesHandler(
                    plugin, Directory(self.cluster, plugin), self.ask, self._nameservers, self.cluster.revision
                )
            case External():
                source = block.first(Kubernetes)
                return self._external(plugin, source) if source else None
            case Autopath():
                return AutopathHandler(plugin, self._search_list(plugin, block))
            case Templates():
                return TemplateHandler(plugin, self.ask)
            case Rewrite():
                return RewriteHandler(plugin, self.ask)
            case Dns64():
                return Dns64Handler(plugin, self.ask)
            case Forward():
                return ForwardHandler(plugin, partial(self._relay, block))
            case Cache():
                return CacheHandler(plugin)
            case Hosts():
                return HostsHandler(plugin)
            case Whoami():
                return WhoamiHandler()
            case _:  # loadbalance changes the order of records only, which is left as it is
                return None

    def _external(self, plugin: External, source: Kubernetes) -> ExternalHandler:
        service = self.cluster.services_by_key.get(self.cluster.dns_service)
        outward = (*service.external_ips, *service.load_balancer_ips) if service else ()
        directory = Directory(self.cluster, source)
        return ExternalHandler(plugin, directory, self.ask, (outward or ("127.0.0.1",))[0], self.cluster.revision)

    def _nameservers(self) -> tuple[tuple[str, str], ...]:
        """Return the name and addresses of the Service whose endpoints are the DNS pods (plugin/kubernetes/ns.go)."""
        service = self.cluster.services_by_key.get(self.cluster.dns_service)
        if service is None or service.headless or not any(e.ready for e in self.cluster.endpoints(service.key)):
            return ()
        return tuple((f"{service.name}.{service.namespace}", address) for address in service.cluster_ips)

    def _search_list(self, plugin: Autopath, block: ServerBlock) -> Callable[[Question], tuple[str, ...]]:
        node_search = tuple(absolute(domain).lower() for domain in self.outside.search)
        if not plugin.source.startswith("@"):
            return lambda question: (*node_search, "") if node_search else ()
        source = block.first(Kubernetes)
        if source is None or source.pods != "verified":
            return lambda question: ()
        directory = Directory(self.cluster, source)

        def search(question: Question) -> tuple[str, ...]:
            zone = longest_zone(source.zones, question.name)
            namespaces = directory.pods_at(question.client) if zone and question.client else ()
            if not namespaces:
                return ()
            suffix = "" if zone == "." else zone
            return (f"{namespaces[0]}.svc.{suffix}", f"svc.{suffix}", suffix or ".", *node_search, "")

        return search

    # ---------------------------------------------------------------- work

    def _run(self, chain: tuple[Handler, ...], at: int, question: Question) -> Response:
        if at == len(chain):
            return Response("SERVFAIL", why="no next plugin found: nothing in the server block answers this name")
        return chain[at].answer(question, partial(self._run, chain, at + 1))

    def _relay(self, block: ServerBlock, spec: Forward, question: Question) -> Response:
        """Ask the first upstream: a DNS server of the cluster, or the outside."""
        upstream = spec.upstreams[0]
        server = self._servers.get(upstream.address)
        if server is not None:
            return server.ask(question.ask())
        own_zone = spec.zone != "." or all(address.zone != "." for address in block.addresses)
        return self.outside.answer(question, stub=own_zone and not upstream.file)


# ------------------------------------------------------------------------------------------------ servers of a cluster


def cluster_corefile(cluster: Cluster) -> Corefile:
    """Return the configuration of the cluster's DNS, kubeadm's where the cluster states none."""
    text = cluster.corefile or default_corefile(cluster.cluster_domain)
    return parse_corefile(text, files=cluster.corefile_imports)


def cluster_dns_address(cluster: Cluster) -> str:
    """Return the address pods find in resolv.conf: the DNS Service's, by default the tenth of the Service range."""
    service = cluster.services_by_key.get(cluster.dns_service)
    if service is not None and service.cluster_ips and not service.headless:
        return service.cluster_ips[0]
    return str(ip_network(cluster.service_cidrs[0])[10]) if cluster.service_cidrs else "10.96.0.10"


def serving_port(cluster: Cluster, corefile: Corefile) -> int:
    """Return the port of the server blocks that get the pods' queries: 53, or what the DNS Service's target port is."""
    ports = {address.port for server in corefile.servers for address in server.addresses if address.transport == "dns"}
    if 53 in ports or not ports:
        return 53
    service = cluster.services_by_key.get(cluster.dns_service)
    targets = [port.target_port for port in service.ports if port.port == 53] if service else []
    return next((port for port in targets if isinstance(port, int) and port in ports), min(ports))


def cluster_dns(cluster: Cluster, outside: Outside | None = None) -> DnsServer:
    """Return the cluster's DNS server."""
    return DnsServer(cluster, outside=outside)


def node_local_corefile(cluster: Cluster) -> Corefile | None:
    """Return the node-local cache's configuration, placeholders filled in; ``None`` where there is no such cache.

    The installer and the node-cache binary fill them: addresses, the cluster domain, and the upstreams.
    """
    if not cluster.node_local_corefile:
        return None
    address = cluster_dns_address(cluster)
    text = cluster.node_local_corefile
    for placeholder, value in (
        ("__PILLAR__DNS__DOMAIN__", cluster.cluster_domain),
        ("__PILLAR__LOCAL__DNS__", LINK_LOCAL_CACHE),
        ("__PILLAR__DNS__SERVER__", address),
        ("__PILLAR__CLUSTER__DNS__", address),
        ("__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf"),
    ):
        text = text.replace(placeholder, value)
    return parse_corefile(text, file="node-local Corefile")


def node_local_dns(cluster: Cluster, central: DnsServer) -> DnsServer | None:
    """Return the node-local cache in front of the cluster's DNS server, if the cluster has one.

    Its ``forward`` to any Service address in the cluster, or to an address in the Service range, leads to the cluster's
    DNS: the cache reaches it through a Service of its own (``kube-dns-upstream``).
    """
    corefile = node_local_corefile(cluster)
    if corefile is None:
        return None
    ranges = [ip_network(cidr) for cidr in cluster.service_cidrs]
    known = {address for service in cluster.services for address in service.cluster_ips}
    targets = {
        upstream.address
        for server in corefile.servers
        for forward in server.all(Forward)
        for upstream in forward.upstreams
        if not upstream.file and (upstream.address in known or _inside(upstream.address, ranges))
    }
    return DnsServer(cluster, corefile, central.outside, dict.fromkeys(sorted(targets), central))


def _inside(address: str, ranges: list[IPv4Network | IPv6Network]) -> bool:
    return any(ip_address(address) in network for network in ranges)
