"""How many published figures lie in 90 % prediction intervals, also of tables that did not set their width.

Run: python -m experiments.prediction-coverage.coverage [--draws 200] [--out FILE]

All published cases are predicted with intervals from costs alone. Then the model's own error (a half width, added in
squares) is chosen as the least with which 85 % of points lie inside: once from all cases, and for each case from the
others. What traffic has wrong on hosts that nobody measured follows from baseline rows, predicted as if there were
none: the least error with which 90 % of them lie inside. Exit code 1 when a choice is not the shipped constant, or
cases left out fare much worse than those inside.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from experiments.records import Finding, show, write
from netsim.calibration.published.case import Case, load_case, shipped_cases
from netsim.calibration.published.evidence import DISCREPANCY, Discrepancy
from netsim.calibration.published.validation import DRAWS, CaseResult, validate, validate_case

UNSEEN = Path(__file__).parents[1] / "unseen-tables"
SHARE, STEP, WIDEST, TOLERANCE = 0.85, 0.01, 1.0, 0.03
"""Share of points to hold, the choices of the model's own error, and what choice and share may differ by."""
BARE_SHARE, BARE_TOLERANCE = 0.9, 0.1
"""The same of baseline rows that are predicted as if nobody had measured them."""
ALONE = Discrepancy()
"""Intervals from costs alone."""


class Miss(NamedTuple):
    """A point by its case, as logarithms over the prediction: what was published, and the interval from costs alone."""

    case: str
    published: float
    low: float
    high: float
    measured: bool

    def ends(self, discrepancy: Discrepancy) -> tuple[float, float]:
        """Return the interval with the model's own error in it."""
        own = discrepancy.of(measured=self.measured)
        return -math.hypot(min(self.low, 0.0), own), math.hypot(max(self.high, 0.0), own)

    def held(self, discrepancy: Discrepancy) -> bool:
        """The interval holds what was published."""
        low, high = self.ends(discrepancy)
        return low <= self.published <= high

    def half_width(self, discrepancy: Discrepancy) -> float:
        """Half of the interval over the prediction."""
        low, high = self.ends(discrepancy)
        return (math.exp(high) - math.exp(low)) / 2


def misses(results: Iterable[CaseResult]) -> list[Miss]:
    """Return points whose intervals costs decide; what is merely counted has no such error."""
    return [
        Miss(
            result.case.name,
            *(math.log(value / point.predicted) for value in (point.published, point.low, point.high)),
            point.measured,
        )
        for result in results
        for point in result.points
        if min(point.published, point.predicted, point.low) > 0 and result.influence
    ]


def bare(draws: int) -> list[Miss]:
    """Return baseline rows of traffic, predicted as if nobody had measured them."""
    results = (validate_case(unmeasured(load_case(name)), draws=draws, discrepancy=ALONE) for name in shipped_cases())
    return [miss for miss in misses(results) if not miss.measured]


def unmeasured(case: Case) -> Case:
    """Return a case that asks for its baseline rows, and has nothing else."""
    rows = (replace(row, role="target" if row.role == "baseline" else "excluded") for row in case.rows)
    return replace(case, rows=tuple(rows))


def held(points: Sequence[Miss], discrepancy: Discrepancy) -> float:
    """Return the share of points inside their intervals."""
    return sum(point.held(discrepancy) for point in points) / len(points)


def least(points: Sequence[Miss], share: float, error: Callable[[float], Discrepancy]) -> float:
    """Return the least error with which a share of points lies inside."""
    choices = (round(step * STEP, 2) for step in range(int(WIDEST / STEP) + 1))
    return next((choice for choice in choices if held(points, error(choice)) >= share), WIDEST)


def own(error: float) -> Discrepancy:
    """Return what the model has wrong where hosts were measured; elsewhere the shipped constant."""
    return Discrepancy(error, DISCREPANCY.unmeasured)


def findings(points: Sequence[Miss], baselines: Sequence[Miss], unseen: Sequence[Miss]) -> list[Finding]:
    """Return what holds with the shipped constants, with each case left out, and on tables that had no part in them."""
    names = list(dict.fromkeys(point.case for point in points))
    without = {name: own(least([p for p in points if p.case != name], SHARE, own)) for name in names}
    outside = sum(point.held(without[point.case]) for point in points) / len(points)
    widths = [point.half_width(DISCREPANCY) for point in points]
    shipped, alone = held(points, DISCREPANCY), held(points, ALONE)
    chosen, bare = least(points, SHARE, own), least(baselines, BARE_SHARE, lambda error: Discrepancy(0.0, error))
    widest = float(np.quantile(widths, 0.9))
    choices = f"{min(without.values()).measured:.2f}-{max(without.values()).measured:.2f}"
    strangers = [point for point in unseen if not point.measured]
    return [
        Finding("held by costs alone", f"{alone:.1%}", "below the next", alone < shipped),
        Finding(
            "held with the model's own error", f"{shipped:.1%} of {len(points)}", f">={SHARE:.0%}", shipped >= SHARE
        ),
        Finding(
            "least error that does it", f"{chosen:.2f}", f"<={DISCREPANCY.measured}", chosen <= DISCREPANCY.measured
        ),
        Finding(
            "least error for baseline rows, as if unmeasured", f"{bare:.2f} ({len(baselines)} rows)",
            f"{DISCREPANCY.unmeasured} +-{BARE_TOLERANCE}", abs(bare - DISCREPANCY.unmeasured) <= BARE_TOLERANCE,
        ),
        Finding(
            "held, each case left out", f"{outside:.1%}", f">={SHARE - TOLERANCE:.0%}", outside >= SHARE - TOLERANCE
        ),
        Finding("choices, each case left out", choices, "printed", True),
        Finding("half widths, median", f"{median(widths):.1%}", "printed", True),
        Finding("half widths, 90th percentile", f"{widest:.1%}", "printed", True),
        Finding("held on unseen tables", f"{held(unseen, DISCREPANCY):.1%} of {len(unseen)}", "printed", True),
        Finding("of which nobody measured", f"{held(strangers, DISCREPANCY):.1%} of {len(strangers)}", "printed", True),
        Finding("least error for unseen tables", f"{least(unseen, SHARE, own):.2f}", "printed", True),
    ]  # fmt: skip


def main() -> int:
    """Print and store the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--out", type=Path, help="file for the record")
    arguments = parser.parse_args()
    folders = sorted(str(path.parent) for path in UNSEEN.glob("*/published.csv"))
    workers = os.cpu_count() or 1
    shipped, unseen = (
        misses(validate(names, draws=arguments.draws, discrepancy=ALONE, workers=workers).cases)
        for names in ((), folders)
    )
    found = findings(shipped, bare(arguments.draws), unseen)
    show(found)
    if arguments.out is not None:
        write(arguments.out, found, draws=arguments.draws, level=0.9)
    return int(not all(finding.holds for finding in found))


if __name__ == "__main__":
    sys.exit(main())
