"""Questions about a cluster and its datapath that need no clock.

Every function takes a `Cluster` or a `Scenario` and returns a frozen result whose ``to_dict()`` is the JSON document
of the command of the same name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from netsim.cluster.cluster import Cluster
from netsim.cluster.dns.report import DnsReport, inspect_dns
from netsim.cluster.policy import PolicyTable, policy_table
from netsim.cluster.resolver import RESOLVERS
from netsim.cluster.service_rules import ProxyConfig, ProxyMode, RulesReport, inspect_rules, service_tables
from netsim.cluster.service_rules.counts import total as total_of
from netsim.cluster.traffic import Call, Edge, traffic_of
from netsim.datapath import build
from netsim.datapath.cni_report import CniReport, inspect_cni
from netsim.datapath.cost_report import CostReport, inspect_costs
from netsim.datapath.limitfacts import ClusterFacts, TrafficFacts, facts_of, plugin_facts
from netsim.datapath.limitgrowth import Growth, measured_growth, probe_sizes
from netsim.datapath.limitmeasures import State
from netsim.datapath.limits import LimitUse
from netsim.datapath.limits import limits as limits_of
from netsim.datapath.limits import to_dict as limits_to_dict
from netsim.datapath.path_report import PathReport, inspect_path
from netsim.errors import InputError, Place
from netsim.scenario import with_values
from netsim.scenario.spec import Scenario

__all__ = ["LimitsReport", "cni", "costs", "dns", "limits", "path", "policy", "rules"]


def _cluster(asked: Cluster | Scenario) -> Cluster:
    return build.cluster_of(asked) if isinstance(asked, Scenario) else asked


def path(
    asked: Cluster | Scenario, from_: str, to: str, *, plugin: str | None = None, proxy: str | None = None,
    costs: str | None = None,
) -> PathReport:  # fmt: skip
    """Return every hop between two ends: both directions, first and established packet, addresses, costs.

    Parameters
    ----------
    asked: a cluster, or a scenario whose network section then says plugin, proxy and costs.
    from_, to: ``namespace/pod``, ``namespace/service:port``, ``node/NAME`` or ``external``.
    plugin, proxy, costs: used instead of the scenario's; ``flannel-vxlan``, its usual proxy and ``server`` by default.

    Raises
    ------
    InputError: unknown end, plugin or costs, or a pair of plugin and proxy that cannot exist.
    """
    if isinstance(asked, Cluster):
        mode = _proxy_mode(proxy)
        return inspect_path(asked, plugin or "flannel-vxlan", mode, costs or "server", from_=from_, to=to)
    changes = {"network.plugin": plugin, "network.proxy": proxy, "network.costs": costs}
    scenario = with_values(asked, {key: value for key, value in changes.items() if value is not None})
    network = scenario.network
    return inspect_path(
        build.cluster_of(scenario), build.plugin_of(scenario), network.proxy, build.profile_of(scenario), from_=from_,
        to=to, mtu=network.mtu,
    )  # fmt: skip


def _proxy_mode(name: str | None) -> ProxyMode | None:
    for mode in get_args(ProxyMode):
        if mode == name:
            return cast(ProxyMode, mode)
    if name is None:
        return None
    raise InputError("no such proxy mode", got=name, allowed=", ".join(get_args(ProxyMode)))


def dns(
    asked: Cluster | Scenario, name: str, type: str | None = None, from_pod: str | None = None,
    resolver: str = "glibc",
) -> DnsReport:  # fmt: skip
    """Return what the cluster DNS answers, or everything a pod's resolver sends for a name.

    Parameters
    ----------
    asked: a cluster or scenario.
    name: as an application would write it.
    type: ``A``, ``AAAA``, ``SRV`` …; from a pod and left out: what getaddrinfo asks (A and AAAA).
    from_pod: ``namespace/pod``; left out: the server's answer to exactly this name.
    resolver: ``glibc``, ``musl`` or ``go``.

    Raises
    ------
    InputError: unknown pod, type or resolver; a Corefile that CoreDNS would not start with.
    """
    if resolver not in RESOLVERS:
        raise InputError("no such resolver", place=Place(field="resolver"), got=resolver, allowed=", ".join(RESOLVERS))
    return inspect_dns(_cluster(asked), name, type, from_pod, resolver)


def policy(
    asked: Cluster | Scenario, port: str = "80/TCP", *, from_: str | None = None, to: str | None = None
) -> PolicyTable:
    """Return who may open a connection to whom on a pod port (after service translation). Raises `InputError`."""
    return policy_table(_cluster(asked), port, from_, to)


def unenforced(asked: Scenario) -> bool:
    """Tell whether the scenario states a network plugin that enforces no NetworkPolicy, and the cluster has some."""
    stated = "plugin" in asked.network.model_fields_set
    return stated and build.plugin_of(asked).policy == "none" and bool(build.cluster_of(asked).policies)


def rules(
    asked: Cluster | Scenario, proxy: str | None = None, *, nodes: Iterable[str] | None = None,
    config: ProxyConfig | None = None, added: bool = False,
) -> RulesReport:  # fmt: skip
    """Return what the service proxy programs on each node, and what a first packet to each Service is compared with.

    ``proxy`` defaults to the scenario's, else the input's, else the usual one of the plugin where the scenario states
    one, else ``iptables``. Counted are the Services of the input; with ``added`` also the cluster DNS that netsim adds
    where the input has none. Raises `InputError` for an unknown mode or node.
    """
    cluster = _cluster(asked)
    if proxy is None and isinstance(asked, Scenario) and asked.network.model_fields_set & {"plugin", "proxy"}:
        proxy = build.proxy_of(asked)
    elif proxy is None:
        proxy = (cluster.proxy.mode if cluster.proxy is not None else "") or "iptables"
    return inspect_rules(cluster, proxy, nodes, config, added=added)


def cni(
    path: str | Path, asked: Cluster | Scenario | None = None, *, pod: str | None = None, node: str | None = None,
    node_mtu_bytes: int = 1500,
) -> CniReport:  # fmt: skip
    """Return what a CNI configuration amounts to: chain, network of a node, and the hops packets then meet.

    Parameters
    ----------
    path: ``.conf``, ``.conflist`` or ``.json`` file, a directory of them, a manifest whose ConfigMap holds one, or the
        word ``kubenet``.
    asked: cluster or scenario with the ``pod`` or ``node``.
    pod, node: whose part is told; default: the first node.
    node_mtu_bytes: MTU of the node's interface, where there is no cluster.

    Raises
    ------
    InputError: with the message of libcni or of the plugin; unknown pod or node.
    """
    cluster = None if asked is None else _cluster(asked)
    return inspect_cni(path, cluster, pod=pod, node=node, node_mtu_bytes=node_mtu_bytes)


def costs(profile: str = "server", *, without: Sequence[str] = (), figure: str = "") -> CostReport:
    """Return what a cost profile says and where it has it from: values, ranges, sources, arithmetic.

    Parameters
    ----------
    profile: a shipped one (``server``, ``vm-virtio``, ``cloud-small``, ``kernel-old``) or a file.
    without: sources that may not be used; the next most trusted estimates are.
    figure: only figures with this in their name.

    Raises
    ------
    InputError: no such profile, source or figure.
    """
    return inspect_costs(profile, excluded=without, containing=figure)


@dataclass(frozen=True, slots=True)
class LimitsReport:
    """The limits that apply, the tightest first."""

    uses: tuple[LimitUse, ...]
    impossible: tuple[str, ...] = ()

    @property
    def exceeded(self) -> bool:
        """True when something is above its limit, or the combination cannot exist."""
        return bool(self.impossible) or any(use.exceeded for use in self.uses)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of ``netsim inspect limits``."""
        return limits_to_dict(self.uses)


def limits(asked: Scenario, *, growth: bool = True) -> LimitsReport:
    """Return each known limit with current use, the size that reaches it, what happens then, and its source.

    Connection tables and ports are judged by Little's law from the scenario's rates. The size follows the scenario's
    own rules of growth (``cluster.scale``), looked at where it is cheap (`limitgrowth.probe_sizes`); ``growth=False``
    leaves it out. Raises `InputError`.
    """
    plugin = build.plugin_of(asked)
    proxy = build.proxy_of(asked)
    cluster = build.cluster_of(asked)
    counts, traffic = _facts(asked, cluster, proxy)
    state = State(counts, plugin_facts(plugin, proxy), traffic, proxy)
    reasons = tuple(reason.text for reason in build.impossible(asked, state.cluster))
    rules_of_growth = _growth(asked, state) if growth else None
    found = limits_of(state.cluster, state.plugin, proxy=proxy, traffic=state.traffic, growth=rules_of_growth)
    return LimitsReport(found, reasons)


def _facts(asked: Scenario, cluster: Cluster, proxy: str) -> tuple[ClusterFacts, TrafficFacts]:
    try:
        edges, _ = traffic_of(cluster, asked)
    except InputError:
        edges = ()  # limits of a cluster without traffic are still worth reading
    facts = facts_of(cluster, iptables_rules=_iptables_rules(cluster, proxy))
    network = asked.network
    facts = replace(
        facts, conntrack_max=network.conntrack_max, local_ports=network.local_ports, snat_ports=network.snat_ports
    )
    return facts, _traffic_facts(asked, cluster, edges, proxy)


def _growth(asked: Scenario, state: State) -> Growth:
    """Return how the scenario grows, from its states at a few sizes; sizes it cannot have are left out."""
    spec = asked.cluster
    present = round(state.cluster.nodes)
    described = spec.synthetic.nodes if spec.synthetic is not None else None
    base = spec.scale.base_nodes or described or present
    others = []
    for nodes in probe_sizes(present, base, (state.cluster.pods or 0.0) / present):
        try:
            grown = with_values(asked, {"cluster.nodes": nodes})
            facts, traffic = _facts(grown, build.cluster_of(grown, keep=False), state.proxy)
        except InputError:
            continue
        others.append(replace(state, cluster=facts, traffic=traffic))
    return measured_growth(state, others)


def _iptables_rules(cluster: Cluster, proxy: str) -> float | None:
    if proxy != "iptables" or not cluster.nodes:
        return None
    counts = [table.counts(cluster.nodes[0]) for table in service_tables(cluster, "iptables")]
    return float(sum(total_of(count, group) for count in counts for group in ("nat", "filter")))


def _traffic_facts(asked: Scenario, cluster: Cluster, edges: Sequence[Edge], proxy: str) -> TrafficFacts:
    """Return what the traffic means for an average node and for the busiest client pod."""
    rates = [rate for edge in edges for rate in _connection_rates(edge)]
    connections = math.fsum(total for total, _, _ in rates)
    lookups = asked.dns.lookups == "per-connection"
    asked_names = math.fsum(total * _queries(asked, cluster, edge, call) for edge, call, total in _lookups(edges))
    nodes = max(1, len(cluster.nodes))
    return TrafficFacts(
        connections_per_s=2.0 * connections / nodes,  # one end at the client's node, one at the server's
        udp_flows_per_s=2.0 * connections / nodes if lookups else 0.0,
        busiest_client_per_s=max(
            (
                each / (_backends(cluster, call) if proxy == "ebpf" or call.service.headless else 1)
                for edge in edges for _, each, call in _connection_rates(edge)
                if not edge.external or call is not edge.call
            ),
            default=0.0,
        ),
        port_wait_s=1.0 if asked.network.tcp_tw_reuse else 60.0,
        entering_busiest_per_s=max(
            (
                total / nodes / _backends(cluster, call)
                for edge in edges for total, _, call in _connection_rates(edge)
                if edge.external and call is edge.call and call.service.external_traffic_policy == "Cluster"
            ),
            default=0.0,
        ),
        outside_per_s=0.0,
        dns_queries_per_s=asked_names / nodes if lookups else 0.0,
        dns_outside_per_s=0.0,
        dns_upstream_s=asked.dns.upstream_latency,
    )


def _backends(cluster: Cluster, call: Call) -> int:
    return max(1, len(cluster.endpoints(call.service.key)))


def _connection_rates(edge: Edge) -> Iterator[tuple[float, float, Call]]:
    """Yield (new connections a second in all, of one client, call) of an edge and the calls it causes."""
    if edge.call is None or edge.kind == "stream":
        return
    clients = max(1, len(edge.clients))

    def of(call: Call, per_client: float) -> Iterator[tuple[float, float, Call]]:
        if not call.keep_alive and edge.kind == "rpc":
            yield per_client * clients, per_client, call
        for inner in call.then:
            yield from of(inner, per_client * inner.count * inner.probability)

    yield from of(edge.call, edge.rate_per_s)


def _lookups(edges: Sequence[Edge]) -> Iterator[tuple[Edge, Call, float]]:
    for edge in edges:
        for total, _, call in _connection_rates(edge):
            if not edge.external or call is not edge.call:
                yield edge, call, total


def _queries(asked: Scenario, cluster: Cluster, edge: Edge, call: Call) -> int:
    """Return how many queries one look-up of the call's name sends: search list times record types."""
    if asked.dns.fqdn or not edge.clients:
        return 2
    pod = cluster.pods[edge.clients[0]].key
    return len(inspect_dns(cluster, call.host, None, pod, asked.dns.resolver).queries)
