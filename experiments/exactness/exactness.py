"""Means of queues against theory, at very narrow intervals.

Run: python -m experiments.exactness.exactness [--half-width 0.005] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.records import Finding, show, write
from netsim.engine.queueing.grid import array_on_grid
from netsim.engine.queueing.vector import tandem
from netsim.engine.randomness import portable
from netsim.engine.randomness.streams import Streams
from netsim.stats.estimates import from_replications

Uniforms = NDArray[np.float64]
RHO = 0.8
LEVEL = 0.99
BLOCK = 500_000
SETTLED = 50_000
FEWEST_BLOCKS, MOST_BLOCKS = 10, 400


class Queue(NamedTuple):
    """Stations in a row, by the transform of uniforms into service times, and the true mean time in system."""

    name: str
    services: Sequence[Callable[[Uniforms], Uniforms]]
    truth: float


def exponential(mean: float) -> Callable[[Uniforms], Uniforms]:
    """Return the transform of an exponential distribution."""
    return lambda uniforms: -mean * portable.log(uniforms)


def single(second_moment: float) -> float:
    """Pollaczek and Khinchine for a mean service of 1."""
    return 1.0 + RHO * second_moment / (2.0 * (1.0 - RHO))


QUEUES = (
    Queue("M/M/1", [exponential(1.0)], single(2.0)),
    Queue("M/D/1", [np.ones_like], single(1.0)),
    Queue("M/G/1", [lambda u: np.where(u < 0.9, 0.5, 5.5)], single(0.9 * 0.25 + 0.1 * 30.25)),
    Queue(
        "tandem",
        [exponential(1.0), exponential(0.75), exponential(0.5)],
        sum(mean / (1.0 - RHO * mean) for mean in (1.0, 0.75, 0.5)),
    ),
)


def block_mean(queue: Queue, number: int) -> float:
    """Return the mean time in system of one independent block of customers."""
    streams = Streams(1, number)
    arrivals = np.cumsum(streams.exponential("arrivals", 1.0 / RHO).take(BLOCK))
    services = [
        streams.drawing(f"station{index}", lambda u, make=make: array_on_grid(make(u))).take(BLOCK)
        for index, make in enumerate(queue.services)
    ]
    return float((tandem(arrivals, services) - arrivals)[SETTLED:].mean())


def measure(queue: Queue, half_width: float) -> dict[str, float | bool]:
    """Add blocks until the interval is narrow enough, then say whether it holds the truth."""
    means: list[float] = []
    while True:
        means.append(block_mean(queue, len(means)))
        if len(means) < FEWEST_BLOCKS:
            continue
        interval = from_replications(means).interval(LEVEL)
        if interval.relative_half_width <= half_width or len(means) >= MOST_BLOCKS:
            return {
                "truth": queue.truth, "mean": interval.value, "low": interval.low, "high": interval.high,
                "half_width": interval.relative_half_width, "error": interval.value / queue.truth - 1.0,
                "customers": len(means) * BLOCK, "holds": interval.contains(queue.truth),
            }  # fmt: skip


def main() -> int:
    """Print and store the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half-width", type=float, default=0.005)
    parser.add_argument("--out", type=Path, help="file for the record")
    arguments = parser.parse_args()
    findings = [_finding(queue, measure(queue, arguments.half_width)) for queue in QUEUES]
    show(findings)
    if arguments.out is not None:
        write(arguments.out, findings, half_width=arguments.half_width, level=LEVEL, load=RHO)
    return int(not all(finding.holds for finding in findings))


def _finding(queue: Queue, found: dict[str, float | bool]) -> Finding:
    shown = f"{found['mean']:.4f} ({found['error']:+.2%} ± {found['half_width']:.2%})"
    return Finding(f"mean time in system, {queue.name}", shown, f"{queue.truth:.4f} inside", bool(found["holds"]))


if __name__ == "__main__":
    sys.exit(main())
