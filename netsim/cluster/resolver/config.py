"""A pod's resolv.conf as the kubelet writes it, and what resolvers read out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netsim.cluster.cluster import Cluster
from netsim.cluster.dns.server import cluster_dns_address
from netsim.cluster.objects import DnsConfig, Pod

MAX_NAMESERVERS, MAX_SEARCH_PATHS, MAX_SEARCH_CHARS, MAX_SEARCH_PATH = 3, 32, 2048, 253
"""What the kubelet writes at most (Kubernetes 1.28, expanded DNS configuration); the tail is cut off."""
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(frozen=True, slots=True)
class HostResolv:
    """The node's own resolv.conf. The default server is an address of the documentation range (RFC 5737)."""

    nameservers: tuple[str, ...] = ("192.0.2.53",)
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """A resolv.conf and the hosts file beside it.

    ``options`` holds the option words as written; the properties give their meaning with the defaults and bounds that
    the C library applies (resolv.conf(5)). ``hosts`` maps lower-case names without final dot to addresses.
    """

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def _number(self, name: str, default: int, least: int, most: int) -> int:
        found = default
        for option in self.options:
            key, colon, value = option.partition(":")
            if key == name and colon:
                found = int(value) if value.isdecimal() else 0
        return min(max(found, least), most)

    def _flag(self, *names: str) -> bool:
        return any(option in names for option in self.options)

    @property
    def ndots(self) -> int:
        """Dots from which on a name is tried as given first; 1 by default, 15 at most."""
        return self._number("ndots", 1, 0, 15)

    def timeout_s(self, most: int = 30) -> int:
        """Return the seconds to wait for an answer, 5 by default; ``most`` is the resolver's bound (glibc's 30)."""
        return self._number("timeout", 5, 1, most)

    def attempts(self, most: int = 5) -> int:
        """Return the rounds over the servers, 2 by default; ``most`` is the resolver's bound (glibc's 5)."""
        return self._number("attempts", 2, 1, most)

    @property
    def rotate(self) -> bool:
        """Whether lookups start at different servers."""
        return self._flag("rotate")

    @property
    def single_request(self) -> bool:
        """Whether A and AAAA are asked one after the other."""
        return self._flag("single-request", "single-request-reopen")

    @property
    def single_request_reopen(self) -> bool:
        """Whether they use a socket each."""
        return self._flag("single-request-reopen")

    @property
    def tcp(self) -> bool:
        """Whether queries go over TCP from the start."""
        return self._flag("use-vc", "usevc", "tcp")

    @property
    def edns0(self) -> bool:
        """Whether glibc announces a larger datagram size."""
        return self._flag("edns0")

    @property
    def no_aaaa(self) -> bool:
        """Whether glibc (2.36 and later) leaves AAAA questions out."""
        return self._flag("no-aaaa")


# ------------------------------------------------------------------------------------------------ kubelet


def resolv_conf(pod: Pod, cluster: Cluster, host: HostResolv | None = None) -> ResolverConfig:
    """Return the resolv.conf of a pod (kubernetes pkg/kubelet/network/dns: GetPodDNS).

    Parameters
    ----------
    pod: decides by ``dnsPolicy``, ``hostNetwork`` and ``dnsConfig``.
    cluster: its DNS address (the node-local cache listens on the same one) and domain.
    host: the node's resolv.conf; by default it has the cluster's ``host_search``.
    """
    host = host or HostResolv(search=cluster.host_search)
    template = pod.template
    base = _base(template.dns_policy, template.host_network, template.namespace, cluster, host)
    if template.dns_config is not None:
        base = _merged(base, template.dns_config)
    return ResolverConfig(
        base.nameservers[:MAX_NAMESERVERS], _within_limits(base.search), base.options, pod_hosts(pod, cluster)
    )


def _base(policy: str, host_network: bool, namespace: str, cluster: Cluster, host: HostResolv) -> ResolverConfig:
    if policy == "None":
        return ResolverConfig()
    if policy == "Default" or (policy == "ClusterFirst" and host_network):
        return ResolverConfig(host.nameservers, host.search, host.options)
    domain = cluster.cluster_domain
    own = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain) if domain else ()
    return ResolverConfig((cluster_dns_address(cluster),), _unique(own, host.search), CLUSTER_OPTIONS)


def _merged(base: ResolverConfig, wanted: DnsConfig) -> ResolverConfig:
    options = dict(_split(option) for option in base.options)
    options.update({name: value or "" for name, value in wanted.options})
    return ResolverConfig(
        _unique(base.nameservers, wanted.nameservers),
        _unique(base.search, wanted.searches),
        tuple(f"{name}:{value}" if value else name for name, value in options.items()),
    )


def _split(option: str) -> tuple[str, str]:
    name, _, value = option.partition(":")
    return name, value


def _unique(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for part in parts for item in part))


def _within_limits(search: tuple[str, ...]) -> tuple[str, ...]:
    kept = [path for path in search[:MAX_SEARCH_PATHS] if len(path) <= MAX_SEARCH_PATH]
    while kept and len(" ".join(kept)) > MAX_SEARCH_CHARS:
        kept.pop()
    return tuple(kept)


def pod_hosts(pod: Pod, cluster: Cluster) -> Mapping[str, tuple[str, ...]]:
    """Return what the hosts file of a pod holds: localhost, its own name where it has its own network, hostAliases."""
    entries: dict[str, tuple[str, ...]] = {"localhost": ("127.0.0.1", "::1"), **_own_names(pod, cluster)}
    for address, names in pod.template.host_aliases:
        for name in names:
            entries[name] = _unique(entries.get(name, ()), (address,))
    return entries


def _own_names(pod: Pod, cluster: Cluster) -> Mapping[str, tuple[str, ...]]:
    entries: dict[str, tuple[str, ...]] = {}
    template = pod.template
    if template.host_network or not pod.addresses:
        return entries
    hostname = (pod.hostname or template.hostname or pod.name)[:63].rstrip("-.").lower()
    entries[hostname] = pod.addresses
    if template.subdomain:
        domain = f"{template.subdomain}.{template.namespace}.svc.{cluster.cluster_domain}"
        entries[f"{hostname}.{domain}".lower()] = pod.addresses
    return entries
