"""Neighbour tables: the link-layer addresses a node keeps, at most ``gc_thresh3`` of them.

Who needs how many is the plugin's matter. Where pods are neighbours of each other (one layer-2 domain without a range a
node) a node keeps an entry for every remote pod its own talk to; where nodes route to each other, for every such node;
where the cloud routes, for the gateway alone. Local pods need one each. Entries a tunnel's agent writes for its own
device are permanent and do not count (Linux 5.0), those of the nodes behind them do.

An entry may be collected once it has not been used for 5 s. So what is wanted at a time is the number of neighbours
talked to within 5 s: ``n (1 - exp(-5 s × rate / n))`` for traffic that goes to n of them evenly. Beyond the limit new
neighbours find no room ("neighbour table overflow"): the packet that opens a connection is lost as often as its
neighbour is missing, and sent again.

Runs play this where ``network.neighbours_max`` states a limit; `inspect limits` judges it always.

Source: Linux Documentation/networking/ip-sysctl.rst (``neigh/default/gc_thresh3`` 1024), net/core/neighbour.c
(``neigh_forced_gc``: 5 s; permanent entries are not counted).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from math import fsum
from typing import TYPE_CHECKING

import numpy as np

from netsim.engine.randomness import portable

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.datapath.plugin import Plugin
    from netsim.engine.background.load import Flow
    from netsim.engine.kernel.conntrack import Claim, Gates

USED_S = 5.0


def wanted(rate_per_s: float, neighbours: int) -> float:
    """Return how many of so many neighbours are talked to within 5 s by traffic that goes to all alike."""
    if not neighbours:
        return 0.0
    unused = float(portable.exp(np.array([-USED_S * rate_per_s / neighbours]))[0])
    return neighbours * (1.0 - unused)


class NeighbourTable:
    """The table of one node that wants more entries than there may be."""

    __slots__ = ("_draw", "dropped", "limit", "name", "wanted")

    def __init__(self, name: str, limit: int, wanted: float, draw: Callable[[], float]) -> None:
        self.name, self.limit, self.wanted, self._draw = name, limit, wanted, draw
        self.dropped = 0

    def admit(self, now: float, claim: Claim) -> bool:
        """Tell whether the neighbour of a new connection is in the table, or finds room."""
        found = self._draw() * self.wanted < self.limit
        self.dropped += not found
        return found


class Neighbours:
    """The tables of a replication that overflow; those of other nodes are not looked at.

    Parameters
    ----------
    cluster, plugin: what there is to be a neighbour.
    limit: entries of a table.
    flows: all traffic whose rate is known, followed or not.
    draw: uniform numbers.
    """

    def __init__(
        self, cluster: Cluster, plugin: Plugin, limit: int, flows: Callable[[], Sequence[Flow]],
        draw: Callable[[], float],
    ) -> None:  # fmt: skip
        self._cluster, self._limit, self._flows, self._draw = cluster, limit, flows, draw
        self._pods = plugin.layer2_domain and not plugin.pod_cidr_per_node
        self._alone = plugin.routes_in_cloud or plugin.eni is not None
        most = len(cluster.pods) if self._pods else len(cluster.nodes)
        self.possible = not self._alone and most + len(cluster.pods) / max(1, len(cluster.nodes)) > limit
        self.tables: dict[int, NeighbourTable | None] = {}
        self._places: dict[int, Counter[int]] = {}

    def gates(self, sender: int | None, receiver: int | None) -> Gates:
        """Return the tables that a new connection between two nodes may find full."""
        if not self.possible or sender == receiver:
            return ()
        found = (self._table(node) for node in (sender, receiver) if node is not None)
        return tuple((table, ()) for table in found if table is not None)

    def _table(self, node: int) -> NeighbourTable | None:
        if node not in self.tables:
            need = self.need(node)
            name = self._cluster.nodes[node].name
            self.tables[node] = NeighbourTable(name, self._limit, need, self._draw) if need > self._limit else None
        return self.tables[node]

    @cached_property
    def _local(self) -> Counter[str]:
        return Counter(pod.node for pod in self._cluster.pods)

    def need(self, node: int) -> float:
        """Return how many entries a node wants at a time."""
        local = self._local[self._cluster.nodes[node].name]
        most = (len(self._cluster.pods) if self._pods else len(self._cluster.nodes)) - 1
        remote = fsum(self._remote(flow, node) for flow in self._flows())
        return local + min(remote, float(most))

    def _remote(self, flow: Flow, node: int) -> float:
        """Return the neighbours a flow brings to a node, as seen from both of its ends."""
        total = 0.0
        ends = flow.ends
        for (end, members), (_, others) in ((ends[0], ends[1]), (ends[1], ends[0])):
            here = self._on(members)[node]
            if here and others:
                peers = len(others) if self._pods else len(self._on(others))
                total += wanted(flow.rate_at(end) * here, peers)
        return total

    def _on(self, pods: Sequence[int]) -> Counter[int]:
        """Return how many of some pods are on each node, worked out once a group (groups live as long as the run)."""
        known = self._places.get(id(pods))
        if known is None:
            index, all_pods = self._cluster.node_index, self._cluster.pods
            known = self._places[id(pods)] = Counter(index[all_pods[pod].node] for pod in pods)
        return known
