"""What each node of a cluster has programmed for Services: a common sum, corrected for what the node has of its own.

Nodes differ only in the endpoints they host, their zone and their addresses. So the sum over all Service ports is
made once for each kind of node (`Site` without name and addresses), and for one node only the ports that see it
differently are counted again. 10,000 Services on 5,000 nodes cost one pass over the Services.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Family, Node
from netsim.cluster.service_rules.categorize import Choice, categorize
from netsim.cluster.service_rules.config import ProxyConfig, ProxyMode, inside, of_family
from netsim.cluster.service_rules.counts import Counts, Ruleset, Shared, Site, SyncWork
from netsim.cluster.service_rules.ebpf import Ebpf
from netsim.cluster.service_rules.iptables import Iptables
from netsim.cluster.service_rules.ipvs import Ipvs
from netsim.cluster.service_rules.nftables import Nftables
from netsim.cluster.service_rules.ports import ServedPort, cluster_families, served_ports
from netsim.errors import InputError

RULESETS: Mapping[ProxyMode, type[Iptables] | type[Ipvs] | type[Nftables] | type[Ebpf]] = {
    "iptables": Iptables,
    "ipvs": Ipvs,
    "nftables": Nftables,
    "ebpf": Ebpf,
}
Target = tuple[str, int, str]
"""Address, port and protocol of an endpoint."""
LOOPBACK: Mapping[Family, str] = {"IPv4": "127.0.0.1", "IPv6": "::1"}


def ruleset(mode: str, config: ProxyConfig) -> Ruleset:
    """Return the rules of a proxy mode.

    Raises
    ------
    InputError: the mode is unknown.
    """
    for name, kind in RULESETS.items():
        if name == mode:
            return kind(config)
    raise InputError("unknown proxy mode", got=mode, allowed=", ".join(RULESETS))


@dataclass(frozen=True, eq=False)
class ServiceTable:
    """The Service ports of one cluster in one family, as one proxy mode programs them on each node."""

    cluster: Cluster
    family: Family
    rules: Ruleset
    config: ProxyConfig

    @cached_property
    def ports(self) -> tuple[ServedPort, ...]:
        """Every Service port with rules."""
        return served_ports(self.cluster, self.family)

    @cached_property
    def by_address(self) -> Mapping[tuple[str, str, int], ServedPort]:
        """Service ports by (protocol, address, port) of their cluster, external and load-balancer IPs."""
        found: dict[tuple[str, str, int], ServedPort] = {}
        for port in self.ports:
            for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
                if address:
                    found.setdefault((port.protocol, address, port.port), port)
        return found

    @cached_property
    def by_node_port(self) -> Mapping[tuple[str, int], ServedPort]:
        """Service ports by (protocol, node port)."""
        return {(port.protocol, port.node_port): port for port in self.ports if port.node_port}

    @cached_property
    def by_service(self) -> Mapping[str, tuple[ServedPort, ...]]:
        """Service ports by ``namespace/name``."""
        found: dict[str, list[ServedPort]] = defaultdict(list)
        for port in self.ports:
            found[port.service].append(port)
        return {service: tuple(ports) for service, ports in found.items()}

    @cached_property
    def health_check_ports(self) -> frozenset[int]:
        """Ports at which kube-proxy tells load balancers whether a node has endpoints."""
        return frozenset(port.health_check_port for port in self.ports if port.health_check_port)

    @cached_property
    def cluster_ips(self) -> frozenset[str]:
        """Allocated cluster IPs."""
        return frozenset(port.cluster_ip for port in self.ports if port.cluster_ip)

    @cached_property
    def service_addresses(self) -> frozenset[str]:
        """Cluster, external and load-balancer IPs; a cluster IP not yet allocated stands under its Service's name."""
        return frozenset(
            address or port.service
            for port in self.ports
            for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips)
        )

    @cached_property
    def local_cidrs(self) -> tuple[str, ...]:
        """Ranges whose sources count as pods."""
        stated = self.config.local_cidrs
        return of_family(self.cluster.cluster_cidrs if stated is None else stated, self.family)

    @cached_property
    def service_cidrs(self) -> tuple[str, ...]:
        """Service ranges of this family."""
        stated = self.config.service_cidrs
        return of_family(self.cluster.service_cidrs if stated is None else stated, self.family)

    # ------------------------------------------------------------------------------------------------ nodes

    def site(self, node: Node) -> Site:
        """Return what of a node its rules depend on."""
        addresses = of_family(node.addresses, self.family)
        ranges = self.config.node_port_addresses
        chosen: tuple[str, ...] | None
        if ranges is None or any(cidr in ("0.0.0.0/0", "::/0") for cidr in of_family(ranges, self.family)):
            primary_only = self.rules.mode == "nftables" and ranges is None
            chosen = addresses[:1] if primary_only else None
        else:
            candidates = (*addresses, LOOPBACK[self.family])
            chosen = tuple(address for address in candidates if inside(address, of_family(ranges, self.family)))
            if self.family == "IPv6" or not self.config.localhost_node_ports:
                chosen = tuple(address for address in chosen if address != LOOPBACK[self.family])
        return Site(node.name, node.zone, self.family, addresses, chosen)

    def choice(self, port: ServedPort, site: Site) -> Choice:
        """Return the endpoints a node uses for a port."""
        return categorize(port, site.name, site.zone)

    def counts(self, node: Node) -> Counts:
        """Return everything programmed on a node, by group and name."""
        site = self.site(node)
        remote = self._anonymous(site)
        counts = Counter(self._common(remote))
        for port in self._own_ports(site):
            counts.update(self.rules.port_counts(port, self.choice(port, site), site))
            counts.subtract(self.rules.port_counts(port, self.choice(port, remote), remote))
        counts.update(self.rules.node_counts(site, self.shared(site), counts))
        return counts

    def sync(self, node: Node, services: Iterable[str]) -> SyncWork:
        """Return how much a node writes when the Services named (``namespace/name``) change."""
        site = self.site(node)
        changed: Counts = Counter()
        for service in services:
            for port in self.by_service.get(service, ()):
                changed.update(self.rules.port_counts(port, self.choice(port, site), site))
        return self.rules.sync(self.counts(node), changed)

    def _anonymous(self, site: Site) -> Site:
        """Return the kind of the node: the same rules, no endpoint of its own, an address in no source range."""
        nobody = ("",) * len(site.addresses)
        return site._replace(name="", zone=site.zone if self._zoned else "", addresses=nobody)

    @cached_property
    def _zoned(self) -> bool:
        return any(end.zone_hints for port in self.ports for end in port.backends)

    @cached_property
    def _commons(self) -> dict[Site, Counts]:
        return {}

    def _common(self, remote: Site) -> Counts:
        kind = remote
        if remote.node_port_addresses is not None:
            kind = remote._replace(node_port_addresses=("",) * len(remote.node_port_addresses))
        known = self._commons.get(kind)
        if known is None:
            known = Counter()
            for port in self.ports:
                known.update(self.rules.port_counts(port, self.choice(port, remote), remote))
            self._commons[kind] = known
        return known

    @cached_property
    def _by_own_node(self) -> Mapping[str, tuple[ServedPort, ...]]:
        """Ports that a node's own endpoints, or hints for it, make different there."""
        found: dict[str, dict[int, ServedPort]] = defaultdict(dict)
        for index, port in enumerate(self.ports):
            for end in port.backends:
                for node in (*((end.node,) if port.uses_local else ()), *end.node_hints):
                    found[node][index] = port
        return {node: tuple(ports.values()) for node, ports in found.items()}

    @cached_property
    def _guarded(self) -> tuple[tuple[tuple[str, ...], tuple[ServedPort, ...]], ...]:
        """Ports with source ranges, by their ranges: a node inside one gets an extra rule."""
        found: dict[tuple[str, ...], list[ServedPort]] = defaultdict(list)
        for port in self.ports:
            if port.filtered:
                found[port.source_ranges].append(port)
        return tuple((ranges, tuple(ports)) for ranges, ports in found.items())

    def _own_ports(self, site: Site) -> tuple[ServedPort, ...]:
        own = dict.fromkeys(self._by_own_node.get(site.name, ()))
        for ranges, ports in self._guarded:
            if inside(site.primary, ranges):
                own.update(dict.fromkeys(ports))
        return tuple(own)

    @cached_property
    def _loopback(self) -> Mapping[str, int]:
        """Distinct endpoints by node, ready or not."""
        found: dict[str, set[tuple[str, int, str]]] = defaultdict(set)
        for port in self.ports:
            for end in port.backends:
                found[end.node].add((end.address, end.port, port.protocol))
        return {node: len(ends) for node, ends in found.items()}

    @cached_property
    def _backends(self) -> tuple[frozenset[Target], Mapping[str, frozenset[Target]]]:
        """Distinct usable endpoints: of ports that any node uses, and by node those of ports confined to it."""
        everywhere: set[Target] = set()
        confined: dict[str, set[Target]] = defaultdict(set)
        for port in self.ports:
            for end in port.backends:
                if end.ready or end.draining:
                    (confined[end.node] if port.confined else everywhere).add((end.address, end.port, port.protocol))
        return frozenset(everywhere), {node: frozenset(ends) for node, ends in confined.items()}

    def _backend_number(self, site: Site) -> int:
        everywhere, confined = self._backends
        return len(everywhere) + len(confined.get(site.name, frozenset()) - everywhere)

    @cached_property
    def _cluster_ip_number(self) -> int:
        return len({port.cluster_ip or port.service for port in self.ports})

    def shared(self, site: Site) -> Shared:
        """Return the sizes of what Service ports share."""
        return Shared(
            cluster_ips=self._cluster_ip_number,
            service_addresses=self.service_addresses,
            backends=self._backend_number(site),
            loopback=self._loopback.get(site.name, 0) if site.name else 0,
            service_cidr=bool(self.service_cidrs),
        )


def service_tables(
    cluster: Cluster, proxy: str = "iptables", config: ProxyConfig | None = None
) -> tuple[ServiceTable, ...]:
    """Return the service table of each family in use, primary first.

    Parameters
    ----------
    cluster: what exists.
    proxy: ``iptables``, ``ipvs``, ``nftables`` or ``ebpf``.
    config: settings of the proxy; left out: those the input states, else the defaults of a kubeadm cluster.

    Raises
    ------
    InputError: the mode is unknown.
    """
    settings = config or ProxyConfig.of(cluster)
    rules = ruleset(proxy, settings)
    return tuple(ServiceTable(cluster, family, rules, settings) for family in cluster_families(cluster))
