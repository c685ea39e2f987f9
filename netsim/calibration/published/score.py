"""How far predictions and publications are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from netsim.calibration.published.case import Row
from netsim.calibration.published.question import Answer


@dataclass(frozen=True, slots=True)
class Point:
    """A row with its prediction, both in the publication's unit; ``low`` and ``high`` bound the 90 % interval.

    ``measured`` is False where it is traffic and nothing of its kind was measured on the bare hosts.
    """

    id: str
    metric: str
    configuration: str
    unit: str
    published: float
    predicted: float
    low: float
    high: float
    reason: str
    note: str
    group: tuple[str, ...]
    """Rows whose order can be compared: the same metric, measured in the same way, on the same machine."""
    measured: bool = True

    @classmethod
    def of(cls, row: Row, answer: Answer, interval: tuple[float, float]) -> Point:
        """Return the point of a row."""
        show = row.quantity.shown
        low, high = interval
        how = (f"{key}={v}" for key, v in sorted(row.setting.values.items()) if key in _HOW)
        subject = ";".join(f"{key}={v}" for key, v in row.setting.values.items())
        return cls(
            row.id, row.metric, subject, row.quantity.unit, row.quantity.value, show(answer.value), show(low),
            show(high), row.reason, answer.note, (row.metric, row.quantity.unit, *how), answer.measured,
        )  # fmt: skip

    @property
    def error(self) -> float:
        """Predicted over published, less one; for a published zero the difference itself."""
        return self.predicted / self.published - 1 if self.published else self.predicted

    @property
    def covered(self) -> bool:
        """The published value lies in the interval."""
        return self.low <= self.published <= self.high

    @property
    def half_width(self) -> float:
        """Half of the interval as a fraction of the prediction."""
        return (self.high - self.low) / 2 / abs(self.predicted) if self.predicted else 0.0


_HOW = ("streams", "processes", "side", "test", "percentile", "machine", "streams", "msg_bytes", "cores", "component")


@dataclass(frozen=True, slots=True)
class Score:
    """Errors as fractions; ``None`` where there is nothing to say.

    ``bias`` is the median signed error, ``median`` and ``p90`` are of its size, ``rank`` the share of pairs in the
    right order among those that differ by more than noise, ``coverage`` the share of points within their interval,
    ``half_width`` and ``half_width_p90`` the median and the 90th percentile of the half widths of those.
    """

    points: int
    bias: float | None = None
    median: float | None = None
    p90: float | None = None
    rank: float | None = None
    coverage: float | None = None
    half_width: float | None = None
    half_width_p90: float | None = None

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the fields of the JSON document, whose shape is fixed: all but ``half_width_p90``."""
        return {key: value for key, value in asdict(self).items() if key != "half_width_p90"}


def score(points: Sequence[Point], noise: float) -> Score:
    """Score the points of one case."""
    if not points:
        return Score(0)
    sizes = [abs(point.error) for point in points]
    return Score(
        points=len(points),
        bias=median(point.error for point in points),
        median=median(sizes),
        p90=float(np.quantile(np.array(sizes), 0.9)),
        rank=rank_agreement(points, noise),
        coverage=math.fsum(point.covered for point in points) / len(points),
        half_width=median(point.half_width for point in points),
        half_width_p90=float(np.quantile(np.array([point.half_width for point in points]), 0.9)),
    )


def rank_agreement(points: Sequence[Point], noise: float) -> float | None:
    """Return the share of comparable pairs in the right order; ``None`` without any.

    A pair counts where both rows measure the same thing in the same way and the published values differ by more than
    the noise of two measurements. Predictions that tie count half.
    """
    right = total = 0.0
    for index, one in enumerate(points):
        for other in points[index + 1 :]:
            if one.group != other.group or not _differ(one.published, other.published, noise):
                continue
            total += 1
            order = (one.published - other.published) * (one.predicted - other.predicted)
            right += 1.0 if order > 0 else 0.5 if order == 0 else 0.0
    return right / total if total else None


def _differ(one: float, other: float, noise: float) -> bool:
    return abs(one - other) > 2 * noise * max(abs(one), abs(other))


def overall(scores: Sequence[Score], points: Sequence[Point]) -> Score:
    """Return medians over cases, and coverage and half-widths over all points."""
    if not scores:
        return Score(0)

    def middle(name: str) -> float | None:
        values = [value for item in scores if (value := getattr(item, name)) is not None]
        return median(values) if values else None

    return Score(
        points=len(points),
        bias=middle("bias"),
        median=middle("median"),
        p90=middle("p90"),
        rank=middle("rank"),
        coverage=math.fsum(point.covered for point in points) / len(points),
        half_width=median(point.half_width for point in points),
        half_width_p90=float(np.quantile(np.array([point.half_width for point in points]), 0.9)),
    )
