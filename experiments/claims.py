"""What an experiment expects, as data: claims about the figures of its scenario, checked at any budget.

``expected.yaml`` holds the answer in one sentence, the settings of a quick run, and claims. A claim bounds a ratio, an
exponent or a value with room for noise: a verdict must not change with the seed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field

import netsim
from netsim.analysis.bottleneck import time_split
from netsim.analysis.growth import growth
from netsim.datapath.build import impossible
from netsim.scenario import Scenario, with_values
from netsim.study import StudyResult
from netsim.study.outcome import PartKey
from netsim.study.points import single

Levels = dict[str, Any]
Bounds = tuple[float, float]


class Found(NamedTuple):
    """What a claim found: whether it holds, and the figure in words."""

    holds: bool
    text: str


class _Claim(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    says: str = Field(description="the claim in words")


class Evidence(NamedTuple):
    """What claims are checked against."""

    scenario: Scenario
    study: StudyResult


def _point(study: StudyResult, levels: Mapping[str, Any]) -> int:
    fitting = [p.index for p in study.points if all(p.levels.get(key) == value for key, value in levels.items())]
    if len(fitting) != 1:
        raise ValueError(f"{dict(levels)} names {len(fitting)} points of the sweep, not one")
    return fitting[0]


def named(of: str) -> tuple[str, str, str, str]:
    """Split ``metric.stat`` or ``scope.name.metric.stat`` (a name may hold dots) into scope, name, metric, stat."""
    match = re.fullmatch(r"(?:(\w+)\.(.+)\.)?(\w+)\.(mean|max|p[\d.]+)", of)
    if match is None:
        raise ValueError(f"not a figure: {of}")
    scope, name, metric, stat = match.groups()
    return scope or "scenario", name or "", metric, stat


def _value(study: StudyResult, of: str, levels: Mapping[str, Any]) -> float:
    scope, name, metric, stat = named(of)
    return study.figure(metric, stat, scope=scope, name=name, point=_point(study, levels)).estimate.value


def _within(value: float, bounds: Bounds, what: str) -> Found:
    return Found(bounds[0] <= value <= bounds[1], f"{what} {value:.3g}, expected {bounds[0]:g} to {bounds[1]:g}")


class Ratio(_Claim):
    """A figure at one point over the same (or another) figure at another point."""

    claim: Literal["ratio"]
    of: str = Field(description="metric.stat, or scope.name.metric.stat")
    at: Levels
    to: Levels
    against: str | None = Field(None, description="figure at ``to``, when it is not the same")
    between: Bounds

    def check(self, evidence: Evidence) -> Found:
        """Divide and compare."""
        above = _value(evidence.study, self.of, self.at)
        below = _value(evidence.study, self.against or self.of, self.to)
        return _within(above / below, self.between, "ratio")


class Value(_Claim):
    """A figure at one point."""

    claim: Literal["value"]
    of: str
    at: Levels = {}
    between: Bounds

    def check(self, evidence: Evidence) -> Found:
        """Compare."""
        return _within(_value(evidence.study, self.of, self.at), self.between, self.of)


class Part(_Claim):
    """The share of the latency that transactions at a statistic spend in one kind of part, phase or named part."""

    claim: Literal["part"]
    at: Levels = {}
    stat: str = "mean"
    phase: str | None = Field(None, description="dns, connect, request or calls; default: all")
    kind: str | None = Field(None, description="work, wait, wake-up …; default: all")
    part: str | None = Field(None, description="the hop, station or timer; default: all")
    between: Bounds

    def check(self, evidence: Evidence) -> Found:
        """Add the shares up."""
        parts = time_split(evidence.study.runs[_point(evidence.study, self.at)].values(), stat=self.stat)
        share = sum(part.share for part in parts if self._is(part.key))
        return _within(share, self.between, f"share of {self.stat}")

    def _is(self, key: PartKey) -> bool:
        wanted = ((self.phase, key.phase), (self.kind, key.kind), (self.part, key.part))
        return all(asked in (None, own) for asked, own in wanted)


class Grows(_Claim):
    """The exponent with which a figure grows over the last step of a factor."""

    claim: Literal["grows"]
    of: str
    over: str
    where: Levels = {}
    exponent: Bounds

    def check(self, evidence: Evidence) -> Found:
        """Fit and compare."""
        scope, name, metric, stat = named(self.of)
        found = growth(evidence.study, metric, stat, over=self.over, where=self.where, scope=scope, name=name)
        return _within(found.last.value, self.exponent, "exponent")


class Impossible(_Claim):
    """A combination or size that cannot exist, and a part of the reason."""

    claim: Literal["impossible"]
    set: Levels
    because: str

    def check(self, evidence: Evidence) -> Found:
        """Ask before anything is run."""
        reasons = impossible(with_values(single(evidence.scenario), self.set))
        text = "; ".join(reason.text for reason in reasons) or "it can exist"
        return Found(self.because in text, text)


class Exists(_Claim):
    """Points that were measured."""

    claim: Literal["exists"]
    at: list[Levels]

    def check(self, evidence: Evidence) -> Found:
        """Look for figures."""
        missing = [levels for levels in self.at if _point(evidence.study, levels) not in evidence.study.summaries]
        return Found(not missing, f"{len(self.at) - len(missing)} of {len(self.at)} points measured")


class Told(_Claim):
    """A note that runs give their readers, and a part of it."""

    claim: Literal["told"]
    note: str

    def check(self, evidence: Evidence) -> Found:
        """Look among the notes of all points."""
        fitting = [note for note in evidence.study.notes if self.note in note]
        return Found(bool(fitting), fitting[0] if fitting else "not told")


class Capacity(_Claim):
    """Where a search along a key ends, and what ends it."""

    claim: Literal["capacity"]
    over: str
    set: Levels = {}
    slo: list[str]
    between: Bounds
    limited_by: str = Field(description="part of the kind, name or text of what stops it")

    def check(self, evidence: Evidence) -> Found:
        """Search."""
        from netsim.analysis.capacity import capacity

        asked = with_values(single(evidence.scenario), self.set)
        answer = capacity(asked, self.slo, over=self.over, tolerance=0.2, following=False)
        cause = answer.to_dict()["limited_by"] or {}
        stopped = " ".join(str(cause.get(key, "")) for key in ("kind", "name", "text"))
        inside = _within(answer.found.value, self.between, self.over)
        return Found(inside.holds and self.limited_by in stopped, f"{inside.text}; stopped by {stopped}")


class Limit(_Claim):
    """Use of a known limit, from ``netsim inspect limits``."""

    claim: Literal["limit"]
    name: str
    set: Levels = {}
    used: Bounds | None = None
    reached_at: Bounds | None = None

    def check(self, evidence: Evidence) -> Found:
        """Look the limit up."""
        asked = with_values(single(evidence.scenario), self.set)
        use = next(use for use in netsim.inspect.limits(asked).uses if use.name == self.name)
        if self.used is not None:
            return _within(use.used or 0.0, self.used, f"{self.name} used:")
        return _within(float(use.reached_at or 0), self.reached_at or (0.0, 0.0), f"{self.name} reached at nodes:")


Claim = Annotated[
    Ratio | Value | Part | Grows | Impossible | Exists | Told | Capacity | Limit,
    Field(discriminator="claim"),
]


class Drawing(BaseModel):
    """The figure of an experiment: one value of its sweep against one of its factors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    of: str
    over: str
    title: str


class Expected(BaseModel):
    """``expected.yaml`` of an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    answer: str
    quick: Levels = Field(default_factory=dict, description="settings of the run whose verdict CI checks")
    figure: Drawing | None = None
    claims: tuple[Claim, ...]


def read(folder: Path) -> Expected:
    """Read an experiment's expectations."""
    return Expected.model_validate(yaml.safe_load((folder / "expected.yaml").read_text(encoding="utf-8")))
