"""Service-level objectives of a scenario judged by its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netsim.analysis.objectives import Verdict
from netsim.analysis.objectives import judge as judged_by
from netsim.errors import InputError
from netsim.scenario import Objective, parse_objective

if TYPE_CHECKING:
    from netsim.study import StudyResult


@dataclass(frozen=True, slots=True)
class Judged:
    """One objective at one point. ``open``: the interval holds the limit, or the samples do not carry the figure."""

    point: Mapping[str, Any]
    objective: Objective
    verdict: Verdict
    value: float | None
    unit: str = ""


def judge(result: StudyResult) -> tuple[Judged, ...]:
    """Judge every objective at every measured point, on the figures of the whole scenario."""
    return tuple(
        _judge_one(result, index, parse_objective(text)) for text in result.scenario.slo for index in result.summaries
    )


def _judge_one(result: StudyResult, index: int, objective: Objective) -> Judged:
    point = result.points[index].levels
    try:
        found = judged_by(objective, result.summaries[index].figures)
    except InputError:  # nothing of this kind was measured
        return Judged(point, objective, "open", None)
    value = found.interval.value
    return Judged(point, objective, found.verdict, value if math.isfinite(value) else None)


def missed(result: StudyResult) -> bool:
    """True when some objective is missed at every measured point (for a plain run: at its only point)."""
    judged = judge(result)
    by_objective: dict[str, list[Judged]] = {}
    for item in judged:
        by_objective.setdefault(item.objective.text, []).append(item)
    return any(all(item.verdict == "missed" for item in items) for items in by_objective.values())
