"""Renamed objects: a figure's name changed, its numbers did not.

Moving a Deployment to another name must not read as "an edge is missing, a new one appeared". Like a version control
system does with files, names that vanished and names that appeared are matched by content: no gated figure of a pair
may differ by more than the gate itself would let pass under one name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from netsim.analysis.judge import Judgement
from netsim.analysis.side import FigureKey, Recorded

PLAIN_LEVEL = 0.001
"""Level at which a figure of a matched pair must not differ; not adjusted for the number of figures, which errs towards
calling a name missing."""

Figures = Mapping[FigureKey, Recorded]
Judge = Callable[[FigureKey, Recorded, Recorded], Judgement]


class Rename(NamedTuple):
    """The same thing under two names."""

    scope: str
    old: str
    new: str


def find_renames(baseline: Figures, candidate: Figures, judge: Judge) -> tuple[Rename, ...]:
    """Match names of the baseline that are gone with names that are new, best agreement first.

    ``baseline`` and ``candidate`` hold gated figures only; ``judge`` compares two of them.
    """
    renames: list[Rename] = []
    for scope in dict.fromkeys(key.scope for key in baseline):
        old, new = _names(baseline, scope), _names(candidate, scope)
        gone = [name for name in old if name not in new]
        fresh = [name for name in new if name not in old]
        scored = [
            (score, gone.index(a), fresh.index(b), a, b)
            for a in gone
            for b in fresh
            if (score := _disagreement(old[a], new[b], judge)) is not None
        ]
        for *_, a, b in sorted(scored):
            if a in gone and b in fresh:
                renames.append(Rename(scope, a, b))
                gone.remove(a)
                fresh.remove(b)
    return tuple(renames)


def _names(figures: Figures, scope: str) -> dict[str, dict[FigureKey, Recorded]]:
    """Return the figures of a scope by name; keys inside have the name taken out."""
    found: dict[str, dict[FigureKey, Recorded]] = {}
    for key, figure in figures.items():
        if key.scope == scope and key.name:
            found.setdefault(key.name, {})[key._replace(name="")] = figure
    return found


def _disagreement(old: Figures, new: Figures, judge: Judge) -> float | None:
    """Return how far two names' figures are apart, or None when they cannot be the same thing."""
    if old.keys() != new.keys():
        return None
    total: list[float] = []
    for key in old:
        verdict = judge(key, old[key], new[key])
        if min(verdict.p_worse, verdict.p_better) < PLAIN_LEVEL:
            return None
        total.append(abs(math.log(verdict.ratio)) if verdict.ratio > 0.0 else 0.0)
    return math.fsum(total)


def with_old_names(figures: Figures, renames: Sequence[Rename]) -> dict[FigureKey, Recorded]:
    """Return the candidate's figures under the baseline's names."""
    old = {(rename.scope, rename.new): rename.old for rename in renames}
    return {key._replace(name=old.get((key.scope, key.name), key.name)): figure for key, figure in figures.items()}
