"""What a cluster's network cannot exceed: current use, the size at which a limit is reached, and what cannot exist.

The limits are data (``data/limits.yaml``), the measures compared with them are in ``limitmeasures.py``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netsim.cluster.cluster import Cluster
from netsim.cluster.limitbook import KnownLimit, limit_book
from netsim.datapath.limitfacts import ClusterFacts, PluginFacts, TrafficFacts, facts_of
from netsim.datapath.limitgrowth import Growth, PowerGrowth
from netsim.datapath.limitmeasures import LIMITS, USES, State, node_mask

LARGEST_CLUSTER = 1_000_000
"""Sizes above this are reported as never reached."""
ROUNDING = 1 + 1e-9
"""Scaled counts carry rounding; a use this close to its limit still fits."""
GROWTH = PowerGrowth()


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit as this cluster stands to it.

    Parameters
    ----------
    id, name, scope, unit, then, source: as in the list of limits.
    used, limit: current use and the limit; ``None`` where a fact is unknown or there is no fixed end.
    reached_at: the largest number of nodes whose use does not exceed the limit, when use grows with the cluster;
        ``None`` when it does not, or not below a million nodes.
    advisory: passing it costs something and breaks nothing.
    """

    id: str
    name: str
    scope: str
    used: float | None
    limit: float | None
    unit: str
    reached_at: int | None
    then: str
    source: str
    advisory: bool = False

    @property
    def exceeded(self) -> bool:
        """True when the use is known to be above a limit that is more than advice."""
        return not self.advisory and self.used is not None and self.limit is not None and self.used > self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return the limit as the JSON document has it."""
        return {
            "name": self.name, "scope": self.scope, "used": self.used, "limit": self.limit, "unit": self.unit,
            "reached_at": self.reached_at, "then": self.then, "source": self.source,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a combination or a size cannot exist."""

    text: str
    limit_name: str = ""
    limit: float | None = None


def limits(
    cluster: Cluster | ClusterFacts,
    plugin: PluginFacts = PluginFacts(),  # noqa: B008
    *,
    proxy: str = "iptables",
    traffic: TrafficFacts = TrafficFacts(),  # noqa: B008
    growth: Growth | None = GROWTH,
) -> tuple[LimitUse, ...]:
    """Return every known limit that applies, in the order of the list.

    Parameters
    ----------
    cluster: what exists, or its counts. plugin: what the plugin uses up. proxy: ``iptables``, ``ipvs``, ``nftables``,
        ``ebpf``. traffic: rates per node. growth: how the counts grow with the nodes; ``None`` leaves `reached_at` out.
    """
    facts = cluster if isinstance(cluster, ClusterFacts) else facts_of(cluster)
    state = State(facts, plugin, traffic, proxy)
    return tuple(_judge(known, state, growth) for known in limit_book().values() if state.meets(known))


def to_dict(uses: tuple[LimitUse, ...]) -> dict[str, Any]:
    """Return the JSON document of ``inspect limits``."""
    return {"limits": [use.to_dict() for use in uses]}


def cannot_exist(
    plugin: PluginFacts,
    proxy: str,
    cluster: Cluster | ClusterFacts,
    *,
    nodes: int | None = None,
    growth: Growth = GROWTH,
) -> tuple[Reason, ...]:
    """Return why this plugin, proxy and size cannot exist together; empty when nothing speaks against it.

    Parameters
    ----------
    plugin, proxy, cluster, growth: as in `limits`.
    nodes: judge the cluster grown to this size.
    """
    facts = cluster if isinstance(cluster, ClusterFacts) else facts_of(cluster)
    state = State(facts, plugin, TrafficFacts(), proxy)
    state = growth.grown(state, nodes) if nodes else state
    return (*_combinations(state), *_sizes(state))


def _combinations(state: State) -> Iterator[Reason]:
    plugin = state.plugin
    if state.proxy in plugin.impossible:
        yield Reason(plugin.impossible[state.proxy])
    families = dict.fromkeys("IPv6" if ":" in cidr else "IPv4" for cidr in state.cluster.pod_cidrs)
    for family in families:
        if family not in plugin.families:
            yield Reason(f"{plugin.name or 'the plugin'} gives pods no {family} address")
    for cidr in state.cluster.pod_cidrs if plugin.node_ranges else ():
        network = ipaddress.ip_network(cidr, strict=False)
        mask = node_mask(state, network.version)
        if mask < network.prefixlen:
            yield Reason(f"a node range of /{mask} does not fit into the pod CIDR {cidr}")
        elif network.version == 6 and mask - network.prefixlen > 16:
            text = "the node CIDR size is too big: node and cluster mask differ by more than 16 bits"
            yield Reason(text, "node ranges in the pod CIDR", 2.0**16)


def _sizes(state: State) -> Iterator[Reason]:
    for known in limit_book().values():
        if not known.reason or not state.meets(known):
            continue
        used, limit = _used(known, state), _limit(known, state)
        ceiling = known.raised_to or limit
        if used is not None and ceiling is not None and used > ceiling:
            yield Reason(known.reason.format(limit=f"{ceiling:g}", used=f"{used:g}"), known.name, ceiling)


# ------------------------------------------------------------------------------------------------ judging


def _used(known: KnownLimit, state: State) -> float | None:
    return USES[known.use](state)


def _limit(known: KnownLimit, state: State) -> float | None:
    return LIMITS[known.limit](state) if isinstance(known.limit, str) else known.limit


def _judge(known: KnownLimit, state: State, growth: Growth | None) -> LimitUse:
    used, limit = _used(known, state), _limit(known, state)
    reached = None if growth is None else _reached_at(known, state, growth)
    return LimitUse(
        known.id, known.name, known.scope, used, limit, known.unit, reached, known.then, known.source, known.advisory
    )


def _reached_at(known: KnownLimit, state: State, growth: Growth) -> int | None:
    """Return the largest size that still fits, by bisection: use and limit may be any monotone function of it.

    From the present size upwards where that fits, downwards where it does not.
    """

    def fits(nodes: int) -> bool | None:
        grown = growth.grown(state, nodes)
        used, limit = _used(known, grown), _limit(known, grown)
        return None if used is None or limit is None else used <= limit * ROUNDING

    present = max(1, round(state.cluster.nodes))
    now = fits(present)
    if now is None:
        return None
    low, high = (present, LARGEST_CLUSTER) if now else (1, present)
    if not fits(low) or fits(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
