"""Two sets of figures: what got worse, by how much, how surely, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from netsim.analysis.explain import Explanation, explain
from netsim.analysis.judge import Judgement, is_gated, judge, tolerance_of
from netsim.analysis.renames import Judge, Rename, find_renames, with_old_names
from netsim.analysis.side import FigureKey, Recorded, Side, is_kept, neutral_document, point_label
from netsim.scenario.spec import ToleranceSpec
from netsim.stats.holm import holm_adjusted
from netsim.study.provenance import model_digest

Verdict = Literal["same", "better", "worse", "missing", "new"]

FAMILY_LEVEL = 0.001
"""Chance that a comparison of two equal systems reports any regression at all."""


class Row(NamedTuple):
    """One figure compared.

    ``baseline`` and ``candidate`` are None where a side lacks it. ``p_adjusted`` is the probability, adjusted by Holm's
    procedure for all figures compared, of data like these without a change beyond the tolerance; ``detectable`` the
    smallest relative worsening this comparison would have found 95 times in 100.
    """

    key: FigureKey
    verdict: Verdict
    unit: str
    baseline: float | None
    candidate: float | None
    ratio: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    tolerance: float = math.nan
    p_adjusted: float = math.nan
    detectable: float = math.nan
    explanation: Explanation | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of a comparison.

    Parameters
    ----------
    baseline, candidate: labels of the sides.
    rows: every gated figure.
    differences: what differs in scenario, inputs, versions, costs; to be said first.
    renames: names of the baseline that go by another name now.
    notes: what limits the comparison.
    exact: whether any difference at all fails.
    """

    baseline: str
    candidate: str
    rows: tuple[Row, ...]
    differences: tuple[str, ...]
    renames: tuple[Rename, ...] = ()
    notes: tuple[str, ...] = ()
    exact: bool = False

    @property
    def ok(self) -> bool:
        """Whether the gate is open: nothing worse, nothing missing; with ``exact``, nothing different at all."""
        return not self.with_verdict(*self.failing)

    @property
    def failing(self) -> tuple[Verdict, ...]:
        """Verdicts that close the gate."""
        return ("better", "worse", "missing", "new") if self.exact else ("worse", "missing")

    def with_verdict(self, *verdicts: Verdict) -> tuple[Row, ...]:
        """Return the rows with one of the verdicts."""
        return tuple(row for row in self.rows if row.verdict in verdicts)

    @property
    def counts(self) -> dict[str, int]:
        """Number of figures by verdict."""
        return {verdict: len(self.with_verdict(verdict)) for verdict in ("same", "better", "worse", "missing", "new")}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "baseline": self.baseline,
            "candidate": self.candidate,
            "ok": self.ok,
            "counts": self.counts,
            "differences": list(self.differences),
            "renames": [rename._asdict() for rename in self.renames],
            "notes": list(self.notes),
            "figures": [_row_dict(row) for row in self.rows],
        }


def _row_dict(row: Row) -> dict[str, Any]:
    numbers = ("baseline", "candidate", "ratio", "ci_low", "ci_high", "tolerance", "p_adjusted", "detectable")
    entry: dict[str, Any] = {
        "levels": dict(row.key.levels), "scope": row.key.scope, "name": row.key.name, "metric": row.key.metric,
        "stat": row.key.stat, "unit": row.unit, "verdict": row.verdict,
        **{name: _finite(getattr(row, name)) for name in numbers},
    }  # fmt: skip
    if row.reason:
        entry["reason"] = row.reason
    if row.explanation is not None:
        entry["explanation"] = {
            "change_s": row.explanation.change_s,
            "unexplained_s": row.explanation.unexplained_s,
            "parts": [
                {**part.key._asdict(), "before_s": part.before_s, "after_s": part.after_s, "change_s": part.change_s,
                 "cause": part.cause}
                for part in row.explanation.parts
            ],
        }
    return entry


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# ------------------------------------------------------------------------------------------------ comparing


def compare(
    baseline: Side,
    candidate: Side,
    tolerances: ToleranceSpec | None = None,
    *,
    level: float = FAMILY_LEVEL,
    exact: bool = False,
) -> Comparison:
    """Compare a candidate with a baseline.

    Parameters
    ----------
    tolerances: relative changes that do not matter, by metric; default 2 %.
    level: chance of any false regression in the whole comparison (Holm over all gated figures).
    exact: gate on equality to the last bit instead of statistically, of every figure that baselines keep, event counts
        and work per hop included; for figures of the same seeds.
    """
    allowed = tolerances or ToleranceSpec()
    compared = is_kept if exact else partial(is_gated, tolerances=allowed)
    old = {key: figure for key, figure in baseline.figures.items() if compared(key)}
    new = {key: figure for key, figure in candidate.figures.items() if compared(key)}
    weigh = partial(_weigh, allowed, baseline.seed == candidate.seed)
    renames = find_renames(old, new, weigh)
    new = with_old_names(new, renames)
    rows = list(_exact_rows(old, new) if exact else _rows(old, new, weigh, allowed, level))
    rows += [_absent(key, figure, candidate) for key, figure in old.items() if key not in new]
    rows += [_fresh(key, figure) for key, figure in new.items() if key not in old]
    names = {(rename.scope, rename.old): rename.new for rename in renames}
    explained = [
        row._replace(explanation=explain(row.key, names.get((row.key.scope, row.key.name), row.key.name), baseline,
                                         candidate)) if row.verdict == "worse" else row
        for row in rows
    ]  # fmt: skip
    place = {key: i for i, key in enumerate((*old, *(key for key in new if key not in old)))}
    explained.sort(key=lambda row: place[row.key])
    return Comparison(
        baseline.label, candidate.label, tuple(explained), tuple(differences(baseline, candidate)), renames,
        tuple(_exact_notes(baseline) if exact else _notes(explained, old, new, baseline)), exact,
    )  # fmt: skip


def _weigh(tolerances: ToleranceSpec, same_seed: bool, key: FigureKey, old: Recorded, new: Recorded) -> Judgement:
    return judge(key, old, new, tolerance_of(key, tolerances), same_seed=same_seed)


def _comparable(
    old: Mapping[FigureKey, Recorded], new: Mapping[FigureKey, Recorded]
) -> list[tuple[FigureKey, Recorded, Recorded]]:
    """Return the figures both sides have; a quantile that one refused for lack of samples says nothing."""
    pairs = ((key, old[key], new[key]) for key in old if key in new)
    return [(key, a, b) for key, a, b in pairs if not math.isnan(a.value) and not math.isnan(b.value)]


def _rows(
    old: Mapping[FigureKey, Recorded], new: Mapping[FigureKey, Recorded], weigh: Judge, tolerances: ToleranceSpec,
    level: float,
) -> Iterator[Row]:  # fmt: skip
    pairs = _comparable(old, new)
    judged = [weigh(*pair) for pair in pairs]
    worse = holm_adjusted([each.p_worse for each in judged])
    better = holm_adjusted([each.p_better for each in judged])
    for (key, a, b), judgement, p_worse, p_better in zip(pairs, judged, worse, better, strict=True):
        verdict: Verdict = "worse" if p_worse <= level else "better" if p_better <= level else "same"
        yield Row(
            key, verdict, a.unit, a.value, b.value, judgement.ratio, judgement.ci_low, judgement.ci_high,
            tolerance_of(key, tolerances), min(p_worse, p_better), judgement.detectable(level / len(pairs)),
        )  # fmt: skip


def _exact_rows(old: Mapping[FigureKey, Recorded], new: Mapping[FigureKey, Recorded]) -> Iterator[Row]:
    for key in (key for key in old if key in new):
        a, b = old[key], new[key]
        judgement = judge(key, a, b, 0.0, same_seed=True)
        verdict: Verdict = "same"
        if not _identical((a.value, *a.values), (b.value, *b.values)):
            verdict = "worse" if judgement.p_worse <= judgement.p_better else "better"
        yield Row(key, verdict, a.unit, a.value, b.value, judgement.ratio, tolerance=0.0)


def _identical(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    return len(ours) == len(theirs) and all(map(_alike, ours, theirs))


def _alike(ours: float, theirs: float) -> bool:
    return ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def _absent(key: FigureKey, figure: Recorded, candidate: Side) -> Row:
    reason = candidate.reasons.get(key.levels, "the candidate did not measure it")
    return Row(key, "missing", figure.unit, figure.value, None, reason=reason)


def _fresh(key: FigureKey, figure: Recorded) -> Row:
    return Row(key, "new", figure.unit, None, figure.value)


def _notes(
    rows: list[Row], old: Mapping[FigureKey, Recorded], new: Mapping[FigureKey, Recorded], baseline: Side
) -> Iterator[str]:
    refused = [key for key in old if key in new and math.isnan(old[key].value + new[key].value)]
    if refused:
        yield f"{len(refused)} quantiles have too few samples to compare, among them {refused[0].label}"
    unknown = [row for row in rows if row.verdict == "same" and math.isinf(row.detectable) and row.ratio != 1.0]
    if unknown:
        yield (
            f"{len(unknown)} figures have one replication and no interval, so nothing can be said about them: "
            "run at least two replications"
        )
    coarse = [row for row in rows if row.verdict == "same" and 0.1 < row.detectable < math.inf]
    if coarse:
        worst = max(coarse, key=lambda row: row.detectable)
        yield (
            f"{len(coarse)} figures are too noisy to see a change of 10%, the worst ({worst.key.label}) sees "
            f"{worst.detectable:.0%}: add replications or transactions"
        )
    yield from _exact_notes(baseline)


def _exact_notes(baseline: Side) -> Iterator[str]:
    """Say when other code made the baseline."""
    if baseline.versions.get("model") != model_digest():
        yield (
            f"the baseline comes from netsim {baseline.versions.get('netsim', 'of unknown version')} with another "
            "state of the model; this version cannot reproduce it exactly"
        )


# ------------------------------------------------------------------------------------------------ provenance


def differences(baseline: Side, candidate: Side) -> Iterator[str]:
    """Say what differs between the sides besides their figures."""
    old, new = neutral_document(baseline.scenario), neutral_document(candidate.scenario)
    for key, before, after in _document_changes(old, new, ""):
        yield f"scenario: {key}: {before} -> {after}"
    yield from _mapping_changes("input", baseline.inputs, candidate.inputs)
    yield from _mapping_changes("cost profile", baseline.costs, candidate.costs)
    yield from _mapping_changes("version of", baseline.versions, candidate.versions)
    if baseline.seed != candidate.seed:
        yield f"seed: {baseline.seed} -> {candidate.seed} (independent random numbers)"
    gone = [point_label(levels) for levels in baseline.reasons if levels not in candidate.reasons]
    for levels, reason in candidate.reasons.items():
        if levels not in baseline.reasons:
            yield f"point {point_label(levels) or 'of the scenario'} has no figures now: {reason}"
    for label in gone:
        yield f"point {label or 'of the scenario'} has figures now"


def _document_changes(old: object, new: object, prefix: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            yield from _document_changes(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _document_changes(before, after, f"{prefix}[{index}]")
    elif old != new:
        yield prefix, _brief(old), _brief(new)


def _brief(value: object) -> str:
    text = "(not set)" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _mapping_changes(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if before is None:
            yield f"{what} {name}: added"
        elif after is None:
            yield f"{what} {name}: removed"
        elif before != after:
            yield f"{what} {name}: {before} -> {after}"
