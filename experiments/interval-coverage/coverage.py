"""Do 95 % intervals cover the truth 95 times in 100? Trials on queues whose answers are known in closed form.

Run: python -m experiments.interval-coverage.coverage [--trials 2000] [--out FILE]

Waiting times come from Lindley's recursion, vectorised over customers; every trial is a study of its own: independent
replications, an interval of the mean and of p90. Exit code 1 when a coverage lies outside 93-97 %.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.records import Finding, show, write
from netsim.stats.estimates import Interval, exact_mean, from_replications
from netsim.stats.quantiles import sectioned_quantile

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

LOWEST, HIGHEST = 0.93, 0.97


@dataclass(frozen=True)
class Queue:
    """A single-server queue with Poisson arrivals and mean service time 1.

    ``service`` draws service times, ``second_moment`` is theirs; ``p90`` is the 90th percentile of the time in system
    where it is known in closed form.
    """

    name: str
    load: float
    service: Draw
    second_moment: float
    p90: float | None = None

    @property
    def mean(self) -> float:
        """Mean time in system by Pollaczek and Khinchine."""
        return 1.0 + self.load * self.second_moment / (2.0 * (1.0 - self.load))


def erlang2(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Two exponential stages: squared coefficient of variation 1/2."""
    return rng.gamma(2.0, 0.5, n)


def hyperexponential(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """A tenth of the jobs is four times as long as the mean: squared coefficient of variation 3."""
    return rng.exponential(np.where(rng.random(n) < 0.1, 4.0, 2.0 / 3.0))


QUEUES = (
    Queue("M/M/1 at 0.5", 0.5, lambda rng, n: rng.exponential(1.0, n), 2.0, math.log(10.0) / 0.5),
    Queue("M/M/1 at 0.8", 0.8, lambda rng, n: rng.exponential(1.0, n), 2.0, math.log(10.0) / 0.2),
    Queue("M/E2/1 at 0.8", 0.8, erlang2, 1.5),
    Queue("M/H2/1 at 0.5", 0.5, hyperexponential, 2.0 * (0.1 * 16.0 + 0.9 * 4.0 / 9.0)),
)


def times_in_system(queue: Queue, rng: np.random.Generator, customers: int, warmup: int) -> NDArray[np.float64]:
    """Return sojourn times after ``warmup`` customers: the wait is the walk of service less gap above its minimum."""
    n = customers + warmup
    service = queue.service(rng, n)
    walk = np.concatenate(([0.0], np.cumsum(service[:-1] - rng.exponential(1.0 / queue.load, n - 1))))
    return (walk - np.minimum.accumulate(walk) + service)[warmup:]


def study(queue: Queue, trial: int, replications: int, customers: int) -> tuple[Interval, Interval]:
    """Return the intervals of the mean and of p90 from one study."""
    rng = np.random.default_rng([trial, replications, customers])
    runs = [times_in_system(queue, rng, customers, 500) for _ in range(replications)]
    mean = from_replications([exact_mean(run.tolist()) for run in runs])
    return mean.interval(), sectioned_quantile(runs, 0.9).interval()


def coverage(queue: Queue, trials: int, *, replications: int = 5, customers: int = 8000) -> dict[str, float]:
    """Return the share of trials whose interval covers the truth, by figure."""
    hits = {"mean": 0, "p90": 0}
    for trial in range(trials):
        mean, p90 = study(queue, trial, replications, customers)
        hits["mean"] += mean.contains(queue.mean)
        hits["p90"] += queue.p90 is not None and p90.contains(queue.p90)
    if queue.p90 is None:
        del hits["p90"]
    return {figure: count / trials for figure, count in hits.items()}


def main() -> int:
    """Print and store the table of coverages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--out", type=Path, help="file for the record")
    arguments = parser.parse_args()
    findings = [
        Finding(f"{queue.name}, {figure}", f"{share:.1%} of {arguments.trials}", f"{LOWEST:.0%}-{HIGHEST:.0%}",
                LOWEST <= share <= HIGHEST)
        for queue in QUEUES
        for figure, share in coverage(queue, arguments.trials).items()
    ]  # fmt: skip
    show(findings)
    if arguments.out is not None:
        write(arguments.out, findings, trials=arguments.trials, level=0.95, replications=5, customers=8000)
    return int(not all(finding.holds for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
