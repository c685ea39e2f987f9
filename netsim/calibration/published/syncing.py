"""Questions about programming Services: how long a sync takes, and how late a change reaches a node.

A sync's time is counted work: lines written, lines that a tool reads and puts back, processes started. The times of
these were measured with the tools themselves (source ``tools`` of the cost profile). A change waits for its turn:

    late = batch + delay of the API + wait for the next sync + the sync

The wait is uniform over the period, which is the minimum between two syncs or, where a sync takes longer, the sync.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netsim.calibration.published.bench import Answer, Bench, Cost
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.setting import Setting
from netsim.errors import InputError, Place

PODS_PER_NODE = 30
GROUPS = ((0.5, 5), (0.25, 30), (0.25, 250))
"""Load of the scalability tests: share of pods in Services of so many (kubernetes/perf-tests, clusterloader2 load)."""
BATCH_S = 0.5
"""Endpoint updates are collected for so long in those tests (--endpointslice-updates-batch-period)."""
LOCK_WAIT_S = 5.0
"""kube-proxy calls iptables-restore with ``-w 5``."""
CREATED_PER_S = 20.0
"""Objects a controller makes a second (--kube-api-qps of kube-controller-manager)."""
_GRID = (np.arange(200) + 0.5) / 200


class Load(NamedTuple):
    """What a proxy programs."""

    services: float
    endpoints: float

    def lines(self, proxy: str) -> float:
        """Return lines of a whole table: chains and rules, and for nftables also map elements."""
        if proxy == "nftables":
            return 4 * self.services + 3 * self.endpoints
        return 3 * self.services + 4 * self.endpoints


def load_of(setting: Setting) -> Load:
    """Return the Services a row states, or those of a scalability test with so many nodes. Raises `InputError`."""
    keys = ("services", "services_existing", "services_clusterip")
    services = next((setting.number(key) for key in keys if key in setting), 0.0)
    if services:
        each = setting.number("endpoints_per_service", 1.0)
        return Load(services, setting.number("endpoints", services * each))
    if "nodes" in setting:
        pods = setting.number("nodes") * PODS_PER_NODE
        return Load(sum(pods * share / size for share, size in GROUPS), pods)
    raise InputError("the configuration does not say how many Services", place=Place(field="configuration.services"))


def _work(bench: Bench, key: str) -> float:
    """Return the time of a step of a tool on the case's machine."""
    return bench.figure(key) * bench.factor


def _proxy(setting: Setting) -> str:
    return "ipvs" if "ipvs" in setting.text("proxy") else "nftables" if "nft" in setting.text("proxy") else "iptables"


def _off(setting: Setting, *keys: str) -> bool:
    return any(setting.text(key).lower() == "off" for key in keys)


def full_sync(bench: Bench, setting: Setting) -> float:
    """Return seconds in which a proxy writes everything."""
    load, proxy = load_of(setting), _proxy(setting)
    start = _work(bench, "tool.start")
    if proxy == "ipvs":
        entries = load.services * (2.0 if "external_ips" in setting else 1.0)
        # a process for each member of the sets, where members are not loaded at once
        one_by_one = _off(setting, "patch") or setting.text("ipset").startswith("one")
        added = entries * start if one_by_one else start
        return added + (entries + load.endpoints) * _work(bench, "tool.netlink")
    lines = load.lines(proxy)
    if proxy == "nftables":
        # every object that names a chain is checked against those before it: dearer with the size of the transaction
        return start + lines * (_work(bench, "tool.nft_line") + lines * _work(bench, "tool.nft_growth"))
    return start + lines * _work(bench, _line(setting))


def _line(setting: Setting) -> str:
    return "tool.iptables_nft_line" if "nft" in setting.text("backend") else "tool.iptables_line"


def one_change(bench: Bench, setting: Setting) -> float:
    """Return seconds in which a proxy writes one Service beside those there are."""
    load, proxy = load_of(setting), _proxy(setting)
    if proxy == "nftables" and _off(setting, "patch"):
        return _work(bench, "tool.start") + load.lines(proxy) * _work(bench, "tool.nft_list")
    if _off(setting, "partial_sync", "patch", "feature"):
        return full_sync(bench, setting)
    if proxy == "ipvs":
        return _work(bench, "tool.start") + _work(bench, "tool.netlink")
    there = "tool.nft_existing" if proxy == "nftables" else "tool.iptables_existing"
    return _work(bench, "tool.start") + load.lines(proxy) * _work(bench, there)


def restore(bench: Bench, setting: Setting) -> float:
    """Return seconds of one iptables-restore of a whole table, the wait for a contended lock included."""
    lines = setting.number("lines") or load_of(setting).lines("iptables")
    waits = LOCK_WAIT_S if "contended" in setting.text("lock") else 0.0
    return waits + _work(bench, "tool.start") + lines * _work(bench, _line(setting))


def add_rules(bench: Bench, setting: Setting) -> float:
    """Return seconds to add a few rules: legacy iptables reads the table and puts it back, the kernel checks it all."""
    return _work(bench, "tool.start") + setting.number("rules") * _work(bench, "tool.iptables_existing")


def sync_by_commands(bench: Bench, setting: Setting) -> float:
    """Return seconds of a sync that calls iptables for every rule, a table of half the size each time on average."""
    rules = setting.number("rules")
    return rules * (_work(bench, "tool.start") + rules / 2 * _work(bench, "tool.iptables_existing"))


def program_all(bench: Bench, setting: Setting) -> float:
    """Return seconds until Services that appear one after the other are all programmed, the last sync included."""
    last = one_change if not _off(setting, "partial_sync") else full_sync
    return load_of(setting).services / CREATED_PER_S + last(bench, setting)


def memory(bench: Bench, setting: Setting) -> float:
    """Return bytes a proxy keeps: what it watches, and the text of what it writes at once."""
    load, proxy = load_of(setting), _proxy(setting)
    watched = load.services * bench.figure("proxy.service_bytes")
    watched += load.endpoints * bench.figure("proxy.endpoint_bytes")
    at_once = 0.0 if setting.text("partial_sync") == "on" else load.lines(proxy) * bench.figure("proxy.line_bytes")
    return bench.figure("proxy.base_bytes") + watched + at_once


@dataclass(frozen=True, slots=True)
class Late:
    """A percentile of the time from a change of endpoints to its last line on a node."""

    percentile: float
    kind: str = "programming"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return nothing that a machine factor moves."""
        load_of(setting)
        return Cost(0.0)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time."""
        return row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Never by itself: rows are looked up by what they tell."""
        return False

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the percentile; one baseline row of partial syncs gives the API's delay, one of full ones the sync."""
        delay, sync, shape = bench.figure("api.delay"), self._sync(bench, setting), bench.figure("api.delay_shape")
        partial = self._baseline(bench, full=False)
        if partial is not None:
            row, question = partial
            one = self._sync(bench, row.setting)
            delay = _solve(lambda d: self._at(question.percentile, row.setting, d, one, shape), row.quantity.si)
            bench.note(f"delay of the API, s ({partial[0].id})", delay, partial[0].id)
        whole = self._baseline(bench, full=True)
        if whole is not None and _full(setting):
            known, asked = whole
            sync = _solve(lambda s: self._at(asked.percentile, known.setting, delay, s, shape), known.quantity.si)
            bench.note(f"a full sync, s ({whole[0].id})", sync, whole[0].id)
        return Answer(self._at(self.percentile, setting, delay, sync, shape))

    @staticmethod
    def _sync(bench: Bench, setting: Setting) -> float:
        return full_sync(bench, setting) if _full(setting) else _work(bench, "tool.start")

    @staticmethod
    def _baseline(bench: Bench, *, full: bool) -> tuple[Row, Late] | None:
        found = ((row, q) for row, q in bench.baselines("programming") if isinstance(q, Late))
        return next(((row, q) for row, q in found if _full(row.setting) == full), None)

    @staticmethod
    def _at(percentile: float, setting: Setting, delay: float, sync: float, shape: float) -> float:
        """Return a quantile of batch + Weibull delay (exponential at shape 1) + uniform wait + sync."""
        period = max(setting.number("min_sync_s", 1.0), sync if _full(setting) else 0.0)
        late = (-np.log1p(-_GRID)) ** (1 / shape) * delay
        waits: npt.NDArray[np.float64] = np.add.outer(late, _GRID * period).ravel()
        return BATCH_S + sync + float(np.quantile(waits, percentile))


def _full(setting: Setting) -> bool:
    """Tell whether every sync writes everything."""
    return setting.text("feature").lower() == "off"


def _solve(function: Callable[[float], float], target: float) -> float:
    """Return where a rising function of seconds reaches a target, by bisection; 0 where it starts above."""
    low, high = 0.0, 1e5
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return low


def added_by_pace(bench: Bench, setting: Setting) -> float:
    """Return the mean wait for the next sync: half of the period."""
    return setting.number("min_sync_s") / 2


def lock_limit(bench: Bench, setting: Setting) -> float:
    """Return how long kube-proxy waits for the lock of iptables."""
    return LOCK_WAIT_S
