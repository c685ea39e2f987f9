"""The points of a sweep: every combination of its levels, in the order they were written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.errors import InputError
from netsim.scenario.loading import override, with_values
from netsim.scenario.origin import covers
from netsim.scenario.spec import Scenario

Level = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of levels.

    Parameters
    ----------
    index: position in the grid; the last key of ``sweep`` varies fastest.
    levels: dotted key to level, as columns of the tables show it.
    scenario: the scenario with these levels set.
    """

    index: int
    levels: Mapping[str, Level]
    scenario: Scenario

    @property
    def label(self) -> str:
        """``cluster.nodes=100 network.plugin=kubenet``; empty for the only point of a plain run."""
        return " ".join(f"{key}={value}" for key, value in self.levels.items())


def expand(scenario: Scenario) -> tuple[Point, ...]:
    """Return the points of a scenario; one without levels when it sweeps nothing.

    Raises
    ------
    InputError: a level the scenario's models do not accept, or the same level twice.
    """
    for key, levels in scenario.sweep.items():
        shown = [as_level(level) for level in levels]
        if len({json.dumps(level) for level in shown}) < len(shown):
            raise InputError("a level is given twice", place=scenario.origin.place(("sweep", key)), got=str(shown))
    keys = tuple(scenario.sweep)
    grid = (dict(zip(keys, levels, strict=True)) for levels in itertools.product(*scenario.sweep.values()))
    return tuple(
        Point(index, {key: as_level(level) for key, level in levels.items()}, _at(scenario, levels))
        for index, levels in enumerate(grid)
    )


def _at(scenario: Scenario, levels: Mapping[str, Any]) -> Scenario:
    """Return the scenario at some levels; a level the models refuse is shown where the sweep states it."""
    try:
        return with_values(scenario, levels)
    except InputError as error:
        blamed = [key for key in levels if error.place.field.startswith(key.partition(".")[0])]
        exact = [key for key in blamed if covers(key, error.place.field)] or blamed or list(levels)
        place = scenario.origin.place(("sweep", exact[0]))
        raise InputError(error.message, place=place, got=error.got, allowed=error.allowed) from error


def as_level(value: Any) -> Level:
    """Return a level the way a table cell can hold it: plain values as they are, mappings and lists as JSON."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value, sort_keys=True)


def point_keys(points: Sequence[Point]) -> tuple[str, ...]:
    """Return the point columns of the tables."""
    return tuple(points[0].levels) if points else ()


def single(scenario: Scenario) -> Scenario:
    """Return the scenario without its sweep, for commands that look at one point only."""
    if not scenario.sweep:
        return scenario
    return with_values(scenario, {"sweep": {}})


def same_question(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two scenario documents differ at most in how many replications they ask for.

    Replication r of a point is the same run whatever their number, so results of a smaller budget continue into a
    larger one.
    """
    neutral = {f"run.{key}": None for key in ("replications", "precision", "max_replications")}
    return override(ours, neutral) == override(theirs, neutral)


def located(note: str, places: Sequence[str], *, everywhere: int) -> str:
    """Return a sentence with the first points it holds for; without where it holds for all of ``everywhere``."""
    named = [place for place in places if place]
    if len(places) == everywhere or not named:
        return note
    shown = "; ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
    return f"{note} ({shown})"
