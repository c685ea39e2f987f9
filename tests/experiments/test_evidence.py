"""Records of the long studies, and the short part of them that CI repeats."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from experiments import evidence, records  # noqa: E402 - the checkout's folder, not an installed package


@pytest.mark.slow
def test_ten_comparisons_of_equal_systems_and_ten_of_a_slower_one() -> None:
    """The seeds are fixed: this moves with the model only. One of ten shifts may be missed, none alarmed."""
    study = importlib.import_module("experiments.gate-reliability.reliability")
    quiet, power = study.reliability(10, 10, progress=lambda line: None)
    assert quiet.found == "0 of 10"
    assert int(power.found.split()[0]) >= 9


def test_a_record_is_read_as_it_was_written_and_shown_as_a_table(tmp_path: Path) -> None:
    findings = [records.Finding("M/M/1", "95.0 %", "93-97 %", True), records.Finding("p99", "12 of 100", "95", False)]
    path = tmp_path / "study.json"
    records.write(path, findings, trials=100)
    assert records.read(path) == (tuple(findings), {"trials": 100})
    lines = records.table([("study", findings, {})]).splitlines()
    assert [line.count("|") for line in lines] == [6] * 4
    assert "BROKEN" in lines[3] and "holds" in lines[2]


@pytest.mark.parametrize("path", sorted(evidence.RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_committed_records_hold(path: Path) -> None:
    findings, budget = records.read(path)
    assert findings and budget
    assert [finding for finding in findings if not finding.holds] == []
    page = (evidence.RECORDS / "README.md").read_text(encoding="utf-8")
    assert all(finding.found in page for finding in findings)
    assert json.loads(path.read_text(encoding="utf-8"))["findings"]
