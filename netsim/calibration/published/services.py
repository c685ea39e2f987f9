"""Questions about Services: the first packet of a connection, requests a second on kept and on new connections."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.policies import reads_requests
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost, Untimed
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.transport import host_cpu
from netsim.cluster.service_rules.config import ProxyConfig
from netsim.cluster.service_rules.counts import by_name, total
from netsim.errors import InputError, Place

GRID = 101
"""Points of each distribution when two are added."""


def stated_percentile(row: Row) -> float | None:
    """Return the percentile a row states, in its metric's name or its configuration, as a fraction.

    ``p99``, ``99th``, ``p99.9``, ``p999``, ``p9999``, and ``percentile=99``; ``median`` is the 50th.
    """
    own, name = row.setting.text("percentile").lower(), row.metric.lower()
    found = _PERCENTILE.search(name) or _PERCENTILE.search(own) or re.fullmatch(r"(\d+(?:\.\d+)?) ?%?", own)
    if found is None:
        return 0.5 if "median" in f"{name} {own}" else None
    digits = next(filter(None, found.groups()))
    nines = re.fullmatch(r"99\d+", digits)  # p999 is the 99.9th
    return float(digits) / (10 ** len(digits) if nines else 100)


_PERCENTILE = re.compile(r"(?<![a-z])p_?(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)th(?![a-z])")


def percentile_of(row: Row) -> float:
    """Return the percentile a row states, the median without one."""
    stated = stated_percentile(row)
    return 0.5 if stated is None else stated


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """A percentile of the round trip of a connection's first packet through a Service.

    The Service's place in the list is uniform, so a linear list adds ``scan x U(0, 1)`` to a part that does not depend
    on Services; both have a spread of their own (caches that others fill, interrupts). That part's percentiles come
    from baseline rows (a mode without a list), or from the model's time and the usual spread of such times.

    Both ends are taken to be on one node: publications whose first percentiles are below any round trip between hosts
    leave no room for a second one, which would walk the whole list once more.
    """

    percentile: float
    kind: str = "first-packet"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the round trip without the list."""
        ways = bench.ways(one_node(setting))
        work = ways.first.work(1, 0.0) + ways.first_reply.work(1, 0.0)
        return Cost(work, ways.first.waiting() + ways.first_reply.waiting())

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time itself."""
        return row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Rows of modes that walk a list are not flat."""
        return not bench.ways(one_node(row.setting)).scan

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the percentile of the sum of both parts."""
        # rules of kube-proxy are walked by the few first packets only: out of cache
        scan = bench.ways(one_node(setting)).scan * bench.factor
        flat = self._flat(bench, setting)
        if not scan:
            return Answer(float(np.interp(self.percentile, PROBABILITIES, flat)))
        tail, shares = bench.figure("tail.walk"), (np.arange(GRID) + 0.5) / GRID
        spread = np.interp(shares, WALK_SHARES, [*WALK_SPREAD, tail**0.4, tail, tail])
        walk = np.quantile(np.multiply.outer(shares * scan, spread), shares)
        both = np.add.outer(np.interp(shares, PROBABILITIES, flat), walk)
        return Answer(float(np.quantile(both, self.percentile)))

    def _flat(self, bench: Bench, setting: Setting) -> npt.NDArray[np.float64]:
        """Return the flat part at `PROBABILITIES`."""
        cost = self.cost(bench, setting)
        known: dict[float, float] = {}
        for row, question in bench.baselines(self.kind):
            if isinstance(question, FirstPacket) and question.informs(bench, row):
                own = question.cost(bench, row.setting)
                added = bench.factor * (cost.work - own.work) * bench.figure("transfer.added_work")
                shift = added + cost.waiting - own.waiting
                known[question.percentile] = row.quantity.si + shift
        if known:
            shares = sorted(known)
            values: npt.NDArray[np.float64] = np.interp(PROBABILITIES, shares, [known[share] for share in shares])
            return np.maximum(values, 1e-9)
        middle = cost.waiting + bench.factor * cost.work
        tail = bench.figure("tail.first_packet")
        spread: npt.NDArray[np.float64] = np.interp(
            PROBABILITIES, [0.0, 0.01, 0.5, 0.9, 0.99, 1.0], [0.5, 0.6, 1.0, tail**0.4, tail, tail]
        )
        return middle * spread


def one_node(setting: Setting) -> Setting:
    """Return the setting with both ends on one node, behind a Service."""
    return setting.but(path="pod-service-same-node")


WALK_SHARES, WALK_SPREAD = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0), (0.8, 0.84, 0.9, 1.0)
"""Times of one and the same walk over their median, up to it (source ``walks``); above they reach ``tail.walk``."""
PROBABILITIES = np.array([0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0])


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests a second of a saturated pair of nodes, one client and one server, on connections kept or made for each.

    The busier node decides: the client's walks half of the Service list for each new connection, the server's all of
    it, because a packet to a pod's own address matches no Service.
    """

    keepalive: bool
    calibrates: int = 0

    @property
    def kind(self) -> str:
        """Kept and new connections are different work."""
        return "requests-kept" if self.keepalive else "requests-new"

    @property
    def stands_in(self) -> str:
        """Where no baseline row makes connections, one that keeps them tells what the programs do for a request."""
        return "requests-kept"

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the busier node's CPU time for one request, over its cores; a usual program's is in it."""
        busy = replace(bench, _prices=dict(bench.busy), _ways={}) if not self.keepalive else bench
        test = "round-trip" if self.keepalive else "connection"
        client, server = (host_cpu(busy, setting, test, side).work for side in ("client", "server"))
        server += bench.figure("l7.request") if reads_requests(setting) else 0.0
        return Cost((max(client, server) + bench.figure("program.request")) / bench.hardware.cores)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time between two requests."""
        return 1.0 / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return requests a second; on kept connections Services make no difference."""
        flat = self.keepalive and bench.anchor(self, setting) is not None
        return Answer(1.0 / seconds, flat, "kept connections" if flat else "")


@dataclass(frozen=True, slots=True)
class KeptChange(Untimed):
    """Change of the request rate on kept connections through more Services: conntrack remembers, so none."""

    kind: str = "kept-change"
    calibrates: int = 0

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the relative difference of an established packet's work with and without the other Services."""
        few = bench.ways(setting.but(services="1")).forward.work()
        return Answer(bench.ways(setting).forward.work() / few - 1, True, "flat")


@dataclass(frozen=True, slots=True)
class RuleCount(Untimed):
    """Rules kube-proxy writes: of a chain, of tables, or as the lines of ``iptables-save``, which declares chains too.

    Where nodes have no range of pod addresses, kube-proxy is told none, and leaves out the rules that look for sources
    outside it (``--cluster-cidr``).
    """

    chain: str = ""
    tables: tuple[str, ...] = ("nat", "nat_chains", "filter", "filter_chains")
    kind: str = "rules"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return nothing: counted, not timed. Raises `InputError` where the row names no number of Services."""
        if "services" not in setting:
            raise InputError("rules are counted of a number of Services", place=Place(field="configuration.services"))
        return Cost(0.0)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return what the model's own rule sets count."""
        subject = bench.subject(setting)
        config = ProxyConfig(local_cidrs=None if subject.plugin.pod_cidr_per_node else ())
        counts = bench.testbed.rule_counts(subject, config)
        if self.chain:
            return Answer(float(by_name(counts, "nat").get(self.chain, 0)))
        return Answer(float(sum(total(counts, table) for table in self.tables)))


@dataclass(frozen=True, slots=True)
class TableBound:
    """Connections a second at which a connection table is full: entries over their lifetime (Little's law)."""

    kind: str = "table-bound"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return nothing: a bound, not work."""
        return Cost(0.0, 1.0 / self._rate(setting))

    @staticmethod
    def _rate(setting: Setting) -> float:
        def first(keys: tuple[str, ...], default: float) -> float:
            return next((setting.number(key) for key in keys if key in setting), default)

        entries = first(TABLE_SIZES, DEFAULT_ENTRIES)
        return entries / first(("lifetime", "time_wait", "time_wait_s", "timeout", "timeout_s"), TIME_WAIT_S)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time between two connections."""
        return 1.0 / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Never."""
        return False

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the rate."""
        return Answer(self._rate(setting))


TABLE_SIZES = ("entries", "nf_conntrack_max", "conntrack_max", "conntrack_entries", "table_size")
"""Keys that say how many connections a table holds."""
DEFAULT_ENTRIES = 131072
"""kube-proxy's smallest ``nf_conntrack_max`` (--conntrack-min)."""
TIME_WAIT_S = 120.0
"""``nf_conntrack_tcp_timeout_time_wait``."""
