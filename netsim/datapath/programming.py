"""How long a node takes to program Services: the proxy's pace, and the price of what it writes.

A sync is counted work: lines given to a tool, calls answered by the kernel, map entries. Some of its parts grow with
more than what is written:

- nftables: each Service chooses its endpoint by a verdict map of its own. Making one looks for a free name among all
  maps (kernel ``nf_tables_newset``), and binding it walks the whole transaction so far (``__nft_set_trans_bind``; both
  led a profile of ``nft -f``). A full sync over a table that is there deletes the old rules in the same transaction.
  Kernels before 6.12 walk it twice more, to find the new map by its number for its elements and for its rule
  (``nft_set_lookup_byid``; "netfilter: nf_tables: store new sets in dedicated list"). Those before 6.10 look for loops
  at every verdict they are given, through all that it leads to, and in each chain met go over all maps of the table
  (``nf_tables_check_loops``; "netfilter: nf_tables: prefer nft_chain_validate").
- iptables: kube-proxy's restore keeps what it does not name (``--noflush``), so the tool first collects the chains it
  has to ask the kernel for, in a sorted list that it goes through for each line (iptables ``cache_chain_list_insert``).
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
from netsim.cluster.objects import IptablesTool, Kernel, older
from netsim.cluster.service_rules import service_tables
from netsim.cluster.service_rules.config import ProxyMode
from netsim.datapath.costs import Prices

MIN_SYNC_S: Mapping[str, float] = {"iptables": 1.0, "nftables": 1.0, "ipvs": 0.0, "ebpf": 0.0}
"""kube-proxy's ``minSyncPeriod`` (pkg/proxy/apis/config/v1alpha1/defaults.go); eBPF agents write a change at once."""
JUMPS = 12
"""Jumps that a full sync of iptables mode makes sure of, by a call for the chain and one for the rule each
(``iptablesJumpChains``, pkg/proxy/iptables/proxier.go; 24 calls by kubernetes PR 114181)."""

CACHED_OBJECTS = 40_000.0
"""Objects of a transaction that are in cache when it is walked: 48,000 were met at 13 ns each, 62,000 at 45 (source
``tools``); the rules they stand for fill it besides."""
FREED = 0.57
"""Objects by which a transaction drops a Service of two endpoints, over those by which it makes one: a rule each."""
FOUND_BY_NUMBER, LOOPS_LOOKED_FOR, ELEMENTS_ALONE = (6, 12), (6, 10), (6, 13)
"""Kernels from which new maps have a list of their own, loops are looked for once a transaction, and elements of one
message are one object of it (nf_tables_api.c)."""

CACHED_LINES = 30_000.0
"""Lines of a legacy table, about 1 KB each with the copies that tool and kernel make, that 32 MB of cache hold."""


class SyncSize(NamedTuple):
    """What one sync writes, and what is there, in the mode's unit: lines, objects, calls or map entries.

    ``each`` counts what grows beyond its number: verdict maps written (nftables), chains named (iptables), addresses
    bound (ipvs); ``known`` is how many Services and endpoints the proxy has, ``replaced`` how many verdict maps a full
    sync finds and drops.
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
    machine = cluster.nodes[0].machine
    mode = by_tool(proxy, machine.iptables)
    work = service_tables(cluster, proxy)[0].sync(cluster.nodes[0], services)
    known = sum(len(each.ports) * (1 + len(cluster.endpoints(each.key))) for each in cluster.services)
    partial = SyncSize(work.partial, work.full, work.each_partial, known)
    full = SyncSize(work.full, work.full, work.each_full, known, replaced=work.each_full)
    return Programming(
        MIN_SYNC_S[proxy],
        sync_seconds(mode, partial, prices, kernel=machine.kernel),
        sync_seconds(mode, full, prices, full=True, kernel=machine.kernel),
    )


def by_tool(proxy: str, iptables: IptablesTool) -> str:
    """Return the way in which a proxy mode programs Services with a node's iptables."""
    return LEGACY if proxy == "iptables" and iptables == "legacy" else proxy


def full_size(proxy: str, services: float, endpoints: float) -> SyncSize:
    """Return the whole table of ordinary Services: one port, a cluster IP, neither node port nor affinity.

    iptables: a line of the list, a chain and its masquerade rule a Service; a chain, a jump and two rules an endpoint.
    nftables: an element, a chain and two rules; a chain and two rules. ipvs: each virtual server is looked at twice
    and written with its address's set entry; each real server. eBPF: master and reverse entry; slot and backend.
    """
    lines = {
        "iptables": 3 * services + 4 * endpoints,
        LEGACY: 3 * services + 4 * endpoints,
        "nftables": 4 * services + 3 * endpoints,
        "ipvs": 4 * services + endpoints,
        "ebpf": 2 * services + 2 * endpoints,
    }[proxy]
    each = {"iptables": services + endpoints, LEGACY: 0.0, "nftables": services, "ipvs": services, "ebpf": 0.0}[proxy]
    return SyncSize(lines, lines, each, services + endpoints)


def sync_seconds(
    proxy: str, size: SyncSize, prices: Prices, *, full: bool = False, kernel: Kernel | None = None
) -> float:
    """Return how long one sync takes; a ``full`` one writes everything, any other adds to what is there."""
    proxy = LEGACY if proxy == "iptables" and older(kernel, NFT_BACK_END) else proxy
    maps = nft_maps_ns(size, prices, kernel) if proxy == "nftables" else 0.0
    return (SYNCS[proxy](size, prices, full) + maps) * 1e-9


def nft_maps_ns(size: SyncSize, prices: Prices, kernel: Kernel | None = None) -> float:
    """Return what the kernel does for the verdict maps of a transaction of nftables, beside writing its lines."""
    if not size.each:
        return 0.0
    among = size.each / 2 + size.replaced  # maps that a new one finds in the table, in the mean
    elements = max(0.0, (size.written - 4 * size.each) / 3)  # endpoints: see `full_size`
    objects = size.written + 2 * size.each + (elements if older(kernel, ELEMENTS_ALONE) else 0.0)
    objects *= 1 + FREED * size.replaced / size.each
    far = max(0.0, 1 - CACHED_OBJECTS / objects)
    walk = (1 - far) * prices["tool.nft_walk"] + far * prices["tool.nft_walk_far"]
    walks = 3 if older(kernel, FOUND_BY_NUMBER) else 1
    # a verdict leads to the endpoint's chain, that of a Service to all of its endpoints'; each jumps to the mark's
    checks = 3 * size.each + 5 * elements if older(kernel, LOOPS_LOOKED_FOR) else 0.0
    named = size.each * among * prices["tool.nft_pair"]
    return walks * size.each * objects / 2 * walk + named + checks * among * prices["tool.nft_check"]


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
    line = prices["proxy.line"] + prices["tool.iptables_nft_line"] + size.each / 2 * prices["tool.iptables_nft_chain"]
    return calls * prices["tool.start"] + size.known * prices["proxy.look"] + size.written * line + reread


def _iptables_legacy(size: SyncSize, prices: Prices, full: bool) -> float:
    """The same of the legacy back-end, which reads and puts back the whole table however little is changed."""
    calls = 1 + (2 * JUMPS if full else 0)
    reread = 0.0 if full else size.there * prices["tool.iptables_existing"]
    looked, made = size.known * prices["proxy.look"], size.written * prices["proxy.line"]
    return calls * prices["tool.start"] + looked + made + legacy_restore_seconds(size.written, prices) * 1e9 + reread


def _nftables(size: SyncSize, prices: Prices, full: bool) -> float:
    """One nft -f, without its maps; beside a table that is there, nft reads what it refers to first."""
    reread = 0.0 if full else size.there * prices["tool.nft_existing"]
    line = prices["proxy.line"] + prices["tool.nft_line"]
    return prices["tool.start"] + size.known * prices["proxy.look"] + reread + size.written * line


def _ipvs(size: SyncSize, prices: Prices, full: bool) -> float:
    """Netlink calls, an ipset restore and an iptables-restore; each address is compared with those before it."""
    compared = size.each**2 / 2 * prices["tool.address_growth"]
    looked = size.known * prices["proxy.look"]
    return 2 * prices["tool.start"] + looked + size.written * prices["tool.netlink"] + compared


def _ebpf(size: SyncSize, prices: Prices, full: bool) -> float:
    return size.written * prices["tool.map_update"]


LEGACY = "iptables-legacy"
"""Of iptables mode, where the node's tool is the legacy one: distributions before Linux 4.18 have no other, and those
without nf_tables."""
NFT_BACK_END = (4, 18)
SYNCS: Mapping[str, Callable[[SyncSize, Prices, bool], float]] = {
    "iptables": _iptables,
    LEGACY: _iptables_legacy,
    "nftables": _nftables,
    "ipvs": _ipvs,
    "ebpf": _ebpf,
}
"""Nanoseconds of a sync by proxy mode, verdict maps left out."""
