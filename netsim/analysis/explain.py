"""Why a figure moved: the parts of the latency, before and after, among the transactions the figure speaks of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netsim import units
from netsim.analysis.side import BandKey, FigureKey, Recorded, Side
from netsim.study.bands import band_of
from netsim.study.outcome import PartKey

Figures = Mapping[FigureKey, Recorded]

SHOWN = 0.05
"""A part is named when it moved by at least this share of the figure's change."""
MOST = 4
"""Parts of a phase named in a sentence; the rest is in the table."""


class PartChange(NamedTuple):
    """One part of the latency: seconds before and after, and what is known to have caused the change."""

    key: PartKey
    before_s: float
    after_s: float
    cause: str = ""

    @property
    def change_s(self) -> float:
        """After less before."""
        return self.after_s - self.before_s

    def __str__(self) -> str:
        return f"{self.key.what} {signed(self.change_s)}" + (f" {self.cause}" if self.cause else "")


class Explanation(NamedTuple):
    """A figure's change as differences of mean part times.

    ``parts`` add up to a transaction's latency; they are ordered by the size of their change, and ``unexplained_s`` is
    what they leave of ``change_s``: a quantile need not move as the mean of the transactions about it does.
    """

    change_s: float
    parts: tuple[PartChange, ...]
    unexplained_s: float

    @property
    def unexplained_share(self) -> float:
        """Size of the remainder over that of the change."""
        return abs(self.unexplained_s / self.change_s) if self.change_s else 0.0

    def sentence(self, stat: str) -> str:
        """Tell it phase by phase: ``+268 us mean: connect +250 us (service_nat +250 us from 1,200 more rules), …``."""
        phases: dict[str, list[PartChange]] = {}
        for part in self.parts:
            phases.setdefault(part.key.phase, []).append(part)
        moved = {phase: math.fsum(part.change_s for part in parts) for phase, parts in phases.items()}
        ranked = sorted(phases, key=lambda phase: (-abs(moved[phase]), phase))
        told = [self._phase(phase, moved[phase], phases[phase]) for phase in ranked if self._counts(moved[phase])]
        rest = math.fsum(moved[phase] for phase in ranked if not self._counts(moved[phase]))
        if self._counts(rest) or not told:
            told.append(f"other parts {signed(rest)}")
        text = f"{signed(self.change_s)} {stat}: " + ", ".join(told)
        return f"{text}; unexplained {signed(self.unexplained_s)} ({self.unexplained_share:.0%})"

    def _phase(self, phase: str, moved_s: float, parts: Sequence[PartChange]) -> str:
        named = [str(part) for part in parts if self._counts(part.change_s)][:MOST]
        return f"{phase} {signed(moved_s)}" + (f" ({', '.join(named)})" if named else "")

    def _counts(self, change_s: float) -> bool:
        return change_s != 0.0 and abs(change_s) >= SHOWN * abs(self.change_s)


def signed(seconds: float) -> str:
    """Write a change of time with its sign."""
    return ("+" if seconds >= 0 else "-") + units.format_seconds(abs(seconds))


def explain(key: FigureKey, new_name: str, baseline: Side, candidate: Side) -> Explanation | None:
    """Split a latency figure's change into its parts; None where either side kept no parts of that band.

    ``new_name`` is the candidate's name of the scope's object, equal to the key's unless it was renamed.
    """
    band = BandKey(key.levels, key.scope, key.name, band_of(key.stat))
    before, after = baseline.parts.get(band), candidate.parts.get(band._replace(name=new_name))
    old, new = baseline.figures.get(key), candidate.figures.get(key._replace(name=new_name))
    if key.metric != "latency" or not before or not after or old is None or new is None:
        return None
    change = new.value - old.value
    rules = _rules(key, candidate.figures)
    for hop, count in _rules(key, baseline.figures).items():
        rules[hop] = rules.get(hop, 0.0) - count
    parts = tuple(
        part._replace(cause=_cause(rules.get(part.key.part, 0.0), part.change_s)) if part.key.kind == "work" else part
        for part in _changes(before, after)
    )
    return Explanation(change, parts, change - math.fsum(part.change_s for part in parts))


def _changes(before: Mapping[PartKey, float], after: Mapping[PartKey, float]) -> tuple[PartChange, ...]:
    keys = dict.fromkeys((*before, *after))
    changes = [PartChange(key, before.get(key, 0.0), after.get(key, 0.0)) for key in keys]
    return tuple(sorted(changes, key=lambda part: (-abs(part.change_s), part.key)))


def _rules(key: FigureKey, figures: Figures) -> dict[str, float]:
    """Return the rules walked per transaction of the figure's point, by hop."""
    return {
        each.name: figure.value
        for each, figure in figures.items()
        if each.metric == "rules" and each.scope == "hop" and each.levels == key.levels
    }


def _cause(rules: float, change_s: float) -> str:
    """Tell by how much the rules a transaction walks changed, where the time went the same way."""
    if abs(rules) < 0.5 or rules * change_s <= 0.0:
        return ""
    return f"from {abs(rules):,.0f} {'more' if rules > 0 else 'fewer'} rules"
