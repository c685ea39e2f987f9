"""Run the long studies, write their records, print one table: ``python -m experiments.evidence [NAME…]``.

Records go to ``experiments/evidence``, one JSON file a study and a table of all in its README, so that a reader finds
what was measured and at which budget without running anything for an hour. Exit 1 when an expectation does not hold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from experiments import records

HOME = Path(__file__).parent
RECORDS = HOME / "evidence"


class Study(NamedTuple):
    """A long study: its module, and the arguments of the full budget."""

    name: str
    program: str
    arguments: tuple[str, ...]


STUDIES = (
    Study("exactness", "experiments.exactness.exactness", ("--half-width", "0.005")),
    Study("interval-coverage", "experiments.interval-coverage.coverage", ("--trials", "2000")),
    Study("prediction-coverage", "experiments.prediction-coverage.coverage", ("--draws", "200")),
    Study(
        "gate-reliability",
        "experiments.gate-reliability.reliability",
        ("--quiet-trials", "200", "--power-trials", "100"),
    ),
)
MEASURED = ("hop-transfer", "ebpf-steps")
"""Studies of what was measured as root on some machine: their records stand in the table, nothing here runs them."""


def main() -> int:
    """Run the studies named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(study.name for study in STUDIES))
    parser.add_argument("--table", action="store_true", help="run nothing: the table of the records there are")
    asked = parser.parse_args()
    RECORDS.mkdir(exist_ok=True)
    failed = []
    for study in () if asked.table else STUDIES:
        if asked.names and study.name not in asked.names:
            continue
        begun = time.monotonic()
        print(f"== {study.name}", flush=True)
        command = [sys.executable, "-m", study.program, *study.arguments, "--out", str(RECORDS / f"{study.name}.json")]
        if subprocess.run(command, check=False, cwd=HOME.parent).returncode:
            failed.append(study.name)
        print(f"   {time.monotonic() - begun:.0f} s", flush=True)
    kept = [(name, RECORDS / f"{name}.json") for name in (*(study.name for study in STUDIES), *MEASURED)]
    found = [(name, *records.read(path)) for name, path in kept if path.exists()]
    text = records.table(found)
    (RECORDS / "README.md").write_text(_page(text, found), encoding="utf-8")
    print(f"\n{text}")
    broken = [name for name, findings, _ in found if not all(finding.holds for finding in findings)]
    return int(bool(failed or broken))


def _page(table: str, found: list[tuple[str, tuple[records.Finding, ...], dict[str, Any]]]) -> str:
    budgets = "\n".join(
        f"- [{name}]({name}.json): " + ", ".join(f"{key} {value}" for key, value in budget.items())
        for name, _, budget in found
    )
    return f"# What the long studies found\n\nWritten by `make evidence`.\n\n{table}\n{budgets}\n"


if __name__ == "__main__":
    sys.exit(main())
