"""How many published figures lie in 90 % prediction intervals, also of tables that did not set their width.

Run: python -m experiments.prediction-coverage.coverage [--draws 200] [--out FILE]

All published cases are predicted with intervals from costs alone. Then the model's own error (a half width, added in
squares) is chosen as the least with which 85 % of points lie inside: once from all cases, and for each case from the
others. Exit code 1 when that choice is not the shipped constant, or cases left out fare much worse than those inside.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from experiments.records import Finding, show, write
from netsim.calibration.published.evidence import DISCREPANCY
from netsim.calibration.published.validation import DRAWS, Validation, validate

UNSEEN = Path(__file__).parents[1] / "unseen-tables"
SHARE, STEP, WIDEST, TOLERANCE = 0.85, 0.01, 1.0, 0.03
"""Share of points to hold, the choices of the model's own error, and what choice and share may differ by."""


class Miss(NamedTuple):
    """A point by its case, as logarithms over the prediction: what was published, and the interval from costs alone."""

    case: str
    published: float
    low: float
    high: float

    def ends(self, discrepancy: float) -> tuple[float, float]:
        """Return the interval with the model's own error in it."""
        return -math.hypot(min(self.low, 0.0), discrepancy), math.hypot(max(self.high, 0.0), discrepancy)

    def held(self, discrepancy: float) -> bool:
        """The interval holds what was published."""
        low, high = self.ends(discrepancy)
        return low <= self.published <= high

    def half_width(self, discrepancy: float) -> float:
        """Half of the interval over the prediction."""
        low, high = self.ends(discrepancy)
        return (math.exp(high) - math.exp(low)) / 2


def misses(validation: Validation) -> list[Miss]:
    """Return points whose intervals costs decide; what is merely counted has no such error."""
    return [
        Miss(
            result.case.name, *(math.log(value / point.predicted) for value in (point.published, point.low, point.high))
        )
        for result in validation.cases
        for point in result.points
        if min(point.published, point.predicted, point.low) > 0 and result.influence
    ]


def held(points: Sequence[Miss], discrepancy: float) -> float:
    """Return the share of points inside their intervals."""
    return sum(point.held(discrepancy) for point in points) / len(points)


def least(points: Sequence[Miss]) -> float:
    """Return the least error with which the wanted share of points lies inside."""
    choices = (round(step * STEP, 2) for step in range(int(WIDEST / STEP) + 1))
    return next((choice for choice in choices if held(points, choice) >= SHARE), WIDEST)


def findings(points: Sequence[Miss], unseen: Sequence[Miss]) -> list[Finding]:
    """Return what holds with the shipped constant, with each case left out, and on tables that had no part in it."""
    names = list(dict.fromkeys(point.case for point in points))
    without = {name: least([point for point in points if point.case != name]) for name in names}
    outside = sum(point.held(without[point.case]) for point in points) / len(points)
    widths = [point.half_width(DISCREPANCY) for point in points]
    shipped = held(points, DISCREPANCY)
    chosen = least(points)
    widest = float(np.quantile(widths, 0.9))
    choices = f"{min(without.values()):.2f}-{max(without.values()):.2f}"
    near = abs(chosen - DISCREPANCY) <= TOLERANCE
    return [
        Finding("held by costs alone", f"{held(points, 0.0):.1%}", "below the next", held(points, 0.0) < shipped),
        Finding(
            "held with the model's own error", f"{shipped:.1%} of {len(points)}", f">={SHARE:.0%}", shipped >= SHARE
        ),
        Finding("least error that does it", f"{chosen:.2f}", f"{DISCREPANCY} +-{TOLERANCE}", near),
        Finding(
            "held, each case left out", f"{outside:.1%}", f">={SHARE - TOLERANCE:.0%}", outside >= SHARE - TOLERANCE
        ),
        Finding("choices, each case left out", choices, "printed", True),
        Finding("half widths, median", f"{median(widths):.1%}", "printed", True),
        Finding("half widths, 90th percentile", f"{widest:.1%}", "printed", True),
        Finding("held on unseen tables", f"{held(unseen, DISCREPANCY):.1%} of {len(unseen)}", "printed", True),
        Finding("least error for unseen tables", f"{least(unseen):.2f}", "printed", True),
    ]


def main() -> int:
    """Print and store the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--out", type=Path, help="file for the record")
    arguments = parser.parse_args()
    folders = sorted(str(path.parent) for path in UNSEEN.glob("*/published.csv"))
    workers = os.cpu_count() or 1
    shipped, unseen = (
        misses(validate(names, draws=arguments.draws, discrepancy=0.0, workers=workers)) for names in ((), folders)
    )
    found = findings(shipped, unseen)
    show(found)
    if arguments.out is not None:
        write(arguments.out, found, draws=arguments.draws, level=0.9)
    return int(not all(finding.holds for finding in found))


if __name__ == "__main__":
    sys.exit(main())
