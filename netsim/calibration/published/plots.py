"""Charts of validation: predicted against published, and the costs the answers depend on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netsim.calibration.published.score import Point
from netsim.calibration.published.validation import CaseResult, Validation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(validation: Validation, folder: Path) -> list[Path]:
    """Draw one PNG a case into a folder, which is made; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_case(result, folder / f"{result.case.name}.png") for result in validation.cases]


def _case(result: CaseResult, path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _errors(left, result)
    _tornado(right, result)
    figure.suptitle(result.case.title)
    figure.savefig(path, dpi=110)
    return path


def _errors(axes: Axes, result: CaseResult) -> None:
    """Draw predicted over published with its interval, row by row."""
    points: list[Point] = [point for point in (*result.points, *result.ranges) if point.published]
    places = list(range(len(points)))
    ratio = [point.predicted / point.published for point in points]
    below = [max(0.0, (point.predicted - point.low) / point.published) for point in points]
    above = [max(0.0, (point.high - point.predicted) / point.published) for point in points]
    axes.axhspan(0.75, 1.25, alpha=0.12)
    axes.axhline(1.0, linewidth=0.8)
    axes.errorbar(places, ratio, yerr=[below, above], fmt="o", markersize=3, linewidth=0.8)
    axes.set_xticks(places, [point.id for point in points], rotation=90, fontsize=5)
    axes.set_ylabel("predicted / published, 90 % interval")


def _tornado(axes: Axes, result: CaseResult) -> None:
    """Draw how far the answers move between the lowest and the highest fifth of the costs that matter most."""
    bars = list(reversed(result.influence))
    widths, left = [(bar.high - bar.low) * 100 for bar in bars], [bar.low * 100 for bar in bars]
    axes.barh([bar.figure for bar in bars], widths, left=left)
    axes.axvline(0.0, linewidth=0.8)
    axes.set_xlabel("change of the answers, %")
