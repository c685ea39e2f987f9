"""False alarms and power of the gate, over independent seeds.

Run: python -m experiments.gate-reliability.reliability [--quiet-trials 200] [--power-trials 100] [--out FILE]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from experiments.records import Finding, show, write
from netsim.analysis.compare import FAMILY_LEVEL, compare
from netsim.analysis.side import Side, from_study
from netsim.scenario import Scenario, load, with_values
from netsim.study import run_study

SCENARIO = Path(__file__).parent / "scenario.yaml"
SHIFT = 0.05
WORK_US = (100.0, 300.0)
MOST_ALARMS, FEWEST_FOUND = 0.01, 0.95
EVERY = 25
"""Trials between two lines of progress."""
Progress = Callable[[str], object]


def side(scenario: Scenario, seed: int, workers: int) -> Side:
    """Run the scenario under a seed."""
    return from_study(run_study(with_values(scenario, {"run.seed": seed}), workers=workers))


def shifted(scenario: Scenario, reference: Side) -> Scenario:
    """Lengthen the server's work so that the p99 of latency grows by `SHIFT`.

    The work is uniform and by far the most variable part, so its own p99 moves as far as that of the latency.
    """
    p99 = next(f.value for key, f in reference.figures.items() if key[1:] == ("scenario", "", "latency", "p99"))
    low, high = WORK_US
    work_p99 = low + 0.99 * (high - low)
    factor = 1.0 + SHIFT * p99 * 1e6 / work_p99
    return with_values(scenario, {"traffic.work": {"uniform": [f"{low * factor}us", f"{high * factor}us"]}})


def trial(baseline: Side, candidate: Side) -> tuple[bool, bool]:
    """Return whether the comparison passes, and whether it calls the p99 of latency worse."""
    comparison = compare(baseline, candidate)
    found = any(row.key[1:] == ("scenario", "", "latency", "p99") for row in comparison.with_verdict("worse"))
    return comparison.ok, found


def reliability(quiet_trials: int, power_trials: int, workers: int = 1, progress: Progress = print) -> list[Finding]:
    """Run all trials; seeds never repeat."""
    scenario = load(SCENARIO)
    slower = shifted(scenario, side(scenario, 0, workers))
    seeds = count(1)

    def compared(candidate: Scenario) -> tuple[bool, bool]:
        baseline = side(scenario, next(seeds), workers)
        return trial(baseline, side(candidate, next(seeds), workers))

    alarms = found = 0
    for number in range(1, quiet_trials + 1):
        alarms += not compared(scenario)[0]
        if number % EVERY == 0:
            progress(f"   A/A: {alarms} alarms in {number}")
    for number in range(1, power_trials + 1):
        found += compared(slower)[1]
        if number % EVERY == 0:
            progress(f"   shift of {SHIFT:.0%}: {found} found in {number}")
    most, fewest = math.floor(MOST_ALARMS * quiet_trials), math.ceil(FEWEST_FOUND * power_trials)
    return [
        Finding("false alarms", f"{alarms} of {quiet_trials}", f"at most {most}", alarms <= most),
        Finding(f"p99 {SHIFT:.0%} longer, found", f"{found} of {power_trials}", f"at least {fewest}", found >= fewest),
    ]


def main() -> int:
    """Print and store the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quiet-trials", type=int, default=200)
    parser.add_argument("--power-trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file for the record")
    arguments = parser.parse_args()
    findings = reliability(arguments.quiet_trials, arguments.power_trials, arguments.workers)
    show(findings)
    if arguments.out is not None:
        write(
            arguments.out, findings, comparisons=arguments.quiet_trials + arguments.power_trials, tolerance="2%",
            replications=load(SCENARIO).run.replications, level=FAMILY_LEVEL,
        )  # fmt: skip
    return int(not all(finding.holds for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
