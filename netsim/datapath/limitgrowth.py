"""How the counts that limits are compared with grow with the nodes: by a power law, or by a scenario's own rules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from netsim.datapath.limitmeasures import State


class Growth(Protocol):
    """Tells the state of a cluster at another size."""

    def grown(self, state: State, nodes: float) -> State:
        """Return ``state`` grown (or shrunk) to this number of nodes."""
        ...


@dataclass(frozen=True, slots=True)
class PowerGrowth:
    """Pods ~ nodes^pods, Services ~ nodes^services; endpoints take the rest.

    The default adds nodes like those there are, with pods and Services like those there are. ``services=0`` keeps the
    Services and lets each have more endpoints. Rates per node stay.
    """

    pods: float = 1.0
    services: float = 1.0

    def grown(self, state: State, nodes: float) -> State:
        """Return the state at another size."""
        facts = state.cluster
        ratio = nodes / facts.nodes
        pods, services = ratio**self.pods, ratio**self.services

        def by(value: float | None, factor: float) -> float | None:
            return None if value is None else value * factor

        grown = replace(
            facts, nodes=nodes, pods=by(facts.pods, pods), containers=by(facts.containers, pods),
            endpoints=by(facts.endpoints, pods), pods_per_node=by(facts.pods_per_node, pods / ratio),
            pods_per_namespace=by(facts.pods_per_namespace, pods), policy_peers=by(facts.policy_peers, pods),
            services=by(facts.services, services), services_per_namespace=by(facts.services_per_namespace, services),
            service_ports=by(facts.service_ports, services), cluster_ips=by(facts.cluster_ips, services),
            node_ports=by(facts.node_ports, services), load_balancers=by(facts.load_balancers, services),
            source_ranges=by(facts.source_ranges, services), published_names=by(facts.published_names, services),
            endpoints_per_service=by(facts.endpoints_per_service, pods / services),
            headless_endpoints=by(facts.headless_endpoints, pods / services),
            iptables_rules=by(facts.iptables_rules, max(pods, services)),
        )  # fmt: skip
        return replace(state, cluster=grown)


TOTALS = (
    "pods", "containers", "pods_per_namespace", "services", "services_per_namespace", "namespaces", "service_ports",
    "cluster_ips", "node_ports", "ports_per_service", "load_balancers", "source_ranges", "endpoints",
    "endpoints_per_service", "headless_endpoints", "identities", "policy_peers", "dns_replicas", "published_names",
    "iptables_rules",
)  # fmt: skip
"""Counts that every rule of growth keeps or changes in proportion: a constant and a part that follows the nodes."""
DENSITIES = ("pods_per_node",)
"""Counts of one node: they settle, so that beyond the sizes known the last one holds."""
RATES = ("connections_per_s", "udp_flows_per_s", "outside_per_s", "dns_queries_per_s", "dns_outside_per_s")
"""Rates of a node: a cluster's rate, which is a constant and a part that follows the nodes, shared by its nodes."""
SINGLE_RATES = ("busiest_client_per_s", "outside_busiest_per_s")
"""Rates of one client or destination."""


@dataclass(frozen=True, slots=True)
class MeasuredGrowth:
    """Growth as a scenario's rules have it: its own states at a few sizes, and straight lines between and beyond them.

    Every rule keeps a count, repeats it with the application, or follows nodes and cores (the DNS autoscaler), so that
    each count is a constant and a part in proportion to the nodes, up to rounding to whole replicas, and the largest of
    several such counts a chain of straight lines. Address ranges, machines and limits stay those of the present state.

    Parameters
    ----------
    states: at least two, of different numbers of nodes, ascending.
    """

    states: tuple[State, ...]

    def grown(self, state: State, nodes: float) -> State:
        """Return the state at another size."""
        if nodes == state.cluster.nodes:
            return state
        sizes = [each.cluster.nodes for each in self.states]
        counts = dict(self._line(nodes, sizes, "cluster", TOTALS))
        counts |= self._line(nodes, sizes, "cluster", DENSITIES, beyond=False)
        if "endpoints_per_service" in counts and "dns_replicas" in counts:
            # the DNS Service follows the nodes where others do not, and may be the largest only beyond the sizes known
            counts["endpoints_per_service"] = max(counts["endpoints_per_service"], counts["dns_replicas"])
        rates = {
            name: total / nodes
            for name, total in self._line(nodes, sizes, "traffic", RATES, weights=sizes)
        }  # fmt: skip
        rates |= self._line(nodes, sizes, "traffic", SINGLE_RATES, beyond=False)
        return replace(
            state, cluster=replace(state.cluster, nodes=nodes, **counts), traffic=replace(state.traffic, **rates)
        )

    def _line(
        self, nodes: float, sizes: Sequence[float], part: str, names: Sequence[str], *, beyond: bool = True,
        weights: Sequence[float] | None = None,
    ) -> Iterator[tuple[str, Any]]:  # fmt: skip
        """Yield (name, value) of facts that every state knows; ``beyond`` draws the outer lines on."""
        for name in names:
            values = [getattr(getattr(state, part), name) for state in self.states]
            if all(value is not None for value in values):
                heights = [v * w for v, w in zip(values, weights or [1.0] * len(values), strict=True)]
                yield name, max(0.0, _interpolated(nodes, sizes, heights, beyond))


def _interpolated(at: float, x: Sequence[float], y: Sequence[float], beyond: bool) -> float:
    if not beyond:
        at = min(max(at, x[0]), x[-1])
    right = min(max(bisect_right(x, at), 1), len(x) - 1)
    left = right - 1
    return y[left] + (y[right] - y[left]) * (at - x[left]) / (x[right] - x[left])


def probe_sizes(nodes: int, base: int, pods_per_node: float) -> tuple[int, ...]:
    """Return sizes at which a scenario's growth is looked at, besides the one it has.

    Multiples of the size that its replica counts hold at, by powers of four, so that nothing is rounded; small enough
    to be built in a moment. Where there are fewer than two such, parts of the present size besides.
    """
    largest = LARGEST_PROBE if nodes < LARGEST_PROBE / 4 else LARGEST_PROBE / 4
    most = max(SMALLEST_REACH, min(largest, MOST_PODS / max(pods_per_node, 1.0)))
    found = [base * 4**power for power in range(8) if base * 4**power <= most]
    if sum(size != nodes for size in found) < 2:
        found += [nodes // 4, nodes // 16]
    return tuple(sorted({size for size in found if size >= 1 and size != nodes}))


SMALLEST_REACH, LARGEST_PROBE, MOST_PODS = 160, 2600, 8000
"""Probes reach beyond 32 nodes, where DNS replicas begin to follow the nodes, and are small to build otherwise."""


def measured_growth(state: State, others: Sequence[State]) -> Growth:
    """Return the growth through the states known; a power law where there is one size only."""
    states = sorted((state, *others), key=lambda each: each.cluster.nodes)
    return MeasuredGrowth(tuple(states)) if others else PowerGrowth()
