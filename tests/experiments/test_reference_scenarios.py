"""The reference scenarios of netsim's own gate: every one has a baseline, and the gate sees what it shall see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netsim.analysis.baseline import read_baseline, source_of
from netsim.analysis.compare import compare
from netsim.analysis.side import FigureKey
from netsim.scenario import load

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "experiments" / "reference").glob("*.yaml"))
EVENTS = ("scenario", "", "events", "mean")


def baseline_of(scenario: Path) -> Path:
    return ROOT / "results" / "baseline" / f"{scenario.stem}.json"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_has_a_baseline_of_its_present_question(scenario: Path) -> None:
    path = baseline_of(scenario)
    assert source_of(path).samefile(scenario)
    assert read_baseline(path).scenario == load(scenario).document


def test_every_baseline_has_its_scenario() -> None:
    assert sorted(path.stem for path in (ROOT / "results" / "baseline").glob("*.json")) == [p.stem for p in SCENARIOS]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_one_event_more_or_one_hop_longer_closes_the_gate(scenario: Path) -> None:
    side = read_baseline(baseline_of(scenario))
    assert compare(side, side, exact=True).ok
    for key in (event_key(side.figures), next(key for key in side.figures if key.metric == "hop_time")):
        figure = side.figures[key]
        longer = figure._replace(values=(*figure.values[:-1], figure.values[-1] * (1 + 1e-12)))
        moved = compare(side, replace(side, figures={**side.figures, key: longer}), exact=True)
        assert [row.key for row in moved.with_verdict(*moved.failing)] == [key]
        assert compare(side, replace(side, figures={**side.figures, key: longer})).ok


def event_key(figures: object) -> FigureKey:
    return next(key for key in figures if key[1:] == EVENTS)  # type: ignore[attr-defined]
