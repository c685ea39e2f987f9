"""Baseline rows weigh the draws of costs; the noise of a measurement stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netsim.calibration.published import validation
from netsim.calibration.published.evidence import MISFIT, REPEATABILITY, Discrepancy, interval, quantile, weights
from netsim.calibration.published.validation import validate

EVEN = np.ones(201)


def test_a_draw_that_contradicts_the_baseline_weighs_less() -> None:
    near, far, off = weights([[{"bulk": [0.0]}], [{"bulk": [MISFIT]}], [{"bulk": [1.0]}]])
    assert near == 1.0
    assert 0.5 < far < 0.7
    assert off < 0.01


def test_rows_of_one_kind_have_one_voice() -> None:
    once = weights([[{"bulk": [0.0]}], [{"bulk": [0.2]}]])
    often = weights([[{"bulk": [0.0] * 5}], [{"bulk": [0.2] * 5}]])
    two = weights([[{"bulk": [0.0], "round-trip": [0.0]}], [{"bulk": [0.2], "round-trip": [0.2]}]])
    assert often == pytest.approx(once)
    assert two[1] == pytest.approx(once[1] ** 2)


def test_a_row_that_no_draw_explains_decides_nothing() -> None:
    """Idle states triple a round trip: draws that come a little nearer are not right for that."""
    one, other = weights([[{"round-trip": [1.2]}], [{"round-trip": [1.3]}]])
    assert one / other < 1.4  # 8.8 times were errors normal


def test_without_evidence_all_weigh_the_same() -> None:
    assert weights([[{}], [{}], [{}]]).tolist() == [1.0, 1.0, 1.0]
    assert len(weights([])) == 0


def test_weighted_quantile() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    assert quantile(values, np.ones(4), 0.5) == 2.5
    assert quantile(values, np.array([1.0, 1.0, 1.0, 9.0]), 0.6) > 3.5
    assert quantile(values[::-1], np.ones(4), 0.5) == 2.5


def test_interval_adds_noise_and_discrepancy_in_squares() -> None:
    samples = list(np.exp(np.linspace(-0.3, 0.3, 201)))
    low, high = interval(1.0, samples, EVEN, noise=0.02, level=0.9, discrepancy=0.1)
    expected = np.hypot(np.hypot(0.27, np.log1p(REPEATABILITY)), 0.1)
    assert np.log(high) == pytest.approx(expected, rel=0.02)
    assert np.log(low) == pytest.approx(-expected, rel=0.02)


def test_what_is_counted_has_the_noise_of_the_publication_alone() -> None:
    assert interval(10.0, [10.0] * 5, np.ones(5), noise=0.02, level=0.9) == pytest.approx((10 / 1.02, 10.2))
    assert interval(0.0, [0.0] * 5, np.ones(5), noise=0.02, level=0.9) == (0.0, 0.0)


def test_repeatability_is_what_twin_workers_show() -> None:
    """Both workers of a testbed measured every configuration: the constant follows from their differences."""
    from netsim.calibration.published.case import load_case

    pairs: dict[str, list[float]] = {}
    for row in load_case("vm-overlays").rows:
        same = ";".join(f"{key}={value}" for key, value in sorted(row.setting.values.items()) if key != "sender")
        pairs.setdefault(f"{row.metric};{same}", []).append(row.quantity.value)
    apart = [np.log(pair[0] / pair[1]) for pair in pairs.values() if len(pair) == 2]
    assert len(apart) == 11
    deviation = np.sqrt(np.mean(np.square(apart)) / 2)
    assert 1.645 * deviation == pytest.approx(REPEATABILITY, rel=0.05)


def test_a_baseline_row_narrows_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine unstated: with a bare row of one flow the prediction is surer than that row's own parameter makes it."""
    header = "id,metric,configuration,value,unit,role\n"
    bare = "b,tcp_throughput,cni=none;path=host-host,15.5,Gbit/s,baseline\n"
    pod = "p,tcp_throughput,cni=flannel;encapsulation=vxlan;path=pod-pod-cross-node,4.5,Gbit/s,target\n"
    (tmp_path / "case.yaml").write_text("hardware: {virtual: true, nic: none, cores: 1, tunnel: false}\n")
    (tmp_path / "published.csv").write_text(header + bare + pod)
    narrow = validate([str(tmp_path)], draws=400, discrepancy=Discrepancy()).cases[0].points[0].half_width
    monkeypatch.setattr(validation, "weights", lambda draws: np.ones(len(draws)))
    assert narrow < 0.97 * validate([str(tmp_path)], draws=400, discrepancy=Discrepancy()).cases[0].points[0].half_width


def test_traffic_that_nobody_measured_on_the_bare_hosts_is_predicted_less_surely(tmp_path: Path) -> None:
    """A bare row of the same kind holds the model to the hosts; one of another kind does not."""
    rows = (
        "id,metric,configuration,value,unit,role\n"
        "b,tcp_rr_latency,cni=none;path=host-host,40,us,baseline\n"
        "r,tcp_rr_latency,cni=calico;path=pod-pod-cross-node,50,us,target\n"
        "s,tcp_throughput,cni=calico;path=pod-pod-same-node,20,Gbit/s,target\n"
    )
    (tmp_path / "published.csv").write_text(rows)
    (tmp_path / "case.yaml").write_text("hardware: {nic: 100Gbit/s, cores: 16, clock_ghz: 3.0}\n")

    def widths(discrepancy: Discrepancy) -> dict[str, float]:
        (case,) = validate([str(tmp_path)], draws=20, discrepancy=discrepancy).cases
        return {point.id: point.half_width for point in case.points}

    alone, wide = widths(Discrepancy()), widths(Discrepancy(unmeasured=1.0))
    assert wide["r"] == alone["r"]
    assert wide["s"] > 2 * alone["s"]


def test_an_interval_holds_its_prediction() -> None:
    """Draws that all lie above the prediction move the upper end alone: the lower one is what else may be wrong."""
    low, high = interval(1.0, [1.5, 1.6, 1.7], np.ones(3), noise=0.02, level=0.9, discrepancy=0.1)
    beside = np.hypot(np.log1p(REPEATABILITY), 0.1)
    assert low == pytest.approx(np.exp(-beside))
    assert high > 1.6
