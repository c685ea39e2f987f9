"""How late a change of endpoints reaches a node's rules.

    late = batch + delay of the API + time to the end of the sync that holds it + rounding of the stamp

When syncs run is what the model says of any proxy (`netsim.datapath.pacing`). The stamp that the change carries is the
time at which a pod became ready, cut to whole seconds (``metav1.Time`` holds no less; endpointslice
``TriggerTimeTracker``), so what is measured is up to a second more than what passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gamma

import numpy as np
import numpy.typing as npt

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.syncing import full_sync, load_of, one_change, writes_everything
from netsim.datapath.pacing import FULL_SYNC_PERIOD_S, Pace, waits

BATCH_S, BATCHED_NODES = 0.5, 5000
"""Endpoint updates are collected for so long in tests of so many nodes (``--endpointslice-updates-batch-period``,
kubernetes/test-infra PR 22446); the flag's default is not to."""
STAMP_S = 1.0
"""Resolution of the times in Kubernetes' objects."""
SYNC_PERIOD_S = 60.0
"""``--iptables-sync-period`` of those tests' clusters (kubernetes/kubernetes, cluster/gce/gci/configure-helper.sh)."""
_GRID = (np.arange(200) + 0.5) / 200
_COARSE = (np.arange(50) + 0.5) / 50
"""Shares at which distributions are added: the delay's tail is long, those of the waits end."""


@dataclass(frozen=True, slots=True)
class Late:
    """A percentile of the time from a change of endpoints to its last line on a node.

    One baseline row in which every sync is a full one gives the time of a full sync, one of partial syncs that of a
    partial one; without them both are the model's.
    """

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
        """Return the percentile."""
        whole = full_sync(bench, setting, again=True)
        full = self._known(bench, "a full sync, s", True, whole, lambda of, s: _pace(of, s, s))
        if writes_everything(setting):
            return Answer(_late(bench, setting, _pace(setting, full, full), self.percentile))
        one = one_change(bench, setting)
        part = self._known(bench, "a partial sync, s", False, one, lambda of, s: _pace(of, s, full))
        return Answer(_late(bench, setting, _pace(setting, part, full), self.percentile))

    @staticmethod
    def _known(bench: Bench, name: str, full: bool, modelled: float, pace: Callable[[Setting, float], Pace]) -> float:
        """Return the time of a sync that a baseline row of its kind gives, solved for once a draw, else the model's."""
        rows = ((row, q) for row, q in bench.baselines("programming") if isinstance(q, Late))
        found = next(((row, q) for row, q in rows if writes_everything(row.setting) == full), None)
        if found is None:
            return modelled
        row, question = found
        fitted = bench.parameters.get(row.id)
        if fitted is not None:
            return fitted.value
        value = _solve(lambda s: _late(bench, row.setting, pace(row.setting, s), question.percentile), row.quantity.si)
        bench.note(f"{name} ({row.id})", value, row.id)
        return value


def _pace(setting: Setting, sync_s: float, full_s: float) -> Pace:
    """Return how a row's proxy syncs. While partial syncs had a feature gate, each ``syncPeriod`` had a full one.

    KEP-3453 ("at least once every iptablesSyncPeriod"); afterwards one an hour is left.
    """
    least = setting.number("min_sync_s", 1.0)
    if writes_everything(setting):
        return Pace(least, full_s)
    return Pace(least, sync_s, full_s, SYNC_PERIOD_S if "feature" in setting else FULL_SYNC_PERIOD_S)


def _late(bench: Bench, setting: Setting, pace: Pace, percentile: float) -> float:
    """Return a quantile of batch + Weibull delay (exponential at shape 1) + wait for and time of a sync + stamp."""
    nodes, stretch = setting.number("nodes"), 1 / bench.figure("api.delay_shape")
    mean = bench.figure("api.delay") + nodes * bench.figure("api.delay_node")
    delay = (-np.log1p(-_GRID)) ** stretch * mean / gamma(1 + stretch)
    synced = np.add.outer(waits(pace, _COARSE), _COARSE * STAMP_S).ravel()
    late: npt.NDArray[np.float64] = np.add.outer(np.quantile(synced, _COARSE), delay).ravel()
    batch = BATCH_S if nodes >= BATCHED_NODES else 0.0
    return batch + float(np.quantile(late, percentile))


def _solve(function: Callable[[float], float], target: float) -> float:
    """Return where a rising, nearly straight function of seconds reaches a target; 0 where it starts above."""
    low, high = 0.0, max(target, 1.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return float(np.interp(target, (function(low), function(high)), (low, high)))


HALVINGS = 9
