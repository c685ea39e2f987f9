"""eBPF service handling in the manner of Cilium's kube-proxy replacement: hash maps, no rules.

Map layout: cilium 1.14 to 1.18, ``pkg/maps/lbmap``, ``bpf/lib/lb.h`` and the dumps of ``pkg/loadbalancer/tests``. A
frontend has one master entry and one slot a backend in the service map and one reverse-NAT entry (a cluster IP with 4
endpoints: 6 entries); a backend that serves while it terminates keeps its slot beside active ones. Endpoints are
stored once, however many Services use them. Where exactly one of the two traffic policies is Local, external frontends
exist twice: one scope for traffic from outside, one for traffic of the node's own pods and processes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from netsim.cluster.service_rules.categorize import Choice
from netsim.cluster.service_rules.config import ProxyConfig, ProxyMode
from netsim.cluster.service_rules.counts import Counts, Shared, Site, SyncWork, by_name, total
from netsim.cluster.service_rules.ports import ServedPort
from netsim.cluster.service_rules.walks import Walk, WalkModel, Where

CONNECT_LOOKUPS = 4
"""At connect(): master entry, slot, backend, and the socket's reverse entry that is written."""
PACKET_LOOKUPS = 5
"""At the network device: connection tracking, master entry, slot, backend, reverse NAT or SNAT entry."""


@dataclass(frozen=True, slots=True)
class Ebpf:
    """Counts and walks of the eBPF datapath."""

    config: ProxyConfig

    @property
    def mode(self) -> ProxyMode:
        """Name of the mode."""
        return "ebpf"

    def port_counts(self, port: ServedPort, choice: Choice, site: Site) -> Counts:
        """Count the map entries of one Service port at a node."""
        counts: Counts = Counter()
        version = 4 if port.family == "IPv4" else 6
        services, reverse = f"cilium_lb{version}_services_v2", f"cilium_lb{version}_reverse_nat"
        inside, outside = (_slots(port, choice, local, site) for local in (port.internal_local, port.external_local))
        scopes = (inside, outside) if port.external_local != port.internal_local else (outside,)
        frontends = [inside]
        for slots in scopes:
            frontends += [slots] * self._external_frontends(port, site)
        counts["map", services] = sum(1 + slots for slots in frontends)
        counts["map", reverse] = len(frontends)
        if port.load_balancer_ips:
            ranges = len(port.load_balancer_ips) * len(port.source_ranges)
            counts["map", f"cilium_lb{version}_source_range"] = ranges
        if port.affinity:
            counts["map", "cilium_lb_affinity_match"] = sum(frontends)
        return counts

    @staticmethod
    def _external_frontends(port: ServedPort, site: Site) -> int:
        """External and load-balancer IPs; a node port has one frontend an address and a wildcard one."""
        nodes = len(site.addresses if site.node_port_addresses is None else site.node_port_addresses)
        return len(port.external_ips) + len(port.load_balancer_ips) + (nodes + 1 if port.node_port else 0)

    def node_counts(self, site: Site, shared: Shared, ports: Counts) -> Counts:
        """Count the backends, which Services share."""
        version = 4 if site.family == "IPv4" else 6
        return Counter({("map", f"cilium_lb{version}_backends_v3"): shared.backends})

    def describe(self, counts: Counts) -> dict[str, object]:
        """Return entries by map."""
        return {"map_entries": by_name(counts, "map")}

    def sync(self, counts: Counts, changed: Counts) -> SyncWork:
        """Count map updates: a change touches the entries of its Services only."""
        return SyncWork(total(counts, "map"), total(changed, "map"), "map updates")

    # ------------------------------------------------------------------------------------------------ walks

    def cluster_ip(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """Translated once, at connect(), in the caller's socket; packets meet nothing."""
        return WalkModel(lookups=CONNECT_LOOKUPS + port.affinity if choice.internal(port) else 1)

    def node_port(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """From outside: at the network device, each packet through the connection map."""
        return WalkModel(lookups=PACKET_LOOKUPS + port.affinity if choice.external(port) else 2)

    def other(self, counts: Counts, where: Where) -> Walk:
        """No Service: one look-up for a node port on the way in, none else (the socket has looked already)."""
        return Walk(lookups=1 if where == "in" else 0)

    def established(self, counts: Counts, where: Where) -> Walk:
        """One look-up of the connection on the way in."""
        return Walk(lookups=1 if where == "in" else 0)


def _slots(port: ServedPort, choice: Choice, local: bool, site: Site) -> int:
    """Return the backends of a frontend: those in use, and those that serve while they terminate."""
    chosen = choice.local if local else choice.cluster
    draining = sum(end.draining and (end.on(site.name) or not local) for end in port.backends)
    return len(chosen) + (draining if any(end.ready for end in chosen) else 0)
