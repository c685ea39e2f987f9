"""Who answers for a Service, seen from one node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netsim.cluster.objects import Endpoint, Service, family_of

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.cluster.service_rules import ServiceTable


class Backends:
    """Endpoints of Services as pod indices, by node where policies or hints make nodes differ.

    Only endpoints that are pods of the cluster can be played; others are left out. ``missing`` counts them.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._everywhere: dict[str, Sequence[int] | None] = {}
        self._by_node: dict[tuple[str, str, int], Sequence[int]] = {}
        self._pods: dict[str, int] | None = None
        self._table: ServiceTable | None = None
        self.missing = 0

    def of(self, service: Service, port_name: str, node: int | None, *, external: bool = False) -> Sequence[int]:
        """Return the pods that may answer clients on ``node`` (`None`: clients outside), empty when nobody does."""
        if service.key not in self._everywhere:
            self._everywhere[service.key] = self._alike(service)
        shared = self._everywhere[service.key]
        if shared is not None and not (external and service.external_traffic_policy == "Local"):
            return shared
        key = (service.key, port_name, -1 if node is None else node)
        found = self._by_node.get(key)
        if found is None:
            found = self._by_node[key] = self._at(service, port_name, node, external)
        return found

    def _alike(self, service: Service) -> Sequence[int] | None:
        """Return the endpoints if they are the same on every node, else `None`."""
        from netsim.cluster.service_rules.hints import hinted

        endpoints = self._cluster.endpoints(service.key)
        told = endpoints if service.key in self._cluster.slices else hinted(self._cluster, service, endpoints)
        if service.internal_traffic_policy == "Local" or any(each.zone_hints or each.node_hints for each in told):
            return None
        family = family_of(endpoints[0].address) if endpoints else "IPv4"
        endpoints = tuple(each for each in endpoints if not each.further)
        usable = [each for each in endpoints if each.ready and family_of(each.address) == family]
        if not usable:
            draining = [each for each in endpoints if each.serving and each.terminating]
            usable = [each for each in draining if family_of(each.address) == family]
        return self._indices(usable)

    def _at(self, service: Service, port_name: str, node: int | None, external: bool) -> Sequence[int]:
        """Ask the proxy's own rules what one node uses."""
        from netsim.cluster.service_rules import categorize, service_tables

        if self._table is None:
            self._table = service_tables(self._cluster, "iptables")[0]
        name = "" if node is None else self._cluster.nodes[node].name
        for port in self._table.by_service.get(service.key, ()):
            if port.name == port_name:
                choice = categorize(port, name, self._cluster.zone_of(name))
                chosen = choice.external(port) if external else choice.internal(port)
                addresses = {each.address for each in chosen}
                return self._indices(
                    [each for each in self._cluster.endpoints(service.key) if each.address in addresses]
                )
        return ()

    def _indices(self, endpoints: Sequence[Endpoint]) -> Sequence[int]:
        if self._pods is None:
            self._pods = {pod.key: index for index, pod in enumerate(self._cluster.pods)}
        found = [self._pods[each.pod] for each in endpoints if each.pod in self._pods]
        self.missing += len(endpoints) - len(found)
        return tuple(found)
