"""Random faults on random traffic: every run passes its own audit, and is the same again."""

from __future__ import annotations

import random
from typing import Any

import pytest

from netsim.engine.run import run_replication
from netsim.errors import InputError
from netsim.scenario import build
from netsim.study.runner import model_of

QUICK = {
    "node_grace": "50ms", "node_check": "10ms", "lease_renewal": "20ms", "container_check": "20ms",
    "readiness_period": "20ms", "propagation": "5ms", "min_sync": "10ms",
}  # fmt: skip
TRAFFIC: list[dict[str, Any]] = [
    {},
    {"connection": "keep-alive", "pool": 2, "work": {"exponential": "3ms"}},
    {"closed": {"concurrency": 3, "think": "1ms"}},
    {"response": "200KiB", "request": "100KiB"},
    {"then": [{"to": "service-2", "parallel": True, "count": 2, "work": "1ms"}, {"to": "service-1", "parallel": True}]},
    {"kind": "udp", "to": "kube-system/kube-dns:53"},
    {"kind": "dns", "to": "example.com"},
    {"from": "external", "entry": "node-port"},
]


def fault(rng: random.Random, nodes: int) -> dict[str, Any]:
    kind = rng.choice(["link-down", "node-loss", "replica-crash"])
    found: dict[str, Any] = {"kind": kind, "at": f"{rng.uniform(0.01, 0.2):.4f}s"}
    if kind == "replica-crash":
        found |= {"service": rng.choice(["service-1", "service-2", "dns"]), "replicas": rng.choice([1, "all"])}
    else:
        found["node"] = f"node-{rng.randint(1, nodes)}"
    return found | ({"for": f"{rng.uniform(0.001, 0.1):.4f}s"} if rng.random() < 0.6 else {})


def document(rng: random.Random) -> dict[str, Any]:
    nodes = rng.randint(2, 4)
    traffic = [
        {"from": "all", "to": "service-1", "rate": "40/s", "name": f"edge-{number}", **rng.choice(TRAFFIC)}
        for number in range(2)
    ]
    return {
        "cluster": {
            "synthetic": {"nodes": nodes, "pods_per_node": rng.randint(1, 3), "services": 2, "namespaces": 1},
            "machine": {"cores": rng.choice([1, 8]), "nic": rng.choice(["100Mbit/s", "10Gbit/s"])},
            "fabric": {"nodes_per_rack": 2},
        },
        "network": {"plugin": rng.choice(["flannel-vxlan", "cilium-vxlan", "calico-ipip"])},
        "dns": {"node_local": rng.random() < 0.3},
        "traffic": traffic,
        "faults": [fault(rng, nodes) for _ in range(rng.randint(1, 3))],
        "convergence": QUICK,
        "run": {"duration": "0.25s", "clients": rng.choice(["all", 2])},
    }


@pytest.mark.parametrize("seed", range(8))
def test_random_faults(seed: int) -> None:
    rng = random.Random(seed)
    while True:
        try:
            model, _ = model_of(build(document(rng)))
            break
        except InputError as error:  # two faults of one thing at a time, or no room for a replica
            assert "broken already" in str(error) or "has no pods" in str(error)
    found, again = (run_replication(model, seed=seed) for _ in range(2))
    assert found.scalars == again.scalars
    assert (found.start_s == again.start_s).all()
    assert found.events > 0
