"""The Services of a cluster as the datapath needs them: addresses, and what packets walk on a node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Family, Node
from netsim.cluster.service_rules import (
    Counts,
    ProxyConfig,
    ProxyMode,
    ServedPort,
    ServiceTable,
    WalkModel,
    service_tables,
)
from netsim.cluster.service_rules.ports import proxied
from netsim.cluster.service_rules.walks import Where
from netsim.datapath.step import ServiceWalks
from netsim.errors import InputError

WAYS: tuple[Where, ...] = ("forward", "out", "in")


@dataclass(frozen=True)
class ServiceRules:
    """Service rules of every node, counted when first asked.

    With ``alike`` all nodes share the counts of the first one: they differ only in Services of traffic policy Local,
    and passes are compiled per kind of node, not per node.
    """

    cluster: Cluster
    mode: ProxyMode
    config: ProxyConfig
    alike: bool = True

    @cached_property
    def _tables(self) -> dict[Family, ServiceTable]:
        return {table.family: table for table in service_tables(self.cluster, self.mode, self.config)}

    @cached_property
    def direct(self) -> frozenset[str]:
        """Services that no proxy serves: headless ones, external names, those of others. DNS leads to their pods."""
        return frozenset(service.key for service in self.cluster.services if not proxied(service))

    @cached_property
    def _counts(self) -> dict[tuple[Family, str], Counts]:
        return {}

    @cached_property
    def _walks(self) -> dict[tuple[Family, str], ServiceWalks]:
        return {}

    def table(self, family: Family) -> ServiceTable | None:
        """Return the table of a family, ``None`` where the cluster has no Services in it."""
        return self._tables.get(family)

    def _representative(self, node: Node) -> Node:
        return self.cluster.nodes[0] if self.alike and self.cluster.nodes else node

    def counts(self, family: Family, node: Node) -> Counts:
        """Return what is programmed on a node."""
        node = self._representative(node)
        known = self._counts.get((family, node.name))
        if known is None:
            known = self._counts[family, node.name] = self._tables[family].counts(node)
        return known

    def walks(self, family: Family, node: Node) -> ServiceWalks:
        """Return what packets meet at a node that go to no Service."""
        table = self._tables.get(family)
        if table is None:
            return ServiceWalks(self.mode)
        node = self._representative(node)
        known = self._walks.get((family, node.name))
        if known is None:
            counts = self.counts(family, node)
            known = self._walks[family, node.name] = ServiceWalks(
                self.mode,
                first={way: table.rules.other(counts, way) for way in WAYS},
                established={way: table.rules.established(counts, way) for way in WAYS},
            )
        return known

    def served(self, family: Family, service: str, port: int, protocol: str) -> ServedPort | None:
        """Return a Service port by its Service's key and number."""
        table = self._tables.get(family)
        ports = table.by_service.get(service, ()) if table is not None else ()
        return next((item for item in ports if item.port == port and item.protocol == protocol), None)

    def find(self, service: str, port: int, protocol: str, families: tuple[Family, ...]) -> tuple[Family, ServedPort]:
        """Return a Service port in the first family it has.

        Raises
        ------
        InputError
            When there is no such Service, or it has no such port that a proxy serves.
        """
        for family in families:
            found = self.served(family, service, port, protocol)
            if found is not None:
                return family, found
        known = self.cluster.services_by_key.get(service)
        if known is None:
            raise InputError("no such Service", got=service, allowed=", ".join(self.cluster.services_by_key) or "none")
        allowed = ", ".join(f"{item.port}/{item.protocol}" for item in known.ports)
        raise InputError(f"Service {service} is not served at this port", got=f"{port}/{protocol}", allowed=allowed)

    def walk_model(self, served: ServedPort, node: Node, *, outside: bool) -> WalkModel:
        """Return what the first packet to a Service port walks at a node, from a pod or from ``outside``."""
        table = self._tables[served.family]
        counts, choice = self.counts(served.family, node), table.choice(served, table.site(node))
        if outside and served.node_port:
            return table.rules.node_port(counts, served, choice)
        return table.rules.cluster_ip(counts, served, choice)

    def frontend(self, served: ServedPort, entry: Node | None) -> tuple[str, int]:
        """Return the address a client uses: the cluster IP inside, else a load balancer's, an external or a node's."""
        if entry is None:
            return served.cluster_ip or served.service, served.port
        for address in (*served.load_balancer_ips, *served.external_ips):
            return address, served.port
        if served.node_port:
            return (entry.addresses[0] if entry.addresses else entry.name), served.node_port
        return served.cluster_ip or served.service, served.port
