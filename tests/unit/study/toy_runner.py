"""A stand-in for the engine: an M/M/1 queue per replication, fast and picklable."""

from __future__ import annotations

import os
import zlib

import numpy as np

from netsim.errors import InputError
from netsim.scenario import Scenario, build
from netsim.study.outcome import Edge, HopTime, Impossible, Measured, PartTime, Scalar

DOCUMENT = {
    "name": "toy",
    "question": "how long is the queue?",
    "cluster": {"synthetic": {"nodes": 4}},
    "traffic": [{"from": "all", "to": "shop", "rate": "10/s"}],
    "run": {"replications": 4, "seed": 7, "transactions": 500},
}


def scenario(**changes: object) -> Scenario:
    return build({**DOCUMENT, **changes})


def waits(rng: np.random.Generator, n: int, load: float) -> np.ndarray:
    """Sojourn times of M/M/1 by Lindley's recursion, vectorised: W = S - running minimum of S."""
    steps = rng.exponential(1.0, n) - rng.exponential(1.0 / load, n)
    walk = np.concatenate(([0.0], np.cumsum(steps)))
    return walk[:-1] - np.minimum.accumulate(walk)[:-1] + rng.exponential(1.0, n)


def measure(point: Scenario, *, seed: int, replication: int, load: float = 0.5) -> Measured:
    name = f"{seed}/{replication}/{point.cluster.nodes}".encode()
    rng = np.random.default_rng(zlib.crc32(name))
    n = point.run.transactions
    latency = waits(rng, n, load) * 1e-3 * (1 + (point.cluster.nodes or 0) / 100)
    edge = (np.arange(n) % 4 == 0).astype(np.int32)
    dns = np.where(edge == 0, latency * 0.25, np.nan)
    return Measured(
        edges=(Edge("web->shop", "shop"), Edge("shop->db", "db", top=False)),
        edge=edge,
        start_s=np.arange(n) * 1e-3,
        times={"latency": latency, "dns": dns},
        scalars=(
            Scalar("scenario", "", "throughput", "mean", 1000.0 + replication, "1/s", n),
            Scalar("node", "node-10", "utilization", "mean", 0.5, "1"),
            Scalar("node", "node-2", "utilization", "mean", 0.25, "1"),
        ),
        hops=(
            HopTime("web->shop", "veth", "sender core", 2e-6, 2.0),
            HopTime("shop->db", "veth", "sender core", 1e-6, 2.0),
        ),
        parts=(PartTime("scenario", "", "p99", "dns", "wait", "queue", float(latency.max()), 10 + replication),),
        notes=("clients: all",),
    )


def run(point: Scenario, *, seed: int, replication: int) -> Measured | Impossible:
    match point.cluster.nodes:
        case 400:
            return Impossible("the route table of the cloud ends at 400 nodes")
        case 13:
            raise RuntimeError("broken on purpose")
        case 14:
            raise InputError("more pods than addresses", got=14)
        case 15 if replication == 1:
            os._exit(1)
    return measure(point, seed=seed, replication=replication)


def forbidden(point: Scenario, *, seed: int, replication: int) -> Measured:
    raise AssertionError("a finished replication was run again")
