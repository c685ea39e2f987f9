"""CPU limits: stalls once a quota is used up."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pytest

from netsim.engine.kernel.quotas import PERIOD_S, Quota, QuotaLeg
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.stations import Core, CoreCharge
from netsim.engine.run import run_replication
from netsim.scenario import load
from netsim.study.runner import model_of

MS = on_grid(1e-3)


def end_of(quota: Quota, now: float, work_s: float) -> float:
    return quota.take(now, work_s) + work_s


@pytest.mark.parametrize("work_ms", [1, 19, 20, 21, 40, 41, 90, 500])
def test_one_job_takes_a_period_for_every_quota(work_ms: int) -> None:
    """From the start of a period W of work on Q a period ends at (ceil(W/Q) - 1) periods and what is left."""
    quota, work = Quota(20 * MS), work_ms * MS
    whole = ceil(work_ms / 20) - 1
    assert end_of(quota, 0.0, work) == pytest.approx(whole * PERIOD_S + work - whole * 20 * MS, abs=1e-9)


def test_periodic_work_below_the_quota_never_stalls_and_above_it_gets_the_quota() -> None:
    below, above = Quota(20 * MS), Quota(20 * MS)
    for number in range(100):
        assert below.take(number * 10 * MS, 2 * MS) == number * 10 * MS
        last = end_of(above, number * 10 * MS, 4 * MS)
    assert below.stalls == 0
    assert last == pytest.approx(100 * 4 * MS / (20 * MS) * PERIOD_S, abs=PERIOD_S)


def test_a_job_across_the_end_of_a_period_is_charged_to_both() -> None:
    quota = Quota(20 * MS)
    assert end_of(quota, 90 * MS, 29 * MS) == pytest.approx(0.119, abs=1e-9)  # 10 ms before, 19 ms of the next
    assert end_of(quota, 0.12, 3 * MS) == pytest.approx(2 * PERIOD_S + 2 * MS, abs=1e-9)


def test_others_use_the_core_while_a_pod_stalls() -> None:
    clock, core = Clock(), Core("core")
    leg = QuotaLeg(Quota(20 * MS), core.thread)
    done: list[float] = []
    for _ in range(2):
        Burst(clock, (leg.thread, deliver), (CoreCharge(20 * MS), None), 0, done.append)
    other: list[float] = []
    Burst(clock, (core.thread, deliver), (CoreCharge(30 * MS), None), 0, other.append)
    clock.run()
    assert done == pytest.approx([20 * MS, PERIOD_S + 20 * MS])
    assert other == pytest.approx([50 * MS])


MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 1
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: api, image: api, resources: {limits: {cpu: LIMIT}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: web}]}
"""


@pytest.mark.parametrize(
    ("limit", "enforced", "stalls"), [("200m", True, True), ("200m", False, False), ("2", True, False)]
)
def test_limits_of_manifests_show_in_the_tail(tmp_path: Any, limit: str, enforced: bool, stalls: bool) -> None:
    (tmp_path / "app.yaml").write_text(MANIFEST.replace("LIMIT", limit))
    (tmp_path / "scenario.yaml").write_text(
        "{cluster: {manifests: app.yaml, cpu_limits: " + str(enforced).lower() + "}, dns: {lookups: none}, "
        "traffic: [{from: web, to: api, rate: 15/s, work: 5ms, connection: keep-alive}], run: {duration: 10s}}"
    )
    found = run_replication(model_of(load(tmp_path / "scenario.yaml"))[0])
    latency = found.times["latency"]
    assert np.median(latency) < 0.012
    assert bool(np.quantile(latency, 0.99) > 0.03) is stalls
    assert any("CPU limits stalled 1 pods" in note for note in found.notes) is stalls
