"""The answer and the notes of a run name its faults."""

from __future__ import annotations

from pathlib import Path

import yaml

import netsim
from netsim.report.build import answer_of
from netsim.scenario import build

FAILING = Path(__file__).parents[1] / "golden" / "failing.yaml"


def test_faults_are_named_with_how_long_they_were_felt() -> None:
    result = netsim.run(build(yaml.safe_load(FAILING.read_text())))
    labels = [note.removeprefix("fault: ") for note in result.notes if note.startswith("fault: ")]
    assert len(labels) == 3
    rows = result.figures[result.figures["metric"] == "recovery"]
    assert set(rows["name"]) == set(labels)
    assert (rows["unit"] == "s").all()
    said = " ".join(answer_of(result))
    for label in labels:
        assert f"{label}: felt for" in said
