"""False alarms and power of the gate, over independent seeds.

Run: python experiments/gate-reliability/reliability.py [--quiet-trials 200] [--power-trials 100] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from netsim.analysis.compare import compare
from netsim.analysis.side import Side, from_study
from netsim.scenario import Scenario, load, with_values
from netsim.study import run_study

SCENARIO = Path(__file__).parent / "scenario.yaml"
SHIFT = 0.05
WORK_US = (100.0, 300.0)
MOST_ALARMS, FEWEST_FOUND = 0.01, 0.95


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


def reliability(quiet_trials: int, power_trials: int, workers: int) -> dict[str, Any]:
    """Run all trials; seeds never repeat."""
    scenario = load(SCENARIO)
    reference = side(scenario, 0, workers)
    slower = shifted(scenario, reference)
    alarms = sum(
        not trial(side(scenario, 1 + 2 * i, workers), side(scenario, 2 + 2 * i, workers))[0]
        for i in range(quiet_trials)
    )
    first = 1 + 2 * quiet_trials
    found = sum(
        trial(side(scenario, first + 2 * i, workers), side(slower, first + 2 * i + 1, workers))[1]
        for i in range(power_trials)
    )
    return {"quiet": {"trials": quiet_trials, "alarms": alarms}, "power": {"trials": power_trials, "found": found}}


def main() -> int:
    """Print and store the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quiet-trials", type=int, default=200)
    parser.add_argument("--power-trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file for the record")
    arguments = parser.parse_args()
    record = reliability(arguments.quiet_trials, arguments.power_trials, arguments.workers)
    quiet, power = record["quiet"], record["power"]
    print(f"false alarms: {quiet['alarms']} of {quiet['trials']}")
    print(f"shifts found: {power['found']} of {power['trials']}")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return int(quiet["alarms"] > MOST_ALARMS * quiet["trials"] or power["found"] < FEWEST_FOUND * power["trials"])


if __name__ == "__main__":
    sys.exit(main())
