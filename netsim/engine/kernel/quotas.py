"""CPU limits: a pod that has used its quota up stands still until the next period.

``resources.limits.cpu`` becomes a quota of CPU time every 100 ms. What the pod's thread does is charged to it: system
calls and the application's work, not the interrupt work on its behalf. Once the quota is spent the thread stalls until
the period ends, while other pods use the core. A pod's thread runs on one core, so a limit of a core or more never
binds here. The work of clients that nobody follows takes its part of the quota evenly.

Sources: Linux Documentation/scheduler/sched-bwc.rst (quota and period, 100 ms); Kubernetes sets ``cpu.max`` to the
limit times the period (kubelet ``--cpu-cfs-quota-period``). Slices of 5 ms that cores take of a quota are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum
from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Notice
from netsim.engine.queueing.grid import on_grid

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.engine.background.load import Flow
    from netsim.engine.network import Party
    from netsim.engine.queueing.burst import Burst, Leg
    from netsim.engine.queueing.stations import CoreCharge

PERIOD_S = on_grid(0.1)
LEAST_SHARE = 0.01
"""Followed work keeps at least this share of a quota."""


class Quota:
    """The CPU time of one pod: ``quota_s`` every `PERIOD_S`; periods begin ``phase_s`` after a multiple of it."""

    __slots__ = ("_begin_s", "_free_s", "_used_s", "quota_s", "stalled_s", "stalls")

    def __init__(self, quota_s: float, phase_s: float = 0.0) -> None:
        self.quota_s = on_grid(quota_s)
        self._begin_s, self._used_s, self._free_s = on_grid(phase_s) - PERIOD_S, 0.0, 0.0
        self.stalls, self.stalled_s = 0, 0.0

    def take(self, now: float, work_s: float) -> float:
        """Take the time for some work; return when it would have to start to end, without a break, when it will end.

        The pod's work is done in order; its stalls are in front of the work that runs into them.
        """
        at = max(now, self._free_s)
        began, left = at, work_s
        while True:
            if at >= self._begin_s + PERIOD_S:
                passed = (at - self._begin_s) // PERIOD_S
                self._begin_s, self._used_s = self._begin_s + passed * PERIOD_S, 0.0
            end = self._begin_s + PERIOD_S
            run = min(left, self.quota_s - self._used_s, end - at)
            at, left, self._used_s = at + run, left - run, self._used_s + run
            if left <= 0.0:
                break
            if at < end:
                self.stalls += 1
                at = end
        self._free_s = at
        self.stalled_s += at - began - work_s
        return at - work_s


class QuotaLeg:
    """A pod's thread as a leg, behind its quota."""

    __slots__ = ("_leg", "_quota")

    def __init__(self, quota: Quota, leg: Leg) -> None:
        self._quota, self._leg = quota, leg

    def thread(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Serve a burst when the quota allows it."""
        start = self._quota.take(now, charge[0])
        if start <= now:
            return self._leg(burst, now, charge)

        def resume(at: float) -> None:
            later = self._leg(burst, at, charge)
            if later is not None:
                burst.clock.at(later, burst.advance)

        Notice(burst.clock, start, resume)
        return None


class Quotas:
    """The quotas of a replication's pods, made on first use.

    Parameters
    ----------
    cluster: gives limits.
    phase: draws when a pod's periods begin, 0 to 1.

    ``unseen`` is the traffic of clients nobody follows.
    """

    def __init__(self, cluster: Cluster, phase: Callable[[str], float]) -> None:
        self._cluster, self._phase = cluster, phase
        self.unseen: Sequence[Flow] = ()
        self.quotas: dict[int, Quota | None] = {}

    @staticmethod
    def over(cluster: Cluster, phase: Callable[[str], float]) -> Quotas | None:
        """Return the quotas of a cluster, `None` where no limit can bind."""
        templates = {id(pod.template): pod.template for pod in cluster.pods}
        limits = (template.cpu_limit_millis for template in templates.values())
        return Quotas(cluster, phase) if any(limit is not None and limit < 1000 for limit in limits) else None

    def behind(self, party: Party, leg: Leg) -> Leg:
        """Return a thread's leg, behind the party's quota if it has one."""
        if not isinstance(party, int):
            return leg
        if party not in self.quotas:
            self.quotas[party] = self._quota(party)
        quota = self.quotas[party]
        return leg if quota is None else QuotaLeg(quota, leg).thread

    def _quota(self, pod: int) -> Quota | None:
        limit = self._cluster.pods[pod].template.cpu_limit_millis
        if limit is None or limit >= 1000:
            return None
        share = max(limit / 1000.0 - thread_load(self.unseen, pod), LEAST_SHARE * limit / 1000.0)
        return Quota(PERIOD_S * share, PERIOD_S * self._phase(self._cluster.pods[pod].key))


def thread_load(flows: Sequence[Flow], pod: int) -> float:
    """Return the seconds of work a second that flows bring to a pod's thread."""
    return fsum(
        flow.rate_at(end) * job.service_s * job.per_transaction
        for flow in flows
        for end, members in flow.ends
        if pod in members
        for job in flow.jobs.get((end, "thread"), ())
    )
