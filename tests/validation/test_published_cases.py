"""Published tables stay predicted as well as they are, and by fair means."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from netsim.calibration.published import CaseResult, Row, load_case, shipped_cases, validate
from netsim.datapath.costs import load_profile

SHARED = Path(__file__).parents[2].parent / "shared" / "published"
QUICK = ("cni-100g", "vm-overlays", "tunnel-device", "hooks", "offload-ladder", "coredns", "dns-amplification",
         "connection-rates", "same-node-devices", "programming-latency", "rule-programming", "endpoint-objects",
         "object-counts", "external-dns", "kernel-steps", "cpu-shares", "cni-40g", "macvlan-10g", "kube-ovn",
         "service-bulk", "rule-commands", "dns-reports")  # fmt: skip
UNSEEN = Path(__file__).parents[2] / "experiments" / "unseen-tables"
OUTSIDE = tuple(sorted(path.parent.name for path in UNSEEN.glob("*/published.csv")))
MEDIANS = {"cni-100g": 0.08, "vm-overlays": 0.10, "coredns": 0.09, "connection-rates": 0.08, "dns-amplification": 0.01,
           "same-node-devices": 0.07, "hooks": 0.10, "offload-ladder": 0.10, "programming-latency": 0.10,
           "rule-programming": 0.40, "rule-commands": 0.05, "endpoint-objects": 0.05,
           "object-counts": 0.01, "external-dns": 0.05,
           "kernel-steps": 0.10, "cpu-shares": 0.30,
           "cni-40g": 0.12, "macvlan-10g": 0.12, "kube-ovn": 0.18, "service-bulk": 0.05, "dns-reports": 0.2,
           "cni-10g": 0.6, "docker-10g": 0.1, "docker-40g": 0.36, "docker-same-host": 0.25, "message-sizes": 0.10,
           "plugins-r620": 0.25, "single-node-balancer": 0.30, "qperf-sizes": 0.16, "eks-services": 0.24,
           "http-tails": 0.20, "flood-filter": 0.08, "receive-paths": 0.12, "node-to-pod": 0.22, "gigabit-web": 0.25,
           "iperf-reports": 0.20}  # fmt: skip


@pytest.fixture(scope="module")
def results() -> dict[str, CaseResult]:
    cases = [*QUICK, *(str(UNSEEN / name) for name in OUTSIDE)]
    return {result.case.name: result for result in validate(cases, draws=0).cases}


@pytest.mark.parametrize("name", MEDIANS)
def test_median_error(results: dict[str, CaseResult], name: str) -> None:
    median = results[name].score.median
    assert median is not None
    assert median <= MEDIANS[name]


@pytest.mark.parametrize("name", (*QUICK, *OUTSIDE))
def test_never_more_parameters_than_baseline_rows(results: dict[str, CaseResult], name: str) -> None:
    assert len(results[name].parameters) <= results[name].baselines


@pytest.mark.parametrize("name", (*QUICK, *OUTSIDE))
def test_rows_left_out_are_few(results: dict[str, CaseResult], name: str) -> None:
    result = results[name]
    assert result.left_out <= 0.13  # one row of a small table is more than a tenth
    assert len(result.excluded) + len(result.ranges) <= max(1, 0.1 * (len(result.points) + len(result.excluded)))
    assert all(item.reason for item in result.excluded)


@pytest.mark.parametrize("name", (*QUICK, *OUTSIDE))
def test_every_row_is_accounted_for(results: dict[str, CaseResult], name: str) -> None:
    result = results[name]
    told = len(result.points) + len(result.trivial) + len(result.ranges) + len(result.excluded) + result.baselines
    assert told == len(result.case.rows)


@pytest.mark.parametrize("name", (*QUICK, *OUTSIDE))
def test_own_sources_are_left_out(results: dict[str, CaseResult], name: str) -> None:
    result = results[name]
    for profile in result.profile.split(", "):
        for figure in load_profile(profile).figures.values():
            assert figure.chosen(result.case.sources).source not in result.case.sources


@pytest.mark.slow
def test_intervals_cover_what_was_published() -> None:
    validation = validate(("cni-100g", "vm-overlays"), draws=40)
    coverage, half_width = validation.overall.coverage, validation.overall.half_width
    assert coverage is not None
    assert half_width is not None
    assert coverage >= 0.8
    assert half_width <= 0.35


def published(text: str, row: Row) -> float:
    """Return a value; of a formula that for the number of objects which the case's row states."""
    formula = re.fullmatch(r"\(pods\+services\)/(\d+)\+(\d+)", text)
    if formula is None:
        return float(text)
    return row.setting.number("pods_plus_services") / float(formula[1]) + float(formula[2])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of published rows is not here")
def test_values_are_those_of_the_collection() -> None:
    known = {}
    for name in ("dataplane.csv", "control.csv"):
        with (SHARED / name).open(encoding="utf-8", newline="") as stream:
            known.update({row["id"]: row for row in csv.DictReader(stream)})
    for case in map(load_case, shipped_cases()):
        for row in case.rows:
            if row.id in known:
                assert row.quantity.value == published(known[row.id]["value"], row), row.id
                assert row.metric == known[row.id]["metric"], row.id
