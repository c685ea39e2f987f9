"""Means of queues against theory, at very narrow intervals.

Run: python -m experiments.exactness.exactness [--half-width 0.005] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from math import factorial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.records import Finding, show, write
from netsim.engine.queueing.burst import Burst
from netsim.engine.queueing.chains import ClosedClient, Fifo, Round
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import array_on_grid
from netsim.engine.queueing.stations import CoreCharge, Pool
from netsim.engine.queueing.vector import tandem
from netsim.engine.randomness import portable
from netsim.engine.randomness.streams import Streams
from netsim.stats.estimates import from_replications

Uniforms = NDArray[np.float64]
RHO = 0.8
LEVEL = 0.99
FEWEST_BLOCKS, MOST_BLOCKS = 10, 400


class System(NamedTuple):
    """A queueing system: the mean of one independent block of customers, from its own streams, and the true mean."""

    name: str
    block: Callable[[Streams], float]
    truth: float


def exponential(mean: float) -> Callable[[Uniforms], Uniforms]:
    """Return the transform of an exponential distribution."""
    return lambda uniforms: -mean * portable.log(uniforms)


# ------------------------------------------------------------------------------------------------ stations in a row


def row(*services: Callable[[Uniforms], Uniforms], customers: int = 500_000) -> Callable[[Streams], float]:
    """Return the mean time in a row of stations, each given by the transform of uniforms into service times."""

    def block(streams: Streams) -> float:
        arrivals = np.cumsum(streams.exponential("arrivals", 1.0 / RHO).take(customers))
        work = [
            streams.drawing(f"station{index}", lambda u, make=make: array_on_grid(make(u))).take(customers)
            for index, make in enumerate(services)
        ]
        return float((tandem(arrivals, work) - arrivals)[customers // 10 :].mean())

    return block


def single(second_moment: float) -> float:
    """Pollaczek and Khinchine for a mean service of 1."""
    return 1.0 + RHO * second_moment / (2.0 * (1.0 - RHO))


# ------------------------------------------------------------------------------------------------ several servers


def several(servers: int, customers: int = 200_000) -> Callable[[Streams], float]:
    """Return the mean time in system where several workers share a queue: the station that plays a DNS replica."""

    def block(streams: Streams) -> float:
        pool, burst = Pool(servers), Burst(Clock(), (lambda *_: None,), ((),))
        times = np.cumsum(streams.exponential("arrivals", 1.0 / (RHO * servers)).take(customers)).tolist()
        work = streams.exponential("services", 1.0).take(customers).tolist()
        ends = [pool.serve(burst, now, CoreCharge(each)) for now, each in zip(times, work, strict=True)]
        return float((np.array(ends) - times)[customers // 10 :].mean())

    return block


def erlang_c(servers: int) -> float:
    """Erlang: mean time in system of M/M/c for a mean service of 1."""
    load = RHO * servers
    tail = load**servers / factorial(servers) / (1.0 - RHO)
    waits = tail / (sum(load**n / factorial(n) for n in range(servers)) + tail)
    return 1.0 + waits / (servers * (1.0 - RHO))


# ------------------------------------------------------------------------------------------------ a finite buffer


def finite(room: int, what: int, customers: int = 200_000) -> Callable[[Streams], float]:
    """Return the share of customers lost (``what`` 0) or the mean time in system of the others (1) of M/M/1/K."""

    def block(streams: Streams) -> float:
        station = Fifo(limit=room)
        times = np.cumsum(streams.exponential("arrivals", 1.0 / RHO).take(customers))
        work = streams.exponential("services", 1.0).take(customers).tolist()
        ends = [station.pass_through(now, each) for now, each in zip(times.tolist(), work, strict=True)]
        stays = (np.array([np.nan if end is None else end for end in ends]) - times)[customers // 10 :]
        return float(np.isnan(stays).mean() if what == 0 else np.nanmean(stays))

    return block


def finite_truth(room: int) -> tuple[float, float]:
    """Return the share of customers lost in M/M/1/K and the mean time in system of the others, by Little's law."""
    weights = RHO ** np.arange(room + 1)
    shares = weights / weights.sum()
    lost, present = float(shares[-1]), float((shares * np.arange(room + 1)).sum())
    return lost, present / (RHO * (1.0 - lost))


# ------------------------------------------------------------------------------------------------ a closed network

DEMANDS, THINK, CLIENTS = (1.0, 0.7, 0.4), 4.0, 8


def closed(streams: Streams, trips: int = 4_000) -> float:
    """Return the mean round trip of clients over three shared stations."""
    clock, stations = Clock(), [Fifo(f"station{n}") for n in range(len(DEMANDS))]
    found: list[list[float]] = []
    for client in range(CLIENTS):
        draws = [
            streams.exponential(f"{client}/{n}", mean).take(trips).tolist() for n, mean in enumerate(DEMANDS)
        ]  # fmt: skip
        rounds = [
            Round(0.0, [((station, work),) for station, work in zip(stations, works, strict=True)])
            for works in zip(*draws, strict=True)
        ]
        found.append([])
        thinks = streams.exponential(f"think{client}", THINK).take(trips).tolist()
        ClosedClient(clock, thinks, range(trips), rounds, found[-1])
    clock.run()
    # clients that have finished leave the others alone: the end is no steady state either
    return float(np.array([each[trips // 10 : -trips // 10] for each in found]).mean())


def mean_value_analysis() -> float:
    """Reiser and Lavenberg 1980: mean round trip of a closed network of exponential FIFO stations."""
    present = [0.0] * len(DEMANDS)
    times = present
    for number in range(1, CLIENTS + 1):
        times = [demand * (1.0 + queue) for demand, queue in zip(DEMANDS, present, strict=True)]
        rate = number / (THINK + sum(times))
        present = [rate * time for time in times]
    return sum(times)


SYSTEMS = (
    System("mean time in system, M/M/1", row(exponential(1.0)), single(2.0)),
    System("mean time in system, M/D/1", row(np.ones_like), single(1.0)),
    System(
        "mean time in system, M/G/1", row(lambda u: np.where(u < 0.9, 0.5, 5.5)), single(0.9 * 0.25 + 0.1 * 30.25)
    ),
    System("mean time in system, M/M/4", several(4), erlang_c(4)),
    System("share lost, M/M/1/5", finite(5, 0), finite_truth(5)[0]),
    System("mean time in system, M/M/1/5", finite(5, 1), finite_truth(5)[1]),
    System(
        "mean time in system, tandem",
        row(exponential(1.0), exponential(0.75), exponential(0.5)),
        sum(mean / (1.0 - RHO * mean) for mean in (1.0, 0.75, 0.5)),
    ),
    System("round trip, closed network", closed, mean_value_analysis()),
)


def measure(system: System, half_width: float) -> Finding:
    """Add blocks until the interval is narrow enough, then say whether it holds the truth."""
    means: list[float] = []
    while True:
        means.append(system.block(Streams(1, len(means))))
        if len(means) < FEWEST_BLOCKS:
            continue
        interval = from_replications(means).interval(LEVEL)
        narrow = interval.relative_half_width <= half_width
        if narrow or len(means) >= MOST_BLOCKS:
            error = interval.value / system.truth - 1.0
            shown = f"{interval.value:.4f} ({error:+.2%} ± {interval.relative_half_width:.2%})"
            holds = narrow and interval.contains(system.truth)
            return Finding(system.name, shown, f"{system.truth:.4f} inside", bool(holds))


def main() -> int:
    """Print and store the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half-width", type=float, default=0.005)
    parser.add_argument("--out", type=Path, help="file for the record")
    arguments = parser.parse_args()
    findings = [measure(system, arguments.half_width) for system in SYSTEMS]
    show(findings)
    if arguments.out is not None:
        write(arguments.out, findings, half_width=arguments.half_width, level=LEVEL, load=RHO)
    return int(not all(finding.holds for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
