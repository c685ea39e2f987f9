"""A cost profile as a table: every figure with its value, range, source and arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from netsim.datapath.costs import CostProfile, Estimate, load_profile
from netsim.errors import InputError


@dataclass(frozen=True, slots=True)
class CostLine:
    """One figure: the estimate that is used, and those that would be without its source."""

    figure: str
    meaning: str
    unit: str
    scaling: str
    measured: str
    used: Estimate
    others: tuple[Estimate, ...]

    @property
    def moved_by(self) -> str:
        """What changes the figure from one machine to another, in words."""
        regime = ", regime" if self.measured == "hot_loop" else ""
        return {"cpu": f"clock{regime}", "memory": "memory", "none": "nothing"}[self.scaling]

    def to_dict(self) -> dict[str, Any]:
        """Return the line as plain data."""
        return {
            "figure": self.figure, "meaning": self.meaning, "unit": self.unit, "scaling": self.scaling,
            "measured": self.measured, **self.used.model_dump(),
            "others": [estimate.model_dump() for estimate in self.others],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class CostReport:
    """A profile's figures in the order of their names; ``left_out`` are sources that may not be used."""

    profile: CostProfile
    left_out: tuple[str, ...]
    lines: tuple[CostLine, ...]

    @property
    def sources(self) -> dict[str, str]:
        """Citations of the sources that are used."""
        used = {line.used.source for line in self.lines}
        return {name: text for name, text in sorted(self.profile.sources.items()) if name in used}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        profile = self.profile
        return {
            "profile": profile.name, "title": profile.title, "valid_for": profile.valid_for,
            "clock_ghz": profile.clock_ghz, "left_out": list(self.left_out), "sources": self.sources,
            "figures": [line.to_dict() for line in self.lines],
        }  # fmt: skip


def inspect_costs(name_or_path: str, *, excluded: Collection[str] = (), containing: str = "") -> CostReport:
    """Return what a profile says and where it has it from.

    Parameters
    ----------
    name_or_path: a shipped profile, or one of a file.
    excluded: sources that may not be used, as in a prediction of their own tables.
    containing: only figures with this in their name.

    Raises
    ------
    InputError
        When there is no such profile, no such source or figure, or a figure has no other source.
    """
    profile = load_profile(name_or_path)
    unknown = sorted(set(excluded) - set(profile.sources))
    if unknown:
        raise InputError("no such source", got=", ".join(unknown), allowed=", ".join(sorted(profile.sources)))
    lines = tuple(_lines(profile, excluded, containing))
    if not lines:
        raise InputError("no figure has this in its name", got=containing, allowed=", ".join(sorted(profile.figures)))
    return CostReport(profile, tuple(excluded), lines)


def _lines(profile: CostProfile, excluded: Collection[str], containing: str) -> Iterator[CostLine]:
    for key, figure in sorted(profile.figures.items()):
        if containing not in key:
            continue
        try:
            used = figure.chosen(excluded)
        except LookupError as error:
            raise InputError(str(error), got=key) from error
        others = tuple(estimate for estimate in figure.estimates if estimate is not used)
        yield CostLine(key, figure.meaning, figure.unit, figure.scaling, figure.measured, used, others)
