"""M/M/c as a runner of studies: rate and work of the first traffic entry, ``dns.workers`` servers."""

from __future__ import annotations

from heapq import heapreplace

import numpy as np

from netsim.scenario import Scenario
from netsim.study.outcome import Edge, Measured, Scalar

CUSTOMERS = 20_000
WARMUP = 4_000


def queue_point(scenario: Scenario, *, seed: int, replication: int) -> Measured:
    traffic = scenario.traffic[0]
    servers, rate, work = scenario.dns.workers, traffic.rate.per_pod, traffic.work.mean
    # unit exponentials scaled: two rates differ by the rate alone (common random numbers)
    draws = np.random.default_rng((seed, replication))
    arrivals = np.cumsum(draws.standard_exponential(CUSTOMERS)) / rate
    services = draws.standard_exponential(CUSTOMERS) * work
    free = [0.0] * servers
    sojourns = np.empty(CUSTOMERS)
    for number, (arrival, service) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True)):
        end = max(arrival, free[0]) + service
        heapreplace(free, end)
        sojourns[number] = end - arrival
    busy = float(services.sum()) / servers / float(arrivals[-1])
    return Measured(
        edges=(Edge("clients->queue"),),
        edge=np.zeros(CUSTOMERS - WARMUP, dtype=np.int32),
        start_s=arrivals[WARMUP:],
        times={"latency": sojourns[WARMUP:]},
        scalars=(
            Scalar("scenario", "pool", "utilization", "max", busy, "1"),
            Scalar("station", "servers", "utilization", "mean", busy, "1"),
        ),
    )
