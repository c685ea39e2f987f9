"""A runner whose latencies follow a formula of the scenario, so that answers of searches are known exactly."""

from __future__ import annotations

import numpy as np

from netsim.scenario import Scenario
from netsim.study.outcome import Edge, Measured, PartTime, Scalar

SAMPLES = 1000
PROXY_S = {"iptables": 3e-3, "ipvs": 2e-3, "nftables": 1.5e-3, "ebpf": 1e-3}


def latency_of(scenario: Scenario) -> float:
    """Seconds: what the proxy takes, a part that grows with the rate, less with jumbo frames."""
    rate = scenario.traffic[0].rate.per_pod or 0.0
    proxy = PROXY_S[scenario.network.proxy or "iptables"]
    return (proxy + 10e-6 * rate) * (0.8 if scenario.cluster.machine.mtu > 1500 else 1.0)


def formula_point(scenario: Scenario, *, seed: int, replication: int) -> Measured:
    luck = np.random.default_rng((seed, replication)).normal(1.0, 0.01, SAMPLES)
    times = latency_of(scenario) * luck
    rate = scenario.traffic[0].rate.per_pod or 0.0
    return Measured(
        edges=(Edge("a->b"),),
        edge=np.zeros(SAMPLES, dtype=np.int32),
        start_s=np.arange(SAMPLES) / 1000.0,
        times={"latency": times},
        scalars=(
            Scalar("scenario", "core", "utilization", "max", min(1.0, rate / 2000.0), "1"),
            Scalar("scenario", "", "loss", "mean", 0.0, "1"),
            Scalar("station", "node-1/core0", "utilization", "mean", min(1.0, rate / 2000.0), "1"),
            Scalar("station", "node-1/up", "utilization", "mean", 0.01, "1"),
        ),
        parts=(
            PartTime("scenario", "", "all", "request", "work", "application", float(times.mean()) * 0.9, SAMPLES),
            PartTime("scenario", "", "all", "connect", "work", "socket.send", float(times.mean()) * 0.1, SAMPLES),
        ),
    )
