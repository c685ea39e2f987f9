"""Questions about programming Services: how long a sync takes, and the tools it calls.

A sync's time is what the model says of any node's (`netsim.datapath.programming`), and what older releases did
besides. How late a change reaches a node by it is asked in `netsim.calibration.published.lateness`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.setting import Setting
from netsim.cluster.objects import IptablesTool, Kernel, older, release
from netsim.datapath.costs import Prices
from netsim.datapath.programming import (
    JUMPS,
    LEGACY,
    SyncSize,
    by_tool,
    full_size,
    legacy_lines,
    legacy_restore_seconds,
    sync_seconds,
)
from netsim.errors import InputError, Place

PODS_PER_NODE = 30
GROUPS = ((0.5, 5), (0.25, 30), (0.25, 250))
"""Load of the scalability tests: share of pods in Deployments of so many (kubernetes/perf-tests, clusterloader2)."""
SERVED = 0.5
"""Half of those Deployments have a Service ("the number of created SVCs is half the number of created Deployments")."""
LOCK_WAIT_S = 5.0
"""kube-proxy calls iptables-restore with ``-w 5``."""
OF_FULL_SYNCS = (6, 8)
"""Linux beside proxies that wrote everything in every sync: in nftables mode up to Kubernetes 1.31 of August 2024, four
weeks after 6.10. Test clusters of GCE had 5.15 or 6.1, which take the same steps (Ubuntu 22.04, kubernetes/test-infra
PR 26847; Container-Optimized OS before 113 has no nftables, PR 32485 and 34096)."""
CREATED_PER_S = 20.0
"""Objects a controller makes a second (--kube-api-qps of kube-controller-manager)."""


def services_of_pods(pods: float) -> float:
    """Return the Services of a scalability test with so many pods."""
    return SERVED * sum(pods * share / size for share, size in GROUPS)


class Load(NamedTuple):
    """What a proxy programs."""

    services: float
    endpoints: float

    def size(self, proxy: str) -> SyncSize:
        """Return the whole table."""
        return full_size(proxy, self.services, self.endpoints)


def load_of(setting: Setting) -> Load:
    """Return the Services a row states, or those of a scalability test with so many nodes. Raises `InputError`."""
    keys = ("services", "services_existing", "services_clusterip")
    services = next((setting.number(key) for key in keys if key in setting), 0.0)
    if services:
        each = setting.number("endpoints_per_service", 1.0)
        return Load(services, setting.number("endpoints", services * each))
    if "nodes" in setting:
        pods = setting.number("nodes") * PODS_PER_NODE
        return Load(services_of_pods(pods), SERVED * pods)
    raise InputError("the configuration does not say how many Services", place=Place(field="configuration.services"))


def _prices(bench: Bench) -> Prices:
    """Return the prices of the case's machine."""
    return bench.prices().on(bench.factor)


def _work(bench: Bench, key: str) -> float:
    """Return the time of a step of a tool on the case's machine."""
    return bench.figure(key) * bench.factor


def _proxy(bench: Bench, setting: Setting) -> str:
    """Return how a row's proxy programs; the tool of iptables mode by the row, else by its hosts."""
    known = {"ipvs": "ipvs", "nft": "nftables", "bpf": "ebpf", "cilium": "ebpf"}
    usual = by_tool("iptables", _tool(bench, setting))
    return next((mode for word, mode in known.items() if word in setting.text("proxy").lower()), usual)


def _tool(bench: Bench, setting: Setting) -> IptablesTool:
    stated = setting.text("backend").lower()
    if stated:
        return "legacy" if "legacy" in stated else "nft"
    return "legacy" if older(cluster_release(bench, setting), OF_BOTH_TOOLS) else bench.hardware.iptables


def cluster_release(bench: Bench, setting: Setting) -> Kernel | None:
    """Return the release of Kubernetes that a row or its testbed states."""
    stated = release(setting.text("k8s", setting.text("kubernetes")).lstrip("v"))
    found = re.search(r"(?:k8s|Kubernetes) v?(\d+\.\d+)", bench.hardware.description, re.IGNORECASE)
    return stated or (release(found[1]) if found else None)


def _kernel(bench: Bench, setting: Setting) -> Kernel | None:
    """Return the release of Linux a row states, or its testbed, or that of the time of the proxy's release."""
    stated = release(setting.text("kernel")) or bench.hardware.kernel_version
    return OF_FULL_SYNCS if stated is None and writes_everything(setting) else stated


def writes_everything(setting: Setting) -> bool:
    """Tell whether every sync writes everything, in releases without partial syncs."""
    return _off(setting, "partial_sync", "patch", "feature")


def writes_changes(setting: Setting) -> bool:
    """Tell whether a row says that its release writes changes alone."""
    stated = any(key in setting for key in ("partial_sync", "feature"))
    return stated and not writes_everything(setting)


def sync(bench: Bench, setting: Setting, *, again: bool = False, ordinary: bool = False) -> float:
    """Return seconds of a sync of which a row does not say whether it writes everything.

    It writes changes alone where the release does, and where nothing tells the release but the row is about many syncs
    (``ordinary``), of which few are full ones.
    """
    proxy, known = _proxy(bench, setting), cluster_release(bench, setting)
    since = OF_PARTIAL_SYNCS.get(proxy)
    newer = since is not None and (known >= since if known is not None else ordinary)
    if not again and not writes_everything(setting) and (newer or writes_changes(setting)):
        return one_change(bench, setting)
    return full_sync(bench, setting, again=again)


OF_BOTH_TOOLS = (1, 17)
"""Kubernetes whose kube-proxy takes the back-end that its host uses; the image of older ones had the legacy one alone
(kubernetes/website PR 16271)."""
OF_PARTIAL_SYNCS = {"iptables": (1, 27), LEGACY: (1, 27), "nftables": (1, 32)}
"""Releases of Kubernetes from which the modes write changes alone (KEP-3453, beta; kubernetes PR 126013)."""


def _off(setting: Setting, *keys: str) -> bool:
    return any(setting.text(key).lower() == "off" for key in keys)


def full_sync(bench: Bench, setting: Setting, *, again: bool = False) -> float:
    """Return seconds in which a proxy writes everything, ``again`` over what is there; in ipvs mode, looks at it.

    ipvs compares what is there with what should be at every sync, and loads all members of a set at once; releases
    without that patch started a process for each member.
    """
    load, proxy = load_of(setting), _proxy(bench, setting)
    if proxy != "ipvs":
        size = load.size(proxy)
        size = size._replace(replaced=size.each * again)
        return sync_seconds(proxy, size, _prices(bench), full=True, kernel=_kernel(bench, setting))
    entries = load.services * (2.0 if "external_ips" in setting else 1.0)
    looked = SyncSize(3 * entries + load.endpoints, entries, known=load.services + load.endpoints)
    one_by_one = _off(setting, "patch") or setting.text("ipset").startswith("one")
    members = entries * _work(bench, "tool.start") if one_by_one else 0.0
    return members + sync_seconds(proxy, looked, _prices(bench))


def one_change(bench: Bench, setting: Setting) -> float:
    """Return seconds in which a proxy writes one Service beside those there are."""
    load, proxy = load_of(setting), _proxy(bench, setting)
    there = load.size(proxy)
    if proxy == "nftables" and _off(setting, "patch"):
        return listing(bench, setting)  # of a release that listed all objects before it wrote
    if writes_everything(setting):
        return full_sync(bench, setting, again=True)
    one = full_size(proxy, 1.0, load.endpoints / load.services)
    # ipvs asks for each virtual server twice, iptables writes the list of all Services again
    besides = {"ipvs": 2 * load.services, "iptables": load.services, LEGACY: load.services}.get(proxy, 0.0)
    changed = SyncSize(one.written + besides, there.there, one.each, there.known)
    return sync_seconds(proxy, changed, _prices(bench), kernel=_kernel(bench, setting))


def restore(bench: Bench, setting: Setting) -> float:
    """Return seconds of one iptables-restore of a whole table, the wait for a contended lock included."""
    lines = setting.number("lines") or load_of(setting).size("iptables").written
    waits = LOCK_WAIT_S if "contended" in setting.text("lock") else 0.0
    nft = "nft" in setting.text("backend")
    written = lines * _work(bench, "tool.iptables_nft_line") if nft else legacy_restore_seconds(lines, _prices(bench))
    return waits + _work(bench, "tool.start") + written


def add_rules(bench: Bench, setting: Setting) -> float:
    """Return seconds to add a few rules: legacy iptables reads the table and puts it back, the kernel checks it all."""
    return _work(bench, "tool.start") + setting.number("rules") * _work(bench, "tool.iptables_existing")


def sync_by_commands(bench: Bench, setting: Setting) -> float:
    """Return seconds of a sync that calls iptables for every rule, to make sure of it in a table that has them all."""
    return setting.number("rules") * add_rules(bench, setting)


def program_all(bench: Bench, setting: Setting) -> float:
    """Return seconds until Services that appear one after the other are all programmed.

    The last one waits for the sync that is running when it appears, half of one on average, and for its own.
    """
    return load_of(setting).services / CREATED_PER_S + 1.5 * one_change(bench, setting)


def listing(bench: Bench, setting: Setting) -> float:
    """Return seconds in which nft lists all that a proxy has written."""
    size = load_of(setting).size("nftables")
    listed = size.there * _work(bench, "tool.nft_list") + size.each**2 * _work(bench, "tool.nft_list_map")
    return _work(bench, "tool.start") + listed


def memory(bench: Bench, setting: Setting) -> float:
    """Return bytes a proxy keeps: what it watches, the text of what it writes at once, and the tool that reads it."""
    load, proxy = load_of(setting), _proxy(bench, setting)
    watched = load.services * bench.figure("proxy.service_bytes")
    watched += load.endpoints * bench.figure("proxy.endpoint_bytes")
    size, nft = load.size(proxy), proxy == "nftables"
    if setting.text("partial_sync") == "on":
        at_once = size.there * bench.figure("tool.nft_there_bytes") if nft else 0.0
    else:
        line = bench.figure("proxy.line_bytes") + (bench.figure("tool.nft_line_bytes") if nft else 0.0)
        at_once = size.written * line
    return bench.figure("proxy.base_bytes") + watched + at_once


def endpoints_at_the_lock(bench: Bench, setting: Setting) -> float:
    """Return how many endpoints a legacy iptables-restore writes in as long as others wait for its lock."""
    return legacy_lines(LOCK_WAIT_S, _prices(bench)) / full_size("iptables", 0.0, 1.0).written


def calls_before_restore(bench: Bench, setting: Setting) -> float:
    """Return the calls of iptables in a full sync beside the restore."""
    return 2.0 * JUMPS


def added_by_pace(bench: Bench, setting: Setting) -> float:
    """Return the mean wait for the next sync: half of the period."""
    return setting.number("min_sync_s") / 2


def lock_limit(bench: Bench, setting: Setting) -> float:
    """Return how long kube-proxy waits for the lock of iptables."""
    return LOCK_WAIT_S
