"""Run every experiment again and print a table of verdicts: ``python -m experiments.verdicts [--full] [NAME…]``.

Quick settings (those of CI) by default; ``--full`` runs the scenarios as they are and writes each figure.svg. Exit 1
when a claim does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import netsim
from experiments.claims import Evidence, Found, read
from experiments.drawing import draw

HOME = Path(__file__).parent


class Verdict(NamedTuple):
    """One experiment: its claims with what was found."""

    name: str
    answer: str
    found: tuple[tuple[str, Found], ...]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every claim holds."""
        return all(found.holds for _, found in self.found)


def experiments() -> list[str]:
    """Return the names of all experiments with expectations."""
    return sorted(path.parent.name for path in HOME.glob("*/expected.yaml"))


def verdict(name: str, *, full: bool = False, workers: int = 1) -> Verdict:
    """Run one experiment and check its claims."""
    begun = time.monotonic()
    expected = read(HOME / name)
    scenario = netsim.load(HOME / name / "scenario.yaml", {} if full else expected.quick)
    study = netsim.sweep(scenario, workers=workers)
    found = tuple((claim.says, claim.check(Evidence(scenario, study))) for claim in expected.claims)
    if full and expected.figure is not None:
        (HOME / name / "figure.svg").write_text(draw(expected.figure, study), encoding="utf-8")
    return Verdict(name, expected.answer, found, time.monotonic() - begun)


def main() -> int:
    """Run the experiments named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments; default: all")
    parser.add_argument("--full", action="store_true", help="the scenarios' own budget; writes the figures")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    results = []
    for name in asked.names or experiments():
        result = verdict(name, full=asked.full, workers=asked.workers)
        results.append(result)
        print(f"{name} ({result.seconds:.0f} s): {result.answer}", flush=True)
        for says, found in result.found:
            print(f"    {'ok  ' if found.holds else 'FAIL'} {says}: {found.text}", flush=True)
    print("\n" + "\n".join(summary(results)))
    return int(not all(result.holds for result in results))


def summary(results: Sequence[Verdict]) -> list[str]:
    """Return the verdicts as a table: experiment, verdict, claims that hold."""
    width = max((len(result.name) for result in results), default=0)
    lines = [f"{'experiment':{width}}  verdict  claims"]
    for result in results:
        held = sum(found.holds for _, found in result.found)
        verdict = "holds" if result.holds else "BROKEN"
        lines.append(f"{result.name:{width}}  {verdict:7}  {held} of {len(result.found)}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
