"""How long a node takes to program a change of endpoints: the proxy's pace, and the size of what it writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netsim.cluster.cluster import Cluster
from netsim.cluster.service_rules import service_tables
from netsim.cluster.service_rules.config import ProxyMode
from netsim.datapath.limitmeasures import SECONDS_PER_RULE

MIN_SYNC_S: Mapping[str, float] = {"iptables": 1.0, "nftables": 1.0, "ipvs": 0.0, "ebpf": 0.0}
"""kube-proxy's ``minSyncPeriod`` (pkg/proxy/apis/config/v1alpha1/defaults.go); eBPF agents write a change at once."""


@dataclass(frozen=True, slots=True)
class Programming:
    """A node's proxy: at least ``min_sync_s`` pass between the starts of two syncs, a partial one takes ``sync_s``."""

    min_sync_s: float
    sync_s: float


def programming(cluster: Cluster, proxy: ProxyMode, services: Iterable[str]) -> Programming:
    """Return how a node's proxy programs a change of some Services (``namespace/name``).

    iptables writes the lists that all Services share and the chains of those that changed, at the time per line that
    kubernetes issue 96018 measured for iptables-restore; other modes have no published price of an element, and take
    no time beyond their pace.
    """
    written = 0.0
    if proxy == "iptables" and cluster.nodes and cluster.services:
        table = service_tables(cluster, proxy)[0]
        written = table.sync(cluster.nodes[0], services).partial * SECONDS_PER_RULE
    return Programming(MIN_SYNC_S[proxy], written)
