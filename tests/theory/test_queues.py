"""The queueing part against theory: over seeds 1 to 100, 99 % intervals miss the known value only as often as they may.

Open queues run through the numpy recursion, which `test_reference.py` shows to equal the event engine bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapreplace
from math import factorial

import numpy as np
import pytest
from scipy import stats

from netsim.engine.queueing.burst import Burst
from netsim.engine.queueing.chains import ClosedClient, Fifo, Round
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import array_on_grid
from netsim.engine.queueing.stations import CoreCharge, Pool
from netsim.engine.queueing.vector import lindley, tandem
from netsim.engine.randomness import portable
from netsim.engine.randomness.streams import Streams

SEEDS = range(1, 101)
CONFIDENCE = 0.99
BATCHES = 30
MOST_MISSES = int(stats.binom.ppf(0.999, len(SEEDS), 1.0 - CONFIDENCE))
RHO = 0.8


def interval(samples: np.ndarray) -> tuple[float, float]:
    """Mean and half-width by batch means."""
    kept = samples[len(samples) // 20 :]
    means = kept[: len(kept) // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)
    width = stats.t.ppf(0.5 + CONFIDENCE / 2.0, BATCHES - 1) * means.std(ddof=1) / np.sqrt(BATCHES)
    return float(means.mean()), float(width)


def misses(run: Callable[[int], np.ndarray], expected: float) -> int:
    """Count the seeds whose interval does not hold ``expected``; the median half-width is 5 % of the mean at most."""
    return outside([interval(run(seed)) for seed in SEEDS], expected)


def outside(found: list[tuple[float, float]], expected: float) -> int:
    """Count the intervals (mean, half-width) that miss ``expected``, and check that they are narrow."""
    assert np.median([width / mean for mean, width in found]) <= 0.05
    return sum(abs(mean - expected) > width for mean, width in found)


def arrivals(streams: Streams, count: int) -> np.ndarray:
    return np.cumsum(streams.exponential("arrivals", 1.0 / RHO).take(count))


SERVICES = {
    "M/M/1": (lambda u: -portable.log(u), 2.0, 300_000),
    "M/D/1": (np.ones_like, 1.0, 150_000),
    "M/G/1": (lambda u: np.where(u < 0.9, 0.5, 5.5), 0.9 * 0.25 + 0.1 * 30.25, 700_000),
}


@pytest.mark.parametrize("queue", SERVICES)
def test_single_server(queue: str) -> None:
    """Pollaczek-Khinchine: mean time in system is 1 + ρ E[S²] / (2 (1-ρ)) for E[S] = 1."""
    transform, second_moment, count = SERVICES[queue]

    def run(seed: int) -> np.ndarray:
        streams = Streams(seed)
        times = arrivals(streams, count)
        work = streams.drawing("services", lambda u: array_on_grid(transform(u))).take(count)
        return lindley(times, work) - times

    assert misses(run, 1.0 + RHO * second_moment / (2.0 * (1.0 - RHO))) <= MOST_MISSES


def test_tandem_of_exponential_servers() -> None:
    """Burke and Jackson: the stations of a tandem behave as independent M/M/1 queues."""

    def run(seed: int) -> np.ndarray:
        streams = Streams(seed)
        times = arrivals(streams, 200_000)
        services = [streams.exponential(f"station{n}", mean).take(200_000) for n, mean in enumerate((1.0, 0.75, 0.5))]
        return tandem(times, services) - times

    expected = sum(mean / (1.0 - RHO * mean) for mean in (1.0, 0.75, 0.5))
    assert misses(run, expected) <= MOST_MISSES


def several_servers(times: list[float], works: list[float], servers: int) -> list[float]:
    """Kiefer and Wolfowitz 1955: whoever comes takes the server that is free first."""
    free, stays = [0.0] * servers, []
    for now, work in zip(times, works, strict=True):
        end = max(free[0], now) + work
        heapreplace(free, end)
        stays.append(end - now)
    return stays


def test_several_servers() -> None:
    """Erlang C: mean time in system of M/M/c by the recursion that the engine's pool of workers equals bit by bit."""
    servers, count = 4, 150_000
    load = RHO * servers
    tail = load**servers / factorial(servers) / (1.0 - RHO)
    waits = tail / (sum(load**n / factorial(n) for n in range(servers)) + tail)
    expected = 1.0 + waits / (servers * (1.0 - RHO))

    def sample(seed: int, count: int) -> tuple[list[float], list[float]]:
        streams = Streams(seed)
        times = np.cumsum(streams.exponential("arrivals", 1.0 / load).take(count))
        return times.tolist(), streams.exponential("services", 1.0).take(count).tolist()

    assert misses(lambda seed: np.array(several_servers(*sample(seed, count), servers)), expected) <= MOST_MISSES
    pool, burst = Pool(servers), Burst(Clock(), (lambda *_: None,), ((),))
    times, works = sample(1, 20_000)
    ends = [pool.serve(burst, now, CoreCharge(work)) for now, work in zip(times, works, strict=True)]
    assert [end - now for now, end in zip(times, ends, strict=True)] == several_servers(times, works, servers)


def test_finite_buffer() -> None:
    """M/M/1/K: share of arrivals lost, and mean time in system of the others, by the station with tail drop."""
    room, count = 5, 130_000
    weights = RHO ** np.arange(room + 1)
    shares = weights / weights.sum()
    losses, sojourns = [], []
    for seed in SEEDS:
        streams = Streams(seed)
        station = Fifo(limit=room)
        times = arrivals(streams, count)
        work = streams.exponential("services", 1.0).take(count).tolist()
        left = [station.pass_through(now, each) for now, each in zip(times.tolist(), work, strict=True)]
        ends = np.array([np.nan if end is None else end for end in left])
        lost = np.isnan(ends)
        losses.append(interval(lost.astype(float)))
        sojourns.append(interval((ends - times)[~lost]))
        assert (station.arrived, station.dropped) == (count - lost.sum(), lost.sum())
    assert outside(losses, float(shares[-1])) <= MOST_MISSES
    present = float((shares * np.arange(room + 1)).sum())
    assert outside(sojourns, present / (RHO * (1.0 - float(shares[-1])))) <= MOST_MISSES


def mean_value_analysis(demands: list[float], think: float, clients: int) -> float:
    """Throughput of a closed network of exponential FIFO stations (Reiser and Lavenberg 1980)."""
    present = [0.0] * len(demands)
    rate = 0.0
    for number in range(1, clients + 1):
        times = [demand * (1.0 + queue) for demand, queue in zip(demands, present, strict=True)]
        rate = number / (think + sum(times))
        present = [rate * time for time in times]
    return rate


def test_closed_network() -> None:
    """Mean value analysis: trips a second of eight clients over three shared stations."""
    demands, think, clients, trips = [1.0, 0.7, 0.4], 4.0, 8, 900
    expected = clients / mean_value_analysis(demands, think, clients) - think
    rounds = []
    for seed in SEEDS:
        streams = Streams(seed)
        clock = Clock()
        stations = [Fifo(f"station{n}") for n in range(3)]
        found: list[list[float]] = []
        for client in range(clients):
            thinks = streams.exponential(f"think{client}", think).take(trips).tolist()
            draws = [streams.exponential(f"{client}/{n}", mean).take(trips).tolist() for n, mean in enumerate(demands)]

            rounds_of = [
                Round(0.0, [((station, work),) for station, work in zip(stations, works, strict=True)])
                for works in zip(*draws, strict=True)
            ]

            found.append([])
            ClosedClient(clock, thinks, range(trips), rounds_of, found[-1])
        clock.run()
        together = np.array([row[: min(map(len, found))] for row in found]).mean(axis=0)
        rounds.append(interval(together))
    assert outside(rounds, expected) <= MOST_MISSES
