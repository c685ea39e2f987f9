"""Questions about proxies that nobody asks anything of, or too much: their CPU time at rest, how late a busy one is.

At rest kube-proxy asks each half minute whether its rules are still there (``ipt.Monitor``), its collector goes over
all it keeps every two minutes (``forcegcperiod`` of Go's runtime), and it is told all objects again every 15 minutes
(``--config-sync-period``). It writes everything once an hour, but tools that show a process's use look at a minute or
less, and nearly none of these holds that. In
ipvs mode every sync asks the kernel for each virtual server; what set syncs off in releases before 1.20 were the
leaders of scheduler and controller manager, who renewed a record among the Endpoints every two seconds each
(``--leader-elect-retry-period``).
"""

from __future__ import annotations

import re

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.lateness import BATCH_S
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.syncing import cluster_release, full_sync, load_of, memory
from netsim.errors import InputError, Place

CANARIES, CHECKED_S = 2, 30.0
"""One of each family, looked for every ``iptablesSyncPeriod``."""
COLLECTED_S, LIVE, OBJECT_BYTES = 120.0, 0.5, 100.0
"""Go's collector: its period at rest, what of the memory is alive (``GOGC=100`` lets it double), and an object's size.
To mark one is a miss of all caches."""
TOLD_AGAIN_S = 900.0
"""kube-proxy's ``--config-sync-period``, 15 minutes unless set."""
LEADERS, RENEWED_S = 2, 2.0
LEADERS_ELSEWHERE = (1, 20)
"""Release in which leaders are recorded in leases, which no proxy watches; ipvs mode then syncs each ``syncPeriod``."""
DIAL_S = 30.0
"""Kubernetes' Go client gives up a connection after so long (``net.Dialer`` of k8s.io/client-go/transport)."""


def cpu_at_rest(bench: Bench, setting: Setting) -> float:
    """Return how many cores a proxy keeps busy while nothing changes. Raises `InputError` for agents of other kinds."""
    proxy = setting.text("proxy").lower()
    if not re.search("iptables|nft|ipvs|bpf|cilium", proxy):
        raise InputError("what this agent does at rest is not in the model", place=Place(field="configuration.proxy"),
                         got=proxy, allowed="iptables, nftables, ipvs, ebpf")  # fmt: skip
    if "ipvs" in proxy:
        known = cluster_release(bench, setting)
        quiet = known is not None and known >= LEADERS_ELSEWHERE
        look = full_sync(bench, setting) + _node_ports(bench, setting)
        return min(1.0, look / CHECKED_S if quiet else look * LEADERS / RENEWED_S)
    programs = re.search("bpf|cilium", proxy) is not None
    checks = bench.figure("agent.rest") if programs else CANARIES * _seconds(bench, "tool.start") / CHECKED_S
    marked = LIVE * memory(bench, setting) / OBJECT_BYTES * bench.figure("memory.miss") / COLLECTED_S
    load = load_of(setting)
    told = (load.services + load.endpoints) * _seconds(bench, "proxy.look") / TOLD_AGAIN_S
    return min(1.0, checks + marked + told)


def update_latency(bench: Bench, setting: Setting) -> float:
    """Return the mean time until an always busy proxy has written a change: half a sync to wait, then its own."""
    return 1.5 * full_sync(bench, setting)


def _node_ports(bench: Bench, setting: Setting) -> float:
    """Return the time in which releases before 1.16 list the node's addresses, Services' among them, for each port."""
    addresses = load_of(setting).services
    return setting.number("services_nodeport") * addresses * _seconds(bench, "tool.address_list")


def _seconds(bench: Bench, key: str) -> float:
    """Return the time of a step on the case's machine."""
    return bench.figure(key) * bench.factor


# ------------------------------------------------------------------------------------------------ settings


def dial_limit(bench: Bench, setting: Setting) -> float:
    """Return after how long a client of the API gives a connection up."""
    return DIAL_S


def batch_period(bench: Bench, setting: Setting) -> float:
    """Return for how long endpoint updates are collected in tests of 5,000 nodes."""
    return BATCH_S
