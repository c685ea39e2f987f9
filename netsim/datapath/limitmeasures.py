"""What is compared with a limit, and the limits that follow from facts: one mechanism, one function, found by name.

Tables that fill over minutes or hours are judged by Little's law (entries = rate x lifetime) where a simulation of
seconds cannot reach them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from netsim.cluster.cni.hostlocal import Network
from netsim.cluster.externaldns.providers import PROVIDERS, list_calls
from netsim.cluster.externaldns.records import records_per_name
from netsim.cluster.limitbook import KnownLimit
from netsim.datapath.conntrack import TCP_CLOSED_S, UDP_SHORT_S, usual_limit
from netsim.datapath.costs import load_profile
from netsim.datapath.limitfacts import ClusterFacts, PluginFacts, TrafficFacts
from netsim.datapath.programming import by_tool, full_size, legacy_restore_seconds, sync_seconds

SOCKET_TIME_WAIT_S = 60.0
"""Time a socket stays in TIME_WAIT (kernel include/net/tcp.h TCP_TIMEWAIT_LEN)."""
SLICE_ENDPOINTS = 100
"""kube-controller-manager ``--max-endpoints-per-slice``."""
ENDPOINT_BYTES = 100
"""Size of an endpoint in an Endpoints or EndpointSlice object (KEP-0752: 2 MB for 20,000)."""
CILIUM_CT_TCP = ((96, 3145728), (64, 2097152), (32, 1048576), (16, 524288), (8, 262144), (0, 131072))
"""Entries by cores of a node (imroc TKE guide; sized by memory, 0.25 %)."""
AZURE_SNAT = ((50, 1024), (100, 512), (200, 256), (400, 128), (800, 64), (1000, 32))
"""Ports per node up to a number of nodes (AKS docs: load balancer)."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything a measure may look at."""

    cluster: ClusterFacts
    plugin: PluginFacts
    traffic: TrafficFacts
    proxy: str

    def fact(self, name: str) -> object:
        """Return a fact that conditions in the data file refer to."""
        derived = {
            "proxy": self.proxy,
            "provider": self.cluster.provider,
            "interface_limited": self.plugin.interface_addresses is not None,
        }
        return derived[name] if name in derived else getattr(self.plugin, name)

    def meets(self, known: KnownLimit) -> bool:
        """Tell whether the limit applies here."""
        return all(self.fact(name) in allowed for name, allowed in known.when.items())


def _sum(*parts: float | None) -> float | None:
    """Return the sum of the parts, unknown when one is."""
    total = 0.0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _times(*parts: float | None) -> float | None:
    product = 1.0
    for part in parts:
        if part is None:
            return None
        product *= part
    return product


def _tcp_entries(state: State) -> float | None:
    return _times(state.traffic.connections_per_s, state.traffic.connection_s + TCP_CLOSED_S)


def _udp_entries(state: State) -> float | None:
    return _times(state.traffic.udp_flows_per_s, UDP_SHORT_S)


def _tunnel_entries(state: State) -> float | None:
    """A connection between nodes makes an outer flow each way, never answered: one-way UDP at both nodes."""
    flows = _known(state.traffic.connections_per_s, state.traffic.udp_flows_per_s)
    elsewhere = 1.0 - 1.0 / state.cluster.nodes
    return _times(flows, elsewhere, state.plugin.outer_entries, state.traffic.connection_s + UDP_SHORT_S)


def _conntrack_entries(state: State) -> float | None:
    """TCP entries live from the handshake until TIME_WAIT ends, UDP ones 30 s; unknown parts count as none."""
    return _known(_tcp_entries(state), _udp_entries(state), _tunnel_entries(state))


def _known(*parts: float | None) -> float | None:
    """Return the sum of the parts that are known, unknown when none is."""
    found = [part for part in parts if part is not None]
    return _sum(*found) if found else None


def _client_ports(state: State) -> float | None:
    return _times(state.traffic.busiest_client_per_s, state.traffic.connection_s + state.traffic.port_wait_s)


def _masquerade_ports(state: State) -> float | None:
    """Ports of the busiest node to the busiest destination, outside the cluster or behind a node port."""
    rates = (state.traffic.outside_busiest_per_s, state.traffic.entering_busiest_per_s)
    return max((_outside(rate, state) or 0.0 for rate in rates if rate is not None), default=None)


def _outside(rate: float | None, state: State) -> float | None:
    return _times(rate, state.traffic.connection_s + TCP_CLOSED_S)


def _largest_kind(state: State) -> float | None:
    """Objects of the kind there are most of: pods, Services or EndpointSlices (at least one a Service)."""
    known = [count for count in (state.cluster.pods, state.cluster.services) if count is not None]
    return max(known) if known else None


def _balancer_targets(state: State) -> float | None:
    """Every node is a target of each load balancer that sends to node ports."""
    balancers = state.cluster.load_balancers
    return None if balancers is None else state.cluster.nodes if balancers else 0.0


def _neighbours(state: State) -> float | None:
    """Count the addresses a node resolves: of all that one layer-2 domain brings next to it.

    Routes in the cloud: local pods and the gateway. Pods of one bridged domain: every pod and node. Where every node
    has a range of its own, the way there is a route by the node's address (flannel's host-gw, pkg/backend/hostgw: the
    lease's subnet via the node's public address), so only local pods and other nodes are resolved.
    """
    if state.plugin.routes_in_cloud:
        return _sum(state.cluster.pods_per_node, 1.0)
    if state.plugin.layer2 and not state.plugin.node_ranges:
        return _sum(state.cluster.pods, state.cluster.nodes)
    return _sum(state.cluster.pods_per_node, state.cluster.nodes - 1)


def _iptables_rules(state: State) -> float | None:
    """Counted rules, or about two a port and three an endpoint (the KUBE-SERVICES, KUBE-SVC and KUBE-SEP chains)."""
    if state.cluster.iptables_rules is not None:
        return state.cluster.iptables_rules
    ports, endpoints = _times(state.cluster.service_ports, 2.0), _times(state.cluster.endpoints, 3.0)
    return _sum(ports, endpoints)


def _locked(state: State) -> float | None:
    """Seconds for which iptables-restore (legacy, the back-end with a lock) holds the lock to write everything."""
    rules = _iptables_rules(state)
    return None if rules is None else legacy_restore_seconds(rules, load_profile("server").prices())


def _full_sync(state: State) -> float | None:
    """Seconds in which the proxy of a server writes everything, as for ordinary Services."""
    services, endpoints = state.cluster.service_ports, state.cluster.endpoints
    if services is None or endpoints is None:
        return None
    mode, prices = by_tool(state.proxy, state.cluster.iptables), load_profile("server").prices()
    return sync_seconds(mode, full_size(mode, services, endpoints), prices, full=True, kernel=state.cluster.kernel)


def _lb_entries(state: State) -> float | None:
    """A front-end entry per port, one per endpoint slot, and the back ends themselves (6 for 4 endpoints)."""
    return _sum(_times(state.cluster.service_ports, 2.0), state.cluster.endpoints)


def _policy_entries(state: State) -> float | None:
    """At most every identity times the ports of the rule with most; none without policies."""
    if not state.cluster.policies:
        return 0.0
    return _times(state.cluster.identities, state.cluster.policy_ports)


def _slices(endpoints: float | None) -> float | None:
    """Slices the EndpointSlice controller makes of the endpoints of one family (KEP-0752)."""
    return None if endpoints is None else float(ceil(endpoints / SLICE_ENDPOINTS))


def _watch_bps(state: State) -> float | None:
    """A change sends one slice of the Service to every node."""
    endpoints = state.cluster.endpoints_per_service
    size = None if endpoints is None else min(endpoints, float(SLICE_ENDPOINTS)) * ENDPOINT_BYTES * 8
    return _times(state.traffic.pod_changes_per_s, size, state.cluster.nodes)


def _per_replica(rate_per_node: float | None, state: State) -> float | None:
    replicas = state.cluster.dns_replicas
    return _times(rate_per_node, state.cluster.nodes, None if not replicas else 1.0 / replicas)


def _dns_memory(state: State) -> float | None:
    """Return megabytes (pods + Services)/1000 + 54, with all pods watched /250 + 56 (Scaling_CoreDNS.md), in bytes."""
    objects = _sum(state.cluster.pods, state.cluster.services)
    per_object, base = (4e3, 56e6) if state.cluster.verified_pods else (1e3, 54e6)
    return _sum(_times(objects, per_object), base)


def _dns_message(state: State) -> float | None:
    """Size of the A answer of the largest headless Service: header 12, question about 60, 16 a compressed record."""
    endpoints = state.cluster.headless_endpoints
    return None if endpoints is None else 72.0 + 16.0 * endpoints if endpoints else 0.0


def _published_records(state: State) -> float | None:
    return _times(state.cluster.published_names, float(records_per_name()))


def _externaldns_calls(state: State) -> float | None:
    records = _published_records(state)
    return None if records is None else float(list_calls(PROVIDERS["aws"], records)) if records else 0.0


USES: Mapping[str, Callable[[State], float | None]] = {
    "nodes": lambda state: state.cluster.nodes,
    "pods": lambda state: state.cluster.pods,
    "containers": lambda state: state.cluster.containers,
    "objects_of_a_kind": _largest_kind,
    "pods_per_node": lambda state: state.cluster.pods_per_node,
    "pods_per_namespace": lambda state: state.cluster.pods_per_namespace,
    "pods_and_nodes": lambda state: _sum(state.cluster.pods, state.cluster.nodes),
    "namespaces": lambda state: state.cluster.namespaces,
    "services": lambda state: state.cluster.services,
    "services_per_namespace": lambda state: state.cluster.services_per_namespace,
    "cluster_ips": lambda state: state.cluster.cluster_ips,
    "ports_per_service": lambda state: state.cluster.ports_per_service,
    "source_ranges": lambda state: state.cluster.source_ranges,
    "balancer_targets": _balancer_targets,
    "headless_endpoints": lambda state: state.cluster.headless_endpoints,
    "node_ports": lambda state: state.cluster.node_ports,
    "pod_changes": lambda state: state.traffic.pod_changes_per_s,
    "endpoints_per_service": lambda state: state.cluster.endpoints_per_service,
    "slices_per_service": lambda state: _slices(state.cluster.endpoints_per_service),
    "endpoints_object_bytes": lambda state: _times(state.cluster.endpoints_per_service, ENDPOINT_BYTES),
    "watch_bps": _watch_bps,
    "tcp_entries": _tcp_entries,
    "udp_entries": _udp_entries,
    "conntrack_entries": _conntrack_entries,
    "client_ports": _client_ports,
    "masquerade_ports": _masquerade_ports,
    "outside_entries": lambda state: _outside(state.traffic.outside_per_s, state),
    "snat_ports_busiest": lambda state: _outside(state.traffic.outside_busiest_per_s, state),
    "outside_busiest_cluster": lambda state: _times(
        _outside(state.traffic.outside_busiest_per_s, state), state.cluster.nodes
    ),
    "time_wait_sockets": lambda state: _times(state.traffic.connections_per_s, SOCKET_TIME_WAIT_S),
    "neighbours": _neighbours,
    "fdb_entries": lambda state: state.cluster.nodes - 1,
    "bridge_ports": lambda state: state.cluster.pods_per_node,
    "iptables_rules": _iptables_rules,
    "iptables_locked": _locked,
    "full_sync": _full_sync,
    "ipset_elements": lambda state: state.cluster.policy_peers,
    "policy_entries": _policy_entries,
    "lb_entries": _lb_entries,
    "dns_queries_per_replica": lambda state: _per_replica(state.traffic.dns_queries_per_s, state),
    "dns_upstream_per_replica": lambda state: _per_replica(state.traffic.dns_outside_per_s, state),
    "dns_forwarded": lambda state: _times(
        _per_replica(state.traffic.dns_outside_per_s, state), state.traffic.dns_upstream_s
    ),
    "dns_memory_bytes": _dns_memory,
    "dns_message_bytes": _dns_message,
    "externaldns_calls_aws": _externaldns_calls,
    "externaldns_changes": _published_records,
}
"""What is compared with a limit, by the name used in the data file."""


# ------------------------------------------------------------------------------------------------ limits by formula


def node_mask(state: State, version: int) -> int:
    """Return the length of a node's range: the plugin's for IPv4, as nodes state it, else /24 and /64."""
    default = 24 if version == 4 else 64
    if state.plugin.pod_cidr_mask is not None and version == 4:
        return state.plugin.pod_cidr_mask
    return state.cluster.node_masks.get(version, default)


def _smallest(cidrs: tuple[str, ...], size: Callable[[Network], int]) -> float | None:
    return min((float(size(ipaddress.ip_network(cidr, strict=False))) for cidr in cidrs), default=None)


def _node_cidrs(state: State) -> float | None:
    return _smallest(
        state.cluster.pod_cidrs, lambda network: 1 << max(node_mask(state, network.version) - network.prefixlen, 0)
    )


def _pod_addresses(state: State) -> float | None:
    def size(network: Network) -> int:
        bits = network.max_prefixlen - node_mask(state, network.version)
        return max((1 << bits) - (3 if network.version == 4 else 2), 0)

    return _smallest(state.cluster.pod_cidrs, size)


def _service_addresses(state: State) -> float | None:
    return _smallest(state.cluster.service_cidrs, lambda network: max(network.num_addresses - 2, 0))


def _azure_snat(state: State) -> float:
    return next((ports for most, ports in AZURE_SNAT if state.cluster.nodes <= most), 0)


LIMITS: Mapping[str, Callable[[State], float | None]] = {
    "max_pods": lambda state: state.cluster.max_pods,
    "tested_pods": lambda state: min(110.0, 10.0 * state.cluster.cores),
    "node_cidrs": _node_cidrs,
    "pod_addresses": _pod_addresses,
    "interface_addresses": lambda state: state.plugin.interface_addresses,
    "service_addresses": _service_addresses,
    "conntrack_max": lambda state: (
        state.cluster.conntrack_max or usual_limit(state.cluster.cores)
    ),
    "local_ports": lambda state: state.cluster.local_ports,
    "snat_ports": lambda state: state.cluster.snat_ports,
    "cilium_ct_tcp": lambda state: next(size for cores, size in CILIUM_CT_TCP if state.cluster.cores >= cores),
    "azure_snat_ports": _azure_snat,
    "nic_bps": lambda state: state.cluster.nic_bps,
}
"""Limits that follow from facts, by the name used in the data file."""
