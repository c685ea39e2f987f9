from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from sides import DOCUMENT, NAN, band, key, recorded, side

from netsim.analysis.compare import Comparison, compare
from netsim.analysis.side import FigureKey, Recorded
from netsim.report.comparison import headline, to_json, to_junit, to_markdown, to_text
from netsim.scenario.spec import ToleranceSpec
from netsim.study.outcome import PartKey
from netsim.study.provenance import model_digest

MEAN = key()


def noisy(seed: int, centre: float = 1e-3, n: int = 10, spread: float = 0.005) -> Recorded:
    return recorded(*(centre * np.random.default_rng(seed).normal(1.0, spread, n)).tolist())


def verdict(old: Recorded, new: Recorded, figure: FigureKey = MEAN, **options: object) -> str:
    seeds = options.pop("seeds", (1, 2))
    rows = compare(
        side({figure: old}, seed=seeds[0]),  # type: ignore[index]
        side({figure: new}, seed=seeds[1]),  # type: ignore[index]
        **options,  # type: ignore[arg-type]
    ).rows
    return rows[0].verdict


def test_equal_figures_are_the_same_and_open_the_gate() -> None:
    assert verdict(noisy(1), noisy(1)) == "same"
    assert verdict(noisy(1), noisy(2)) == "same"


def test_a_change_beyond_the_tolerance_is_found_in_both_directions() -> None:
    assert verdict(noisy(1), noisy(2, 1.06e-3)) == "worse"
    assert verdict(noisy(1), noisy(2, 0.93e-3)) == "better"


def test_a_certain_change_within_the_tolerance_is_the_same() -> None:
    assert verdict(noisy(1, spread=1e-6), noisy(2, 1.015e-3, spread=1e-6)) == "same"
    strict = ToleranceSpec(default=0.01)
    assert verdict(noisy(1, spread=1e-6), noisy(2, 1.015e-3, spread=1e-6), tolerances=strict) == "worse"


def test_tolerances_by_metric_and_statistic() -> None:
    wide = ToleranceSpec(metrics={"latency": 0.1})
    assert verdict(noisy(1), noisy(2, 1.06e-3), tolerances=wide) == "same"
    narrow = ToleranceSpec(metrics={"latency": 0.1, "latency.mean": 0.02})
    assert verdict(noisy(1), noisy(2, 1.06e-3), tolerances=narrow) == "worse"


def test_more_throughput_is_better() -> None:
    figure = key("throughput")
    assert verdict(noisy(1, 100.0), noisy(2, 110.0), figure) == "better"
    assert verdict(noisy(1, 100.0), noisy(2, 90.0), figure) == "worse"


def test_common_random_numbers_see_what_independent_ones_cannot() -> None:
    old = noisy(1, spread=0.2)
    new = recorded(*(value * 1.05 for value in old.values))
    assert verdict(old, new, seeds=(1, 2)) == "same"
    assert verdict(old, new, seeds=(1, 1)) == "worse"


def test_errors_within_replications_sharpen_the_test() -> None:
    few = recorded(1.0, 1.004, 0.996, errors=0.004), recorded(1.04, 1.044, 1.036, errors=0.004)
    assert verdict(*few) == "worse"
    assert verdict(few[0]._replace(errors=(NAN,) * 3), few[1]._replace(errors=(NAN,) * 3)) == "same"


def test_shares_that_may_be_zero() -> None:
    figure = key("failed")
    zero = recorded(0.0, 0.0, 0.0, 0.0, 0.0, unit="1")
    assert verdict(zero, zero, figure) == "same"
    assert verdict(zero, recorded(0.011, 0.0105, 0.0098, 0.0102, 0.0101, unit="1"), figure) == "worse"
    assert verdict(zero, recorded(0.0, 0.0, 0.001, 0.0, 0.0, unit="1"), figure) == "same"
    assert verdict(zero, recorded(*[5e-5] * 5, unit="1"), figure) == "same"
    assert verdict(recorded(*[0.01] * 5, unit="1"), zero, figure) == "better"


def test_missing_fails_and_new_does_not() -> None:
    both = {MEAN: noisy(1), key(stat="p99"): noisy(2)}
    gone = compare(side(both), side({MEAN: noisy(1)}))
    assert [row.verdict for row in gone.rows] == ["same", "missing"]
    assert not gone.ok
    fresh = compare(side({MEAN: noisy(1)}), side(both))
    assert [row.verdict for row in fresh.rows] == ["same", "new"]
    assert fresh.ok


def test_a_point_that_cannot_exist_any_more_is_missing_with_its_reason() -> None:
    levels = (("cluster.nodes", "500"),)
    old = side({key(levels=levels): noisy(1)})
    new = side({}, reasons={levels: "the route table ends at 400 nodes"})
    comparison = compare(old, new)
    assert comparison.rows[0].reason == "the route table ends at 400 nodes"
    assert any("no figures now" in line for line in comparison.differences)


def test_a_quantile_refused_for_lack_of_samples_is_not_compared_and_it_is_said() -> None:
    refused = noisy(1)._replace(value=NAN)
    p99 = key(stat="p99")
    for old, new in ((refused, refused), (noisy(1), refused), (refused, noisy(1))):
        comparison = compare(side({p99: old}), side({p99: new}))
        assert comparison.rows == ()
        assert any("too few samples" in note for note in comparison.notes)


def test_maxima_and_inner_metrics_do_not_gate_unless_named() -> None:
    inner = {
        key(stat="max"): noisy(1), key("utilization", scope="station", name="core"): noisy(1, 0.5),
        key("rules", scope="hop", name="service_nat"): noisy(1, 10.0),
    }  # fmt: skip
    assert compare(side(inner), side({})).rows == ()
    named = compare(side(inner), side({}), ToleranceSpec(metrics={"rules": 0.05}))
    assert [row.key.metric for row in named.rows] == ["rules"]


def test_exact_gate() -> None:
    old = recorded(1.0, 2.0)
    assert compare(side({MEAN: old}), side({MEAN: recorded(1.0, 2.0)}), exact=True).ok
    moved = recorded(1.0, 2.0 - 1e-15)
    assert verdict(old, moved, seeds=(1, 1)) == "same"
    better = compare(side({MEAN: old}), side({MEAN: moved}), exact=True)
    assert [row.verdict for row in better.rows] == ["better"]
    assert not better.ok


def test_exact_gate_has_event_counts_and_refused_quantiles() -> None:
    events, p99 = key("events"), key(stat="p99")
    old = {events: recorded(90.0, 91.0, unit="1"), p99: recorded(1.0, 2.0, value=NAN)}
    assert compare(side(old), side(old), exact=True).counts["same"] == 2
    for figure, moved in ((events, recorded(90.0, 92.0, unit="1")), (p99, recorded(1.0, 2.1, value=NAN))):
        comparison = compare(side(old), side({**old, figure: moved}), exact=True)
        assert [row.key for row in comparison.with_verdict("worse", "better")] == [figure]
    assert [row.key for row in compare(side(old), side(old)).rows] == []


def test_one_replication_cannot_be_judged_and_it_is_said() -> None:
    comparison = compare(side({MEAN: recorded(1.0)}), side({MEAN: recorded(2.0)}, seed=2))
    assert comparison.rows[0].verdict == "same"
    assert any("one replication" in note for note in comparison.notes)


def test_coarse_figures_are_named() -> None:
    comparison = compare(side({MEAN: noisy(1, spread=0.3)}), side({MEAN: noisy(2, spread=0.3)}, seed=2))
    assert any("too noisy" in note for note in comparison.notes)


def test_differences_are_said_first() -> None:
    other = {
        **DOCUMENT,
        "network": {"plugin": "calico-ipip"},
        "question": "why?",
        "run": {"seed": 9, "replications": 3},
    }
    new = side({MEAN: noisy(1)}, scenario=other, costs={"server": "abc"}, inputs={"shop.yaml": "1"}, seed=9,
               versions={"netsim": "2", "model": "n"})  # fmt: skip
    old = side({MEAN: noisy(1)}, costs={"server": "abd"}, inputs={"old.yaml": "1"})
    lines = compare(old, new).differences
    assert "scenario: network: (not set) -> {'plugin': 'calico-ipip'}" in lines
    assert "input shop.yaml: added" in lines
    assert "input old.yaml: removed" in lines
    assert "cost profile server: abd -> abc" in lines
    assert "version of netsim: 1 -> 2" in lines
    assert any(line.startswith("seed: 1 -> 9") for line in lines)
    assert not any("question" in line for line in lines)
    text = to_text(compare(old, new))
    assert text.index("differs") < text.index("PASS")


# ------------------------------------------------------------------------------------------------ renames


def edges(names: dict[str, float], seed: int) -> dict[FigureKey, Recorded]:
    return {
        key(stat=stat, scope="edge", name=name): noisy(seed + i, centre * factor)
        for i, (name, centre) in enumerate(names.items())
        for stat, factor in (("mean", 1.0), ("p99", 2.0))
    }


def test_renamed_edges_are_recognised_by_their_figures() -> None:
    comparison = compare(
        side(edges({"web->cart": 1e-3, "web->pay": 3e-3}, 1)),
        side(edges({"site->pay": 3e-3, "site->cart": 1e-3}, 50), seed=2),
    )
    assert {(r.old, r.new) for r in comparison.renames} == {("web->cart", "site->cart"), ("web->pay", "site->pay")}
    assert comparison.ok
    assert comparison.counts["same"] == 4


def test_a_renamed_edge_that_got_slower_is_missing() -> None:
    comparison = compare(side(edges({"web->cart": 1e-3}, 1)), side(edges({"site->cart": 1.2e-3}, 50), seed=2))
    assert not comparison.renames
    assert {row.verdict for row in comparison.rows} == {"missing", "new"}


# ------------------------------------------------------------------------------------------------ explanations


NAT, QUEUE = PartKey("connect", "work", "nat"), PartKey("dns", "wait", "CoreDNS workers")
SERVER, WIRE = PartKey("request", "work", "application"), PartKey("request", "transmission", "wire")


def test_a_regression_is_explained_by_its_parts_and_the_hops_behind_them() -> None:
    p99, rules, work = key(stat="p99"), key("rules", scope="hop", name="nat"), key("hop_time", scope="hop", name="nat")
    old = side(
        {p99: noisy(1, 100e-6), rules: recorded(5.0, 5.0), work: recorded(2e-6, 2e-6)},
        parts={band(): {NAT: 10e-6, QUEUE: 50e-6, SERVER: 40e-6}},
    )
    new = side(
        {p99: noisy(2, 121e-6), rules: recorded(1205.0, 1205.0), work: recorded(15e-6, 15e-6)},
        parts={band(): {NAT: 24e-6, QUEUE: 57e-6, SERVER: 40e-6}}, seed=2,
    )  # fmt: skip
    (row,) = compare(old, new).with_verdict("worse")
    assert row.explanation is not None
    sentence = row.explanation.sentence("p99")
    assert "connect +14 us (nat +14 us from 1,200 more rules), dns +7 us (waiting at CoreDNS workers +7 us)" in sentence
    assert row.explanation.unexplained_share < 0.1


def test_the_remainder_is_shown() -> None:
    p99 = key(stat="p99")
    old = side({p99: recorded(*[100e-6] * 5)}, parts={band(): {NAT: 90e-6}})
    new = side({p99: recorded(*[200e-6] * 5)}, parts={band(): {NAT: 150e-6, QUEUE: 5e-6}}, seed=2)
    explanation = compare(old, new).rows[0].explanation
    assert explanation is not None
    assert explanation.unexplained_s == pytest.approx(35e-6)
    assert "unexplained +35 us (35%)" in explanation.sentence("p99")


def test_without_parts_there_is_no_explanation() -> None:
    (row,) = compare(side({MEAN: noisy(1)}), side({MEAN: noisy(2, 2e-3)}, seed=2)).rows
    assert row.verdict == "worse"
    assert row.explanation is None


# ------------------------------------------------------------------------------------------------ rendering


def comparison_with_everything() -> Comparison:
    p99 = key(stat="p99", scope="edge", name="a|b")
    old = {MEAN: noisy(1), p99: noisy(3, 2e-3), key("loss"): recorded(0.0, 0.0, unit="1"), key("connect"): noisy(5)}
    new = {
        MEAN: noisy(2, 1.2e-3),
        p99: noisy(4, 1e-3),
        key("loss"): recorded(0.0, 0.0, unit="1"),
        key("dns"): noisy(6),
    }
    parts = {band("all"): {WIRE: 1e-3}}, {band("all"): {WIRE: 1.2e-3}}
    return compare(side(old, parts=parts[0]), side(new, seed=2, parts=parts[1]))


def test_every_format_tells_the_same_story() -> None:
    comparison = comparison_with_everything()
    assert headline(comparison) == "FAIL: 1 same, 1 better, 1 worse, 1 missing, 1 new"
    text, markdown = to_text(comparison), to_markdown(comparison)
    for form in (text, markdown):
        assert "latency mean" in form
        assert "wire +200 us" in form or "wire +19" in form or "wire +20" in form
    assert "a\\|b" in markdown
    document = json.loads(to_json(comparison))
    assert document["ok"] is False
    assert [row["verdict"] for row in document["figures"]].count("worse") == 1
    suite = ElementTree.fromstring(to_junit(comparison)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("5", "2")
    assert "wire" in "".join(failure.text or "" for failure in suite.iter("failure"))


STATISTICS = {"tests", "failures", "errors", "skipped"}


def test_junit_is_what_readers_of_it_expect() -> None:
    """Element by element as the schema of the Jenkins xUnit plugin (junit-10.xsd) has them."""
    root = ElementTree.fromstring(to_junit(comparison_with_everything(), comparison_with_everything()))
    assert root.tag == "testsuites"
    assert [suite.tag for suite in root] == ["testsuite"] * 2
    for suite in root:
        assert suite.get("name")
        assert {name: int(suite.get(name, "-1")) for name in STATISTICS} == {
            "tests": len(suite.findall("testcase")), "failures": len(suite.findall("testcase/failure")), "errors": 0,
            "skipped": 0,
        }  # fmt: skip
        assert next(child.tag for child in suite) == "properties"
        assert {child.tag for child in suite} == {"properties", "testcase"}
        assert all(each.keys() == ["name", "value"] for each in suite.findall("properties/property"))
        for case in suite.findall("testcase"):
            assert case.get("name") and case.get("classname")
            assert float(case.get("time", "x")) >= 0.0
            assert {child.tag for child in case} <= {"failure"}
            assert all(failure.get("type") and failure.get("message") for failure in case)


def test_markdown_tables_have_as_many_cells_everywhere() -> None:
    lines = [line for line in to_markdown(comparison_with_everything(), everything=True).splitlines() if "|" in line]
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 5
    assert {line.replace("\\|", "").count("|") for line in table} == {6}


def test_all_rows_on_request() -> None:
    comparison = compare(side({MEAN: noisy(1)}), side({MEAN: noisy(1)}))
    assert "latency mean" not in to_text(comparison)
    assert "latency mean" in to_text(comparison, everything=True)


def test_another_state_of_the_model_is_warned_about() -> None:
    assert any("cannot reproduce" in note for note in compare(side({}), side({})).notes)
    ours = replace(side({}), versions={"model": model_digest()})
    assert not compare(ours, ours).notes
