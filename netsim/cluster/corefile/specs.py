"""What a Corefile says, as frozen data: server blocks and the plugins that change an answer, a figure or a verdict."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from netsim.cluster.corefile.gotemplate import Template
from netsim.cluster.corefile.values import Upstream, ZoneAddress
from netsim.cluster.names import is_subdomain
from netsim.cluster.objects import Selector
from netsim.errors import Place

Zones = tuple[str, ...]


def falls_through(zones: Zones, name: str) -> bool:
    """Whether a plugin's ``fallthrough`` zones (none: no fallthrough) cover the name."""
    return any(is_subdomain(name, zone) for zone in zones)


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The ``kubernetes`` plugin. Defaults are CoreDNS's (pods disabled, ttl 5 s), not those of a kubeadm Corefile.

    ``namespaces`` empty means all; ``fall`` holds the zones that fall through when a name does not exist;
    ``multicluster`` the zones answered from the cluster set; ``zonal`` enables ``zone.pin._zone`` names.
    """

    zones: Zones
    pods: Literal["disabled", "insecure", "verified"] = "disabled"
    ttl_s: int = 5
    endpoint_pod_names: bool = False
    namespaces: tuple[str, ...] = ()
    labels: Selector | None = None
    namespace_labels: Selector | None = None
    fall: Zones = ()
    endpoints: bool = True
    ignore_empty_service: bool = False
    multicluster: Zones = ()
    zonal: bool = False
    ptr_hostname_only: bool = False


@dataclass(frozen=True, slots=True)
class External:
    """The ``k8s_external`` plugin: Services with external addresses under a public zone."""

    zones: Zones
    apex: str = "dns"
    ttl_s: int = 5
    headless: bool = False
    fall: Zones = ()


@dataclass(frozen=True, slots=True)
class CacheClass:
    """Limits of the positive or the negative half of a cache: entries, and seconds an entry may live."""

    capacity: int = 9984
    max_ttl_s: int = 3600
    min_ttl_s: int = 5


@dataclass(frozen=True, slots=True)
class Cache:
    """The ``cache`` plugin. Record TTLs are clamped to the class's range; ``servfail_s`` is how long failures stay."""

    zones: Zones
    success: CacheClass = CacheClass()
    denial: CacheClass = CacheClass(max_ttl_s=1800)
    servfail_s: float = 5.0
    prefetch: int = 0
    prefetch_window_s: float = 60.0
    prefetch_percent: int = 10
    serve_stale_s: float = 0.0
    verify_stale: bool = False
    keep_ttl: bool = False
    no_success: Zones = ()
    no_denial: Zones = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """The ``forward`` plugin (and ``grpc``): names under ``zone`` go to one of ``upstreams``.

    ``max_concurrent`` 0 means unlimited; beyond it queries are REFUSED. ``next_on`` are result codes that go on to
    the next plugin, ``failover_on`` those that try the next upstream.
    """

    zone: str
    upstreams: tuple[Upstream, ...]
    excepted: Zones = ()
    force_tcp: bool = False
    prefer_udp: bool = False
    max_concurrent: int = 0
    policy: Literal["random", "round_robin", "sequential"] = "random"
    max_fails: int = 2
    expire_s: float = 10.0
    health_check_s: float = 0.5
    next_on: tuple[str, ...] = ()
    failover_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Autopath:
    """The ``autopath`` plugin: the server walks the client's search list. ``source`` is ``@plugin`` or a file."""

    zones: Zones
    source: str


@dataclass(frozen=True, slots=True)
class Loadbalance:
    """The ``loadbalance`` plugin: the order of address records changes from answer to answer."""

    policy: Literal["round_robin", "weighted"] = "round_robin"


@dataclass(frozen=True, slots=True)
class Hosts:
    """The ``hosts`` plugin with its inline entries (address, names); the hosts file itself lives in the DNS pod."""

    zones: Zones
    entries: tuple[tuple[str, tuple[str, ...]], ...] = ()
    file: str = "/etc/hosts"
    ttl_s: int = 3600
    reverse: bool = True
    fall: Zones = ()


@dataclass(frozen=True, slots=True)
class Dns64:
    """The ``dns64`` plugin: AAAA answers made from A records, for clients that speak IPv6 (or all)."""

    prefix: str = "64:ff9b::/96"
    translate_all: bool = False
    allow_ipv4: bool = False


@dataclass(frozen=True, slots=True)
class Whoami:
    """The ``whoami`` plugin: every query ends in an empty answer."""


@dataclass(frozen=True, slots=True)
class TemplateRule:
    """One ``template`` directive; class and type are names, ``ANY`` matches all."""

    query_class: str
    query_type: str
    zones: Zones
    patterns: tuple[re.Pattern[str], ...]
    answers: tuple[Template, ...] = ()
    additional: tuple[Template, ...] = ()
    authority: tuple[Template, ...] = ()
    rcode: str = "NOERROR"
    fall: Zones = ()


@dataclass(frozen=True, slots=True)
class Templates:
    """All ``template`` directives of a server block; CoreDNS runs them as one plugin."""

    rules: tuple[TemplateRule, ...]


# ------------------------------------------------------------------------------------------------ rewrite

Match = Literal["exact", "prefix", "suffix", "substring", "regex"]


@dataclass(frozen=True, slots=True)
class NameMatch:
    """A test of the query name; ``pattern`` is set for ``regex``."""

    kind: Match
    text: str
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Reword:
    """A change of names in the response: ``field`` is the record's name or its value (CNAME target and the like)."""

    field: Literal["name", "value"]
    pattern: re.Pattern[str]
    replacement: str


@dataclass(frozen=True, slots=True)
class RenameRule:
    """``rewrite name``: ``auto`` undoes the change in the response (exact rules always do)."""

    match: NameMatch
    replacement: str
    auto: bool
    answers: tuple[Reword, ...] = ()
    proceed: bool = False


@dataclass(frozen=True, slots=True)
class TypeRule:
    """``rewrite type FROM TO``."""

    source: str
    target: str
    proceed: bool = False


@dataclass(frozen=True, slots=True)
class TtlRule:
    """``rewrite ttl``: TTLs of the response are clamped to the range, in seconds."""

    match: NameMatch
    low_s: int
    high_s: int
    proceed: bool = False


@dataclass(frozen=True, slots=True)
class RcodeRule:
    """``rewrite rcode``: one result code becomes another."""

    match: NameMatch
    source: str
    target: str
    proceed: bool = False


@dataclass(frozen=True, slots=True)
class CnameRule:
    """``rewrite cname``: an answer whose CNAME target matches is looked up again under another target."""

    match: NameMatch
    target: str
    proceed: bool = False


@dataclass(frozen=True, slots=True)
class InertRule:
    """A rule that changes nothing here (``edns0``, ``class``) but ends the list when it applies."""

    kind: str
    proceed: bool = False


RewriteRule = RenameRule | TypeRule | TtlRule | RcodeRule | CnameRule | InertRule


@dataclass(frozen=True, slots=True)
class Rewrite:
    """All ``rewrite`` directives of a server block, in order."""

    rules: tuple[RewriteRule, ...]


Plugin = Dns64 | Loadbalance | Cache | Rewrite | Autopath | Templates | Hosts | External | Kubernetes | Forward | Whoami
_P = TypeVar("_P", bound=Plugin)


# ------------------------------------------------------------------------------------------------ the whole


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """One server block: what it serves, where it listens (``bind``; empty: everywhere) and its plugins in chain order.

    The order of ``plugins`` is CoreDNS's build order (plugin.cfg); the order in the file means nothing.
    ``without_effect`` names the plugins that are accepted and change no figure; ``answering`` those among them that
    would answer queries from data netsim does not have (zone files, etcd, clouds).
    """

    addresses: tuple[ZoneAddress, ...]
    plugins: tuple[Plugin, ...] = ()
    bind: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    answering: tuple[str, ...] = ()
    place: Place = field(default_factory=Place)

    def all(self, kind: type[_P]) -> tuple[_P, ...]:
        """Return every plugin of a kind, in chain order."""
        return tuple(plugin for plugin in self.plugins if isinstance(plugin, kind))

    def first(self, kind: type[_P]) -> _P | None:
        """Return the first plugin of a kind, if any."""
        found = self.all(kind)
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Corefile:
    """A CoreDNS configuration. ``warnings`` are what CoreDNS would log without refusing the file."""

    servers: tuple[ServerBlock, ...]
    warnings: tuple[str, ...] = ()
    text: str = field(default="", repr=False)

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Plugins that are accepted but change no figure, each once."""
        return tuple(dict.fromkeys(name for server in self.servers for name in server.without_effect))

    def server(self, zone: str, port: int = 53) -> ServerBlock | None:
        """Return the block with exactly this zone, if any."""
        zone = zone.lower()
        for server in self.servers:
            if any(a.zone.lower() == zone and a.port == port for a in server.addresses):
                return server
        return None
