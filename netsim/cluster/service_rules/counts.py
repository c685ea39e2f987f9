"""The shared shape of what a mode programs: counters, the node they are counted for, and the protocol of a mode."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, Protocol

from netsim.cluster.objects import Family
from netsim.cluster.service_rules.categorize import Choice
from netsim.cluster.service_rules.config import ProxyMode
from netsim.cluster.service_rules.ports import ServedPort
from netsim.cluster.service_rules.walks import Walk, WalkModel, Where

Counts = Counter[tuple[str, str]]
"""How many, by (group, name): ("nat", "KUBE-SVC"), ("ipset", "KUBE-CLUSTER-IP"), ("map", "cilium_lb4_services_v2")."""


class Site(NamedTuple):
    """What of a node, apart from the endpoints on it, its rules of one family depend on.

    ``addresses`` are the node's own of this family without loopback, primary first; ``node_port_addresses`` those at
    which node ports answer, ``None`` when that is every local address.
    """

    name: str
    zone: str
    family: Family
    addresses: tuple[str, ...]
    node_port_addresses: tuple[str, ...] | None

    @property
    def primary(self) -> str:
        """The address kube-proxy calls the node IP; empty when unknown."""
        return self.addresses[0] if self.addresses else ""


class Shared(NamedTuple):
    """Keys of sets and maps that several Service ports share, so that they cannot be added up port by port.

    ``cluster_ips`` distinct cluster IPs; ``service_addresses`` those, external and load-balancer IPs; ``backends``
    distinct endpoints usable from the node; ``loopback`` distinct endpoints on the node itself; ``service_cidr`` True
    where the API server's service range is known.
    """

    cluster_ips: int
    service_addresses: frozenset[str]
    backends: int
    loopback: int
    service_cidr: bool


class SyncWork(NamedTuple):
    """How much the proxy writes in one sync.

    ``full`` after a restart or when a full resync is due, ``partial`` for a change of some Services; both in ``unit``.
    ``each_full`` and ``each_partial`` count what is compared with its like while it is written: verdict maps of
    nftables, chains of iptables, addresses of ipvs.
    """

    full: int
    partial: int
    unit: str
    each_full: int = 0
    each_partial: int = 0


class Ruleset(Protocol):
    """One proxy mode: what it programs for a Service port, what for a node, and what a packet then meets."""

    @property
    def mode(self) -> ProxyMode:
        """Name of the mode."""
        ...

    def port_counts(self, port: ServedPort, choice: Choice, site: Site) -> Counts:
        """Return what one Service port adds at a node."""
        ...

    def node_counts(self, site: Site, shared: Shared, ports: Counts) -> Counts:
        """Return what the node has besides; ``ports`` is the sum over all Service ports."""
        ...

    def describe(self, counts: Counts) -> dict[str, object]:
        """Return the node's entry of the **rules** document."""
        ...

    def cluster_ip(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """Return what the first packet from a pod to the port's cluster IP meets."""
        ...

    def node_port(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """Return what the first packet from outside to the port's node port meets."""
        ...

    def other(self, counts: Counts, where: Where) -> Walk:
        """Return what a first packet that goes to no Service meets."""
        ...

    def established(self, counts: Counts, where: Where) -> Walk:
        """Return what a packet of a known connection meets."""
        ...

    def sync(self, counts: Counts, changed: Counts) -> SyncWork:
        """Return what a sync writes; ``changed`` counts what belongs to the changed Service ports."""
        ...


def by_name(counts: Counts, group: str) -> dict[str, int]:
    """Return one group's counters by name, empty ones left out."""
    return {name: number for (owner, name), number in counts.items() if owner == group and number}


def total(counts: Counts, group: str) -> int:
    """Return the sum of one group's counters."""
    return sum(number for (owner, _), number in counts.items() if owner == group)
