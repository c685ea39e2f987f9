"""What packets below saturation leave of a core: a cycle of sleep, interrupt and poll."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published.case import load_case
from netsim.calibration.published.validation import validate_case

HEADER = "id,metric,configuration,value,unit,role\n"


def idle(folder: Path, *rates: float) -> list[float]:
    way = "path=nic-drop;policy=iptables-raw-drop"
    rows = "".join(f"i{n},cpu_idle,{way};offered_mpps={n},50,%,target\n" for n in rates)
    (folder / "published.csv").write_text(HEADER + rows, encoding="utf-8")
    result = validate_case(load_case(str(folder)), draws=0)
    found = {point.id: point.predicted for point in (*result.points, *result.trivial)}
    return [found[f"i{n}"] / 100 for n in rates]


def test_interrupts_take_more_of_what_is_left_the_more_often_packets_come(tmp_path: Path) -> None:
    rates = (0.01, 0.25, 1, 3)
    # the driver's own packets take 238 ns each, an interrupt 768 and 500
    taken = [1 - left / (1 - rate * 0.238) for rate, left in zip(rates, idle(tmp_path, *rates), strict=True)]
    assert taken == sorted(taken)
    assert taken[0] == pytest.approx(1.268 / (3 + 50 + 1.268), rel=0.02)
    assert taken[-1] < 1.268 / (3 + 1.268)


def test_nothing_is_left_of_a_saturated_core(tmp_path: Path) -> None:
    assert idle(tmp_path, 4, 20)[1] == 0.0
