"""Nodes that balance load for others: one row of the plainest mode gives the product of cores and speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published.case import load_case
from netsim.calibration.published.validation import CaseResult, validate_case

HEADER = "id,metric,configuration,value,unit,role\n"
BASE = "base,forwarded_packet_rate,proxy=iptables;offered_mpps=20,2,Mpps,baseline\n"


def run(folder: Path, rows: str, case: str = "") -> CaseResult:
    (folder / "published.csv").write_text(HEADER + BASE + rows, encoding="utf-8")
    (folder / "case.yaml").write_text(case, encoding="utf-8")
    return validate_case(load_case(str(folder)), draws=0)


RATES = "".join(
    f"{mode},forwarded_packet_rate,proxy={mode};offered_mpps=20,1,Mpps,target\n"
    for mode in ("iptables", "ipvs", "cilium-tc-ebpf", "cilium-xdp")
)


def test_modes_stand_in_their_order_and_the_baseline_is_met(tmp_path: Path) -> None:
    found = {point.id: point.predicted for point in run(tmp_path, RATES).points}
    assert found["iptables"] == pytest.approx(2.0)
    assert found["ipvs"] < found["iptables"] < found["cilium-tc-ebpf"] < found["cilium-xdp"]


def test_the_number_of_cores_plays_no_part_in_rates(tmp_path: Path) -> None:
    few, many = (run(tmp_path, RATES, f"hardware: {{cores: {n}}}") for n in (3, 6))
    assert [p.predicted for p in few.points] == pytest.approx([p.predicted for p in many.points])


def test_idle_falls_with_the_rate_until_nothing_is_left(tmp_path: Path) -> None:
    rows = "".join(f"i{n},cpu_idle,proxy=ipvs;offered_mpps={n},50,%,target\n" for n in (0.2, 0.8, 4))
    result = run(tmp_path, rows)
    low, high = result.points
    assert 100 > low.predicted > high.predicted > 0
    assert [(point.id, point.predicted) for point in result.trivial] == [("i4", 0.0)]


def test_a_rate_that_is_all_offered_is_trivial(tmp_path: Path) -> None:
    result = run(tmp_path, "x,forwarded_packet_rate,proxy=cilium-xdp;offered_mpps=3,3,Mpps,target\n")
    assert [point.predicted for point in result.trivial] == [3.0]


def test_filters_stand_in_order_of_their_place_and_the_line_is_the_end(tmp_path: Path) -> None:
    (tmp_path / "published.csv").write_text(
        HEADER
        + "a,drop_rate,filter=iptables,10,Mpps,baseline\n"
        + "b,drop_rate,filter=bpfilter host XDP,30,Mpps,target\n"
        + "c,drop_rate,filter=bpfilter hardware offload,59,Mpps,target\n",
        encoding="utf-8",
    )
    (tmp_path / "case.yaml").write_text("hardware: {nic: 40Gbit/s}", encoding="utf-8")
    result = validate_case(load_case(str(tmp_path)), draws=0)
    assert [point.id for point in result.points] == ["b"]
    assert 10 < result.points[0].predicted < result.trivial[0].predicted == pytest.approx(40e3 / 672)
