"""What DNS servers ask others, and what they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.engine.run import run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

BASE: dict[str, Any] = {
    "cluster": {"synthetic": {"nodes": 2, "services": 1, "pods_per_node": 2, "namespaces": 1}},
    "run": {"clients": "all", "duration": "2s"},
}
COREFILE = ".:53 {\n  kubernetes cluster.local\n  forward . 8.8.8.8\n  CACHE\n}\n"


@pytest.mark.parametrize(("cache", "asked_again"), [("cache 30", False), ("", True)])
def test_outside_names_wait_for_the_upstream_and_are_cached(cache: str, asked_again: bool) -> None:
    edge = {"from": "all", "to": "www.example.com.", "kind": "dns", "rate": "50/s"}
    dns = {"replicas": 1, "upstream_latency": "3ms", "corefile": COREFILE.replace("CACHE", cache)}
    found = run_replication(model_of(build({**BASE, "traffic": [edge], "dns": dns}))[0])
    times = found.times["dns"][np.argsort(found.start_s)]
    assert 3e-3 < times[0] < 3.5e-3
    assert np.mean(times > 3e-3) == pytest.approx(1.0 if asked_again else 0.0, abs=0.02)
