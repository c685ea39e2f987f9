"""Run the long studies and write their records: ``python -m experiments.evidence [NAME…]``.

Records go to ``experiments/evidence``, one JSON file a study, so that a reader finds what was measured and at which
budget without running anything for an hour. Exit 1 when a study's expected verdict does not hold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).parent
RECORDS = HOME / "evidence"


class Study(NamedTuple):
    """A long study: its program, and the arguments of the full budget."""

    name: str
    program: str
    arguments: tuple[str, ...]


STUDIES = (
    Study("exactness", "exactness/exactness.py", ("--half-width", "0.005")),
    Study("interval-coverage", "interval-coverage/coverage.py", ("--trials", "2000")),
    Study("gate-reliability", "gate-reliability/reliability.py", ("--quiet-trials", "200", "--power-trials", "100")),
)


def main() -> int:
    """Run the studies named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(study.name for study in STUDIES))
    names = parser.parse_args().names
    RECORDS.mkdir(exist_ok=True)
    broken = []
    for study in STUDIES:
        if names and study.name not in names:
            continue
        begun = time.monotonic()
        print(f"== {study.name}", flush=True)
        record = RECORDS / f"{study.name}.json"
        command = [sys.executable, str(HOME / study.program), *study.arguments, "--out", str(record)]
        if subprocess.run(command, check=False).returncode:
            broken.append(study.name)
        print(f"   {time.monotonic() - begun:.0f} s, record in {record.relative_to(HOME.parent)}", flush=True)
    if broken:
        print(f"verdict does not hold: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
