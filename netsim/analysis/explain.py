"""Why a figure moved: the parts of the latency, before and after, among the transactions the figure speaks of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from netsim import units
from netsim.analysis.side import BandKey, FigureKey, Recorded, Side

Figures = Mapping[FigureKey, Recorded]

SHOWN = 0.05
"""A part is named when it moved by at least this share of the figure's change."""
MOST = 4
"""Parts named in a sentence; the rest is in the table."""


class PartChange(NamedTuple):
    """One part of the latency, or one hop's work: seconds before and after, and what is known to have caused it."""

    part: str
    before_s: float
    after_s: float
    cause: str = ""

    @property
    def change_s(self) -> float:
        """After less before."""
        return self.after_s - self.before_s

    def __str__(self) -> str:
        return f"{self.part} {signed(self.change_s)}" + (f" {self.cause}" if self.cause else "")


class Explanation(NamedTuple):
    """A figure's change as differences of mean part times.

    ``parts`` follow each other on a transaction's way and add up to its latency; they are ordered by the size of their
    change, and ``unexplained_s`` is what they leave of ``change_s``. ``work`` says which hops do more or less work per
    transaction of the scenario than before: the mechanisms behind the parts, not further summands.
    """

    change_s: float
    parts: tuple[PartChange, ...]
    work: tuple[PartChange, ...]
    unexplained_s: float

    @property
    def unexplained_share(self) -> float:
        """Size of the remainder over that of the change."""
        return abs(self.unexplained_s / self.change_s) if self.change_s else 0.0

    def sentence(self, stat: str) -> str:
        """Tell it: ``+268 us mean: dns +142 us, connect +126 us; work per transaction: service_nat +250 us``."""
        named = self._told(self.parts)
        rest = self.change_s - self.unexplained_s - math.fsum(part.change_s for part in named)
        told = [str(part) for part in named]
        if abs(rest) >= SHOWN * abs(self.change_s):
            told.append(f"other parts {signed(rest)}")
        text = f"{signed(self.change_s)} {stat}: " + ", ".join(told)
        work = self._told(self.work)
        if work:
            text += "; work per transaction: " + ", ".join(map(str, work))
        return f"{text}; unexplained {signed(self.unexplained_s)} ({self.unexplained_share:.0%})"

    def _told(self, changes: tuple[PartChange, ...]) -> list[PartChange]:
        return [change for change in changes if abs(change.change_s) >= SHOWN * abs(self.change_s)][:MOST]


def signed(seconds: float) -> str:
    """Write a change of time with its sign."""
    return ("+" if seconds >= 0 else "-") + units.format_seconds(abs(seconds))


def explain(key: FigureKey, new_name: str, baseline: Side, candidate: Side) -> Explanation | None:
    """Split a latency figure's change into its parts; None where either side kept no parts of that band.

    ``new_name`` is the candidate's name of the scope's object, equal to the key's unless it was renamed.
    """
    band = BandKey(key.levels, key.scope, key.name, key.stat)
    before, after = baseline.parts.get(band), candidate.parts.get(band._replace(name=new_name))
    old, new = baseline.figures.get(key), candidate.figures.get(key._replace(name=new_name))
    if key.metric != "latency" or not before or not after or old is None or new is None:
        return None
    change = new.value - old.value
    parts = _changes(before, after)
    unexplained = change - math.fsum(part.change_s for part in parts)
    return Explanation(change, parts, _work(key, baseline.figures, candidate.figures), unexplained)


def _changes(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[PartChange, ...]:
    names = dict.fromkeys((*before, *after))
    changes = [PartChange(name, before.get(name, 0.0), after.get(name, 0.0)) for name in names]
    return tuple(sorted(changes, key=lambda part: (-abs(part.change_s), part.part)))


def _work(key: FigureKey, before: Figures, after: Figures) -> tuple[PartChange, ...]:
    """Compare the work of every hop per transaction at the figure's point, with the rules it walks as the cause."""
    old, new = (_by_hop(figures, key, "hop_time") for figures in (before, after))
    old_rules, new_rules = (_by_hop(figures, key, "rules") for figures in (before, after))
    return tuple(
        change._replace(cause=_cause(new_rules.get(change.part, 0.0) - old_rules.get(change.part, 0.0)))
        for change in _changes(old, new)
    )


def _by_hop(figures: Figures, key: FigureKey, metric: str) -> dict[str, float]:
    return {
        each.name: figure.value
        for each, figure in figures.items()
        if each.metric == metric and each.scope == "hop" and each.levels == key.levels
    }


def _cause(rules: float) -> str:
    if abs(rules) < 0.5:
        return ""
    return f"from {abs(rules):,.0f} {'more' if rules > 0 else 'fewer'} rules"
