"""Tables of hosts whose cards wake the program's own core, as a row or the hardware says."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import validate

HEADER = "id,metric,configuration,value,unit,role\n"
ROW = "{id},throughput_per_core,cni=none;path=host-host;offload={offload},30,Gbit/s/core,target\n"


def per_core(folder: Path, interrupts: str, offload: str) -> float:
    folder.mkdir()
    (folder / "case.yaml").write_text(f"hardware: {{clock_ghz: 3, nic: 100Gbit/s, interrupts: {interrupts}}}\n")
    (folder / "published.csv").write_text(HEADER + ROW.format(id="x", offload=offload))
    result = validate([str(folder)], draws=0).cases[0]
    return (*result.points, *result.trivial)[0].predicted


def test_hardware_and_rows_say_the_same(tmp_path: Path) -> None:
    stated = per_core(tmp_path / "stated", "steered", "tso+gro")
    assert stated == pytest.approx(per_core(tmp_path / "row", "hashed", "tso+gro+arfs"))
    assert stated > per_core(tmp_path / "hashed", "hashed", "tso+gro") > per_core(tmp_path / "far", "remote", "tso+gro")
