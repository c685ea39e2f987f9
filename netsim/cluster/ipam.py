"""Who gets which address: node ranges, pod addresses, service addresses and node ports.

Follows kube-controller-manager (``pkg/controller/nodeipam/ipam/cidrset``), host-local and the API server's allocators.
Addresses the input states are kept; the rest is given out in order, so the same cluster always gets the same
addresses. Integer arithmetic throughout: a cluster of 150,000 pods is addressed in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from netsim.cluster.address_range import MAX_MASK_DIFFERENCE, NODE_MASKS, Range, address_text, address_value
from netsim.cluster.objects import Family, Node, Pod, Service, ServicePort, family_of
from netsim.errors import InputError, Place

NODE_PORTS = range(30000, 32768)
_STATIC_NODE_PORTS = 86
"""Lower band left to stated ports: min(max(16, size / 32), 128) of the range (KEP-3668)."""
DNS_OFFSET = 10
"""The cluster DNS Service has the tenth address of the service range; the first is the API server's."""
NODE_NETWORKS: dict[Family, str] = {"IPv4": "172.16.0.0/12", "IPv6": "fd00:172:16::/64"}
"""Underlay addresses of nodes that state none."""


# ------------------------------------------------------------------------------------------------ node ranges


class NodeRanges:
    """The cluster range of one family cut into blocks of one node each.

    Node *i* gets the first free block after the last one given, wrapping at the end; blocks that stated ranges touch
    are taken.

    Parameters
    ----------
    cluster_cidr: the range of all pods.
    node_mask: prefix length of a node's block; 24 for IPv4 and 64 for IPv6 by default.

    Raises
    ------
    InputError
        The mask is shorter than the range's, longer than an address, or (IPv6) more than 16 bits longer.
    """

    def __init__(self, cluster_cidr: str, node_mask: int | None = None) -> None:
        self.range = Range(cluster_cidr, "cluster.cluster_cidr")
        self.mask = NODE_MASKS[self.range.family] if node_mask is None else node_mask
        difference = self.mask - self.range.prefix
        place = Place(field="cluster.node_mask")
        if not self.range.prefix <= self.mask <= self.range.bits:
            allowed = f"{self.range.prefix} to {self.range.bits} in {self.range.text}"
            raise InputError(
                "the node mask does not fit the cluster range", place=place, got=self.mask, allowed=allowed
            )
        if self.range.family == "IPv6" and difference > MAX_MASK_DIFFERENCE:
            raise InputError(
                f"the node CIDR size is too big for {self.range.text}", place=place, got=self.mask,
                allowed=f"at most {self.range.prefix + MAX_MASK_DIFFERENCE}",
            )  # fmt: skip
        self.max_nodes = 1 << difference
        self._block_bits = self.range.bits - self.mask
        self._taken: set[int] = set()
        self._next = 0

    def occupy(self, cidr: str) -> None:
        """Mark the blocks that a stated node range covers as taken."""
        stated = Range(cidr)
        if not stated.overlaps(self.range):
            return
        first = max(stated.first, self.range.first) - self.range.first >> self._block_bits
        last = min(stated.last, self.range.last) - self.range.first >> self._block_bits
        self._taken.update(range(first, last + 1))

    def allocate(self) -> str:
        """Return the next free block. Raises `InputError` when there is none."""
        if len(self._taken) >= self.max_nodes:
            raise InputError(
                f"more nodes than pod ranges: {self.range.text} holds {self.max_nodes} blocks of /{self.mask}",
                place=Place(field="cluster.cluster_cidr"), allowed=f"at most {self.max_nodes} nodes",
            )  # fmt: skip
        while self._next in self._taken:
            self._next = (self._next + 1) % self.max_nodes
        block = self._next
        self._taken.add(block)
        self._next = (block + 1) % self.max_nodes
        first = self.range.first + (block << self._block_bits)
        return f"{address_text(first, self.range.family)}/{self.mask}"


def assign_node_ranges(
    nodes: Sequence[Node], cluster_cidrs: Sequence[str], node_masks: dict[Family, int]
) -> list[Node]:
    """Return the nodes with a pod range of every family of the cluster and an underlay address of each."""
    pools = [NodeRanges(cidr, node_masks.get(Range(cidr).family)) for cidr in cluster_cidrs]
    for node in nodes:
        for cidr in node.pod_cidrs:
            for pool in pools:
                pool.occupy(cidr)
    underlay = {pool.range.family: _underlay(nodes, pool.range.family) for pool in pools}
    found = []
    for node in nodes:
        have = {family_of(cidr) for cidr in node.pod_cidrs}
        ranges = [*node.pod_cidrs, *(pool.allocate() for pool in pools if pool.range.family not in have)]
        known = {family_of(address) for address in node.addresses}
        addresses = [*node.addresses, *(next(free) for family, free in underlay.items() if family not in known)]
        found.append(replace(node, pod_cidrs=tuple(ranges), addresses=tuple(addresses)))
    return found


def _underlay(nodes: Sequence[Node], family: Family) -> Iterator[str]:
    network = Range(NODE_NETWORKS[family])
    taken = {address_value(address) for node in nodes for address in node.addresses if family_of(address) == family}
    for value in range(network.first + 10, network.last):
        if value not in taken and value & 255 not in (0, 255):
            yield address_text(value, family)


# ------------------------------------------------------------------------------------------------ pods


class PodAddresses:
    """The pod addresses of one node range as host-local gives them out.

    The network address, the gateway (the first address) and, in IPv4, the broadcast address are not given.
    """

    __slots__ = ("_last", "_next", "_taken", "capacity", "range")

    def __init__(self, cidr: str) -> None:
        self.range = Range(cidr)
        self._next = self.range.first + 2
        self._last = self.range.last - (self.range.family == "IPv4")
        self.capacity = max(0, self._last - self._next + 1)
        self._taken: set[int] = set()

    def occupy(self, value: int) -> None:
        """Mark a stated address as taken."""
        self._taken.add(value)

    def allocate(self) -> str | None:
        """Return the next free address, ``None`` when the range is used up."""
        while self._next in self._taken:
            self._next += 1
        if self._next > self._last:
            return None
        self._next += 1
        return address_text(self._next - 1, self.range.family)


def assign_pod_addresses(pods: Sequence[Pod], nodes: Sequence[Node]) -> list[Pod]:
    """Return the pods with the addresses they lack: one of each range of their node, the node's own on host network.

    Stated addresses are kept as they are; pods without a known node stay without.

    Raises
    ------
    InputError
        A node has more pods than its range has addresses; the message names range and counts.
    """
    pools = {node.name: [PodAddresses(cidr) for cidr in node.pod_cidrs] for node in nodes}
    own = {node.name: node.addresses for node in nodes}
    _occupy_stated(pods, pools)
    found = []
    for pod in pods:
        if pod.node not in pools:
            found.append(pod)
        elif pod.template.host_network:
            found.append(pod if pod.addresses else _addressed(pod, own[pod.node]))
        else:
            found.append(pod if pod.addresses else _addressed(pod, tuple(_given(pools[pod.node], pod.node, pods))))
    return found


def _addressed(pod: Pod, addresses: tuple[str, ...]) -> Pod:
    return Pod(pod.name, pod.template, pod.node, addresses, pod.ready, pod.terminating, pod.serving, pod.hostname)


def _given(pools: Iterable[PodAddresses], node: str, pods: Sequence[Pod]) -> Iterator[str]:
    for pool in pools:
        address = pool.allocate()
        if address is None:
            wanted = sum(1 for pod in pods if pod.node == node and not pod.template.host_network)
            raise InputError(
                f"more pods than addresses: node {node} has {wanted} pods and its range {pool.range.text} "
                f"{pool.capacity} pod addresses",
                place=Place(field="cluster.node_mask"),
                allowed=f"at most {pool.capacity} pods on a node, or a shorter node mask",
            )
        yield address


def _occupy_stated(pods: Sequence[Pod], pools: dict[str, list[PodAddresses]]) -> None:
    """Take stated addresses out of every range they lie in, whichever node the pod is on."""
    stated = [address for pod in pods if not pod.template.host_network for address in pod.addresses]
    if not stated:
        return
    blocks: dict[tuple[Family, int], dict[int, PodAddresses]] = {}
    for node_pools in pools.values():
        for pool in node_pools:
            shift = pool.range.bits - pool.range.prefix
            blocks.setdefault((pool.range.family, shift), {})[pool.range.first >> shift] = pool
    for address in stated:
        value, family = address_value(address), family_of(address)
        for (block_family, shift), by_block in blocks.items():
            pool_hit = by_block.get(value >> shift) if block_family == family else None
            if pool_hit is not None:
                pool_hit.occupy(value)


# ------------------------------------------------------------------------------------------------ services


class ServiceAddresses:
    """The service range of one family: the first address is the API server's, the tenth the cluster DNS's."""

    def __init__(self, cidr: str) -> None:
        self.range = Range(cidr, "cluster.service_cidr")
        self._last = self.range.last - (self.range.family == "IPv4")
        self._taken = {self.range.first + 1, self.range.first + DNS_OFFSET}
        self._next = self.range.first + 1

    @property
    def dns(self) -> str:
        """The address of the cluster DNS Service."""
        return address_text(self.range.first + DNS_OFFSET, self.range.family)

    def occupy(self, address: str) -> None:
        """Mark a stated address as taken."""
        self._taken.add(address_value(address))

    def allocate(self) -> str:
        """Return the next free address. Raises `InputError` when the range is used up."""
        while self._next in self._taken:
            self._next += 1
        if self._next > self._last:
            count = self._last - self.range.first
            raise InputError(
                f"more services than addresses: {self.range.text} holds {count}",
                place=Place(field="cluster.service_cidr"), allowed="a larger service range",
            )  # fmt: skip
        self._next += 1
        return address_text(self._next - 1, self.range.family)


def service_families(service: Service, cluster: Sequence[Family]) -> tuple[Family, ...]:
    """Return the families of a Service as the API server defaults them from what it states and what the cluster has."""
    stated = service.ip_families
    if service.headless and not service.selector and not stated:
        return tuple(dict.fromkeys([*cluster, "IPv4", "IPv6"]))
    if service.ip_family_policy == "SingleStack":
        return (stated or tuple(cluster))[:1]
    return tuple(dict.fromkeys([*stated, *cluster]))


def assign_service_addresses(services: Sequence[Service], service_cidrs: Sequence[str], dns: str) -> list[Service]:
    """Return the services with families, cluster IPs and node ports filled in; ``dns`` is the DNS Service's key."""
    pools = {pool.range.family: pool for pool in (ServiceAddresses(cidr) for cidr in service_cidrs)}
    families = tuple(pools)
    for service in services:
        for address in service.cluster_ips:
            if address != "None" and family_of(address) in pools:
                pools[family_of(address)].occupy(address)
    ports = _free_node_ports(services)
    return [_complete(service, pools, families, ports, service.key == dns) for service in services]


def _complete(
    service: Service,
    pools: dict[Family, ServiceAddresses],
    cluster: tuple[Family, ...],
    ports: Iterator[int],
    dns: bool,
) -> Service:
    if service.type == "ExternalName":
        return service
    families = service_families(service, cluster)
    if service.headless:
        return replace(service, ip_families=families)
    have = {family_of(address): address for address in service.cluster_ips}
    missing = [family for family in families if family not in have and family in pools]
    for family in missing:
        have[family] = pools[family].dns if dns else pools[family].allocate()
    stated = tuple(service.cluster_ips) + tuple(have[family] for family in missing)
    service = replace(service, ip_families=tuple(family_of(ip) for ip in stated), cluster_ips=stated)
    return _with_node_ports(service, ports)


def needs_node_ports(service: Service) -> bool:
    """Tell whether the API server gives a Service's ports node ports."""
    return service.type == "NodePort" or (service.type == "LoadBalancer" and service.allocate_node_ports)


def _with_node_ports(service: Service, ports: Iterator[int]) -> Service:
    if service.type not in ("NodePort", "LoadBalancer"):
        return replace(service, ports=tuple(replace(port, node_port=None) for port in service.ports))
    health = service.health_check_node_port
    if health is None and service.type == "LoadBalancer" and service.external_traffic_policy == "Local":
        health = next(ports)
    given: dict[int, int] = {}
    return replace(
        service,
        health_check_node_port=health,
        ports=tuple(_with_node_port(port, needs_node_ports(service), given, ports) for port in service.ports),
    )


def _with_node_port(port: ServicePort, wanted: bool, given: dict[int, int], ports: Iterator[int]) -> ServicePort:
    """Fill one node port in; ports of one number and different protocols share it, as in the API server."""
    if port.node_port is None and wanted:
        if port.port not in given:
            given[port.port] = next(ports)
        port = replace(port, node_port=given[port.port])
    return port


def _free_node_ports(services: Sequence[Service]) -> Iterator[int]:
    taken = {port.node_port for service in services for port in service.ports if port.node_port is not None}
    taken |= {service.health_check_node_port for service in services if service.health_check_node_port is not None}
    order = [*NODE_PORTS[_STATIC_NODE_PORTS:], *NODE_PORTS[:_STATIC_NODE_PORTS]]
    yield from (port for port in order if port not in taken)
    raise InputError(
        f"more node ports than the range {NODE_PORTS.start}-{NODE_PORTS.stop - 1} holds",
        place=Place(field="spec.ports.nodePort"), allowed=f"at most {len(NODE_PORTS)}",
    )  # fmt: skip
