"""What a calibration says of the range for work moved between machines."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from netsim.datapath.costs import load_profile

sys.path.insert(0, str(Path(__file__).parents[2]))
spread = importlib.import_module("experiments.hop-transfer.spread")


def calibration(tmp_path: Path, factor: float, **departed: float) -> Path:
    """Write a calibration of a machine ``factor`` times as slow, some hops off by a factor of their own."""
    figures = load_profile("server").figures
    prices = {}
    for hop, key in spread.HOPS.items():
        known = next(one.value for one in figures[key].estimates if one.source == "netns")
        prices[hop] = {"cost_s": known * factor * departed.get(hop.split(".")[0], 1.0) * 1e-9}
    path = tmp_path / "calibration.json"
    document = {"prices": prices, "reference_s": spread.REFERENCE_NS * factor * 1e-9, "clock_hz": 2.0e9}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_slower_machine_departs_nowhere(tmp_path: Path) -> None:
    path = calibration(tmp_path, 1.7)
    document = json.loads(path.read_text(encoding="utf-8"))
    measured = {hop: price["cost_s"] * 1e9 for hop, price in document["prices"].items()}
    found = spread.departures(measured, document["reference_s"] * 1e9)
    assert list(found.values()) == pytest.approx([1.0] * len(spread.HOPS))
    assert spread.main([str(path)]) == 0


def test_hops_that_move_apart_contradict_the_range(tmp_path: Path) -> None:
    assert spread.main([str(calibration(tmp_path, 1.7, veth=2.5, bridge=0.5, tunnel=2.5))]) == 1


def test_the_record_is_of_the_profile_that_stands() -> None:
    record = Path(spread.__file__).parents[1] / "evidence" / "hop-transfer.json"
    stated = load_profile("server").figures["transfer.added_work"].chosen()
    last = json.loads(record.read_text(encoding="utf-8"))["findings"][-1]
    assert last["holds"] and last["expected"].startswith(f"{stated.low} to {stated.high}")
