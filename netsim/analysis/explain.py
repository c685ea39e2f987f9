"""Why a figure moved: the parts of the latency, before and after, among the transactions the figure speaks of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from netsim import units
from netsim.analysis.side import BandKey, FigureKey, Recorded, Side

SHOWN = 0.05
"""A part is named when it moved by at least this share of the figure's change."""
MOST = 4
"""Parts named in a sentence; the rest is in the table."""


class PartChange(NamedTuple):
    """One part of the latency: seconds before and after, and what is known to have caused the difference."""

    part: str
    before_s: float
    after_s: float
    cause: str = ""

    @property
    def change_s(self) -> float:
        """After less before."""
        return self.after_s - self.before_s


class Explanation(NamedTuple):
    """A figure's change as differences of mean part times.

    ``parts`` are ordered by the size of their change; ``unexplained_s`` is what they leave of ``change_s``.
    """

    change_s: float
    parts: tuple[PartChange, ...]
    unexplained_s: float

    @property
    def unexplained_share(self) -> float:
        """Size of the remainder over that of the change."""
        return abs(self.unexplained_s / self.change_s) if self.change_s else 0.0

    def sentence(self, stat: str) -> str:
        """``+21 us p99: service_nat +14 us from 1,200 more rules, queue:coredns +7 us; unexplained +0.4 us (2%)``."""
        named = [part for part in self.parts if abs(part.change_s) >= SHOWN * abs(self.change_s)][:MOST]
        told = [f"{p.part} {signed(p.change_s)}" + (f" {p.cause}" if p.cause else "") for p in named]
        rest = self.change_s - self.unexplained_s - math.fsum(part.change_s for part in named)
        if abs(rest) >= SHOWN * abs(self.change_s):
            told.append(f"other parts {signed(rest)}")
        text = f"{signed(self.change_s)} {stat}: " + ", ".join(told)
        return f"{text}; unexplained {signed(self.unexplained_s)} ({self.unexplained_share:.0%})"


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
    names = dict.fromkeys((*before, *after))
    causes = _causes(key, baseline.figures, candidate.figures)
    parts = [PartChange(name, before.get(name, 0.0), after.get(name, 0.0), _cause_of(name, causes)) for name in names]
    parts.sort(key=lambda part: (-abs(part.change_s), part.part))
    unexplained = change - math.fsum(part.change_s for part in parts)
    return Explanation(change, tuple(parts), unexplained)


def _causes(
    key: FigureKey, before: Mapping[FigureKey, Recorded], after: Mapping[FigureKey, Recorded]
) -> dict[str, str]:
    """Return, by hop, how many more or fewer rules a transaction walks there."""
    causes: dict[str, str] = {}
    for figure_key, new in after.items():
        if figure_key.metric == "rules" and figure_key.scope == "hop" and figure_key.levels == key.levels:
            old = before.get(figure_key)
            difference = new.value - (old.value if old is not None else 0.0)
            if abs(difference) >= 0.5:
                causes[figure_key.name] = f"from {abs(difference):,.0f} {'more' if difference > 0 else 'fewer'} rules"
    return causes


def _cause_of(part: str, causes: Mapping[str, str]) -> str:
    words = part.replace("/", " ").replace(":", " ").split()
    return next((cause for hop, cause in causes.items() if hop in words), "")
