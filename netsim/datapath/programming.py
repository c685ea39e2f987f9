"""How long a node takes to program Services: the proxy's pace, and the price of what it writes.

A sync is counted work: lines given to a tool, calls answered by the kernel, map entries. Two of its parts grow with
more than what is written:

- nftables: each Service chooses its endpoint by a verdict map of its own. Making one walks the maps and the whole
  transaction so far (kernel ``nf_tables_newset``, ``__nft_set_trans_bind``; both led a profile of ``nft -f``), so a
  transaction costs ``lines x (line + maps x growth)``; what of it is out of cache costs half a miss instead, as half
  of the final transaction is walked in the mean. A full sync over a table that is there deletes as much as it adds:
  its transaction is twice as long, and it walks the old maps too.
- ipvs: every cluster IP is an address of one device, and a new one is compared with all before it
  (``inet_insert_ifa``).

The times were measured with the tools themselves (source ``tools`` of the cost profile, ``netsim calibrate --full``).
kube-proxy itself looks at every Service and endpoint it knows in every sync, and makes the text of each line it writes
(``proxy.look``, ``proxy.line``); agents of eBPF modes write an event's entries alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from netsim.cluster.cluster import Cluster
from netsim.cluster.service_rules import service_tables
from netsim.cluster.service_rules.config import ProxyMode
from netsim.datapath.costs import Prices

MIN_SYNC_S: Mapping[str, float] = {"iptables": 1.0, "nftables": 1.0, "ipvs": 0.0, "ebpf": 0.0}
"""kube-proxy's ``minSyncPeriod`` (pkg/proxy/apis/config/v1alpha1/defaults.go); eBPF agents write a change at once."""
JUMPS = 12
"""Jumps that a full sync of iptables mode makes sure of, by a call for the chain and one for the rule each
(``iptablesJumpChains``, pkg/proxy/iptables/proxier.go; 24 calls by kubernetes PR 114181)."""

CACHED_OBJECTS = 160_000.0
"""Objects of a transaction, about 200 bytes each (``struct nft_trans_rule`` and kin), that 32 MB of cache hold."""

CACHED_LINES = 30_000.0
"""Lines of a legacy table, about 1 KB each with the copies that tool and kernel make, that 32 MB of cache hold."""


class SyncSize(NamedTuple):
    """What one sync writes, and what is there, in the mode's unit: lines, objects, calls or map entries.

    ``each`` counts what grows beyond its number: verdict maps written (nftables), addresses bound (ipvs); ``known`` is
    how many Services and endpoints the proxy has, ``replaced`` how many verdict maps a full sync finds and drops.
    """

    written: float
    there: float
    each: float = 0.0
    known: float = 0.0
    replaced: float = 0.0


@dataclass(frozen=True, slots=True)
class Programming:
    """A node's proxy: at least ``min_sync_s`` pass between the starts of two syncs.

    A partial one takes ``sync_s``; ``full_s`` is one that writes everything, after a restart of the proxy.
    """

    min_sync_s: float
    sync_s: float
    full_s: float


def programming(cluster: Cluster, proxy: ProxyMode, services: Iterable[str], prices: Prices) -> Programming:
    """Return how a node's proxy programs a change of some Services (``namespace/name``).

    Parameters
    ----------
    prices: of the node's machine.
    """
    if not (cluster.nodes and cluster.services):
        return Programming(MIN_SYNC_S[proxy], 0.0, 0.0)
    work = service_tables(cluster, proxy)[0].sync(cluster.nodes[0], services)
    known = sum(len(each.ports) * (1 + len(cluster.endpoints(each.key))) for each in cluster.services)
    partial = SyncSize(work.partial, work.full, work.each_partial, known)
    full = SyncSize(work.full, work.full, work.each_full, known, replaced=work.each_full)
    return Programming(
        MIN_SYNC_S[proxy], sync_seconds(proxy, partial, prices), sync_seconds(proxy, full, prices, full=True)
    )


def full_size(proxy: str, services: float, endpoints: float) -> SyncSize:
    """Return the whole table of ordinary Services: one port, a cluster IP, neither node port nor affinity.

    iptables: a line of the list, a chain and its masquerade rule a Service; a chain, a jump and two rules an endpoint.
    nftables: an element, a chain and two rules; a chain and two rules. ipvs: each virtual server is looked at twice
    and written with its address's set entry; each real server. eBPF: master and reverse entry; slot and backend.
    """
    lines = {
        "iptables": 3 * services + 4 * endpoints,
        "nftables": 4 * services + 3 * endpoints,
        "ipvs": 4 * services + endpoints,
        "ebpf": 2 * services + 2 * endpoints,
    }[proxy]
    return SyncSize(lines, lines, services if proxy in ("nftables", "ipvs") else 0.0, services + endpoints)


def sync_seconds(proxy: str, size: SyncSize, prices: Prices, *, full: bool = False) -> float:
    """Return how long one sync takes; a ``full`` one writes everything, any other adds to what is there."""
    return SYNCS[proxy](size, prices, full) * 1e-9


def legacy_restore_seconds(lines: float, prices: Prices) -> float:
    """Return how long legacy iptables-restore writes a table, its lock held; beyond the caches lines are dearer."""
    far = max(0.0, lines - CACHED_LINES)
    return (lines * prices["tool.iptables_line"] + far * prices["tool.iptables_line_far"]) * 1e-9


def legacy_lines(seconds: float, prices: Prices) -> float:
    """Return how many lines it writes in that time."""
    line, far = prices["tool.iptables_line"] * 1e-9, prices["tool.iptables_line_far"] * 1e-9
    return min(seconds / line, (seconds + CACHED_LINES * far) / (line + far))


def _iptables(size: SyncSize, prices: Prices, full: bool) -> float:
    """One iptables-restore of the nft back-end, the default of distributions since 2020; a full sync checks jumps."""
    calls = 1 + (2 * JUMPS if full else 0)
    reread = 0.0 if full else size.there * prices["tool.iptables_nft_existing"]
    line = prices["proxy.line"] + prices["tool.iptables_nft_line"]
    return calls * prices["tool.start"] + size.known * prices["proxy.look"] + size.written * line + reread


def _nftables(size: SyncSize, prices: Prices, full: bool) -> float:
    """One nft -f; beside a table that is there, nft reads what it refers to first."""
    reread = 0.0 if full else size.there * prices["tool.nft_existing"]
    missed = max(0.0, 1 - CACHED_OBJECTS / size.written) if size.written else 0.0
    walked = (1 - missed) * prices["tool.nft_growth"] + missed * prices["memory.miss"] / 2
    maps = size.each + (prices["tool.nft_replaced"] - 1) * size.replaced
    line = prices["proxy.line"] + prices["tool.nft_line"] + maps * walked
    return prices["tool.start"] + size.known * prices["proxy.look"] + reread + size.written * line


def _ipvs(size: SyncSize, prices: Prices, full: bool) -> float:
    """Netlink calls, an ipset restore and an iptables-restore; each address is compared with those before it."""
    compared = size.each**2 / 2 * prices["tool.address_growth"]
    looked = size.known * prices["proxy.look"]
    return 2 * prices["tool.start"] + looked + size.written * prices["tool.netlink"] + compared


def _ebpf(size: SyncSize, prices: Prices, full: bool) -> float:
    return size.written * prices["tool.map_update"]


SYNCS: Mapping[str, Callable[[SyncSize, Prices, bool], float]] = {
    "iptables": _iptables,
    "nftables": _nftables,
    "ipvs": _ipvs,
    "ebpf": _ebpf,
}
"""Nanoseconds of a sync by proxy mode."""
