"""The **rules** document: what each node has programmed and what the first packet to each Service meets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Node
from netsim.cluster.service_rules.config import ProxyConfig, ProxyMode
from netsim.cluster.service_rules.counts import Counts, Ruleset
from netsim.cluster.service_rules.ports import ServedPort
from netsim.cluster.service_rules.table import ServiceTable, service_tables
from netsim.cluster.service_rules.walks import Walk
from netsim.errors import InputError


@dataclass(frozen=True, slots=True)
class ServiceWalk:
    """What the first packet from a pod to a Service port's cluster IP meets."""

    service: str
    protocol: str
    first_packet: Walk

    def to_dict(self) -> dict[str, object]:
        """Return the Service's entry of the **rules** document."""
        return {"service": self.service, "protocol": self.protocol, "first_packet": self.first_packet.to_dict()}


@dataclass(frozen=True, eq=False)
class RulesReport:
    """Rules of every node asked about; the counters of a dual-stack node are the sum of both families.

    ``left_out`` names the Services that the input lacks, that a run has all the same, and that are not counted here.
    """

    rules: Ruleset
    nodes: dict[str, Counts]
    services: tuple[ServiceWalk, ...]
    left_out: tuple[str, ...] = ()

    @property
    def mode(self) -> ProxyMode:
        """The proxy mode."""
        return self.rules.mode

    def to_dict(self) -> dict[str, object]:
        """Return the **rules** document."""
        return {
            "mode": self.mode,
            "nodes": {name: self.rules.describe(counts) for name, counts in self.nodes.items()},
            "services": [service.to_dict() for service in self.services],
            **({"left_out": list(self.left_out)} if self.left_out else {}),
        }


def inspect_rules(
    cluster: Cluster, proxy: str = "iptables", nodes: Iterable[str] | None = None, config: ProxyConfig | None = None,
    *, added: bool = False,
) -> RulesReport:  # fmt: skip
    """Return what the service proxy programs on nodes, and the rules a first packet to each Service is compared with.

    Parameters
    ----------
    cluster: what exists.
    proxy: ``iptables``, ``ipvs``, ``nftables`` or ``ebpf``.
    nodes: names of the nodes to report; all of them when left out.
    config: settings of the proxy.
    added: count also the Services that the input lacks and netsim adds (the cluster DNS).

    Raises
    ------
    InputError: unknown mode or node.
    """
    left_out = () if added else tuple(sorted(cluster.added_services))
    if left_out:
        stated = tuple(service for service in cluster.services if service.key not in cluster.added_services)
        cluster = replace(cluster, services=stated)
    tables = service_tables(cluster, proxy, config)
    chosen = cluster.nodes if nodes is None else tuple(_node(cluster, name) for name in nodes)
    counted: dict[str, Counts] = {}
    for node in chosen:
        counts = tables[0].counts(node)
        for table in tables[1:]:
            counts.update(table.counts(node))
        counted[node.name] = counts
    return RulesReport(tables[0].rules, counted, _service_walks(cluster, tables), left_out)


def _node(cluster: Cluster, name: str) -> Node:
    index = cluster.node_index.get(name)
    if index is None:
        raise InputError("no such node", got=name, allowed="a node of the cluster")
    return cluster.nodes[index]


def _service_walks(cluster: Cluster, tables: tuple[ServiceTable, ...]) -> tuple[ServiceWalk, ...]:
    """One entry a Service port, in its primary family."""
    known: dict[tuple[str, str], ServiceWalk] = {}
    for table in tables:
        counts: dict[str, Counts] = {}
        for port in table.ports:
            if (port.id, port.protocol) in known:
                continue
            node = _viewpoint(cluster, port)
            if node.name not in counts:
                counts[node.name] = table.counts(node)
            choice = table.choice(port, table.site(node))
            walk = table.rules.cluster_ip(counts[node.name], port, choice).walk
            known[port.id, port.protocol] = ServiceWalk(port.id, port.protocol, walk)
    return tuple(known.values())


def _viewpoint(cluster: Cluster, port: ServedPort) -> Node:
    """The node a client is assumed on: the first one; under internal policy Local the first with an endpoint."""
    first = cluster.nodes[0] if cluster.nodes else Node("")
    if not port.internal_local:
        return first
    hosts = (cluster.node_index.get(end.node) for end in port.backends if end.ready)
    return next((cluster.nodes[index] for index in hosts if index is not None), first)
