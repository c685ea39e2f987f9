"""Prediction intervals of a run: what the costs' ranges make of its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import netsim
from netsim.analysis.prediction import costs_used, predicted
from netsim.cli.app import app
from netsim.errors import InputError
from netsim.report import render_html, render_markdown
from netsim.scenario import Scenario
from netsim.scenario.loading import build, with_values
from netsim.study import StudyResult, run_study
from netsim.study.reopen import open_study

DOCUMENT = {
    "name": "small",
    "cluster": {"synthetic": {"nodes": 2, "services": 2, "pods_per_node": 2}},
    "network": {"plugin": "flannel-vxlan", "proxy": "iptables"},
    "dns": {"lookups": "none"},
    "traffic": [{"from": "all", "to": "ns-1/service-1", "rate": "50/s"}],
    "run": {"replications": 2, "transactions": 60},
}
DRAWS = 24


def rows(result: StudyResult, name: str) -> list[dict[str, object]]:
    table = result.tables[name].columns
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


def mean(result: StudyResult) -> dict[str, object]:
    return next(row for row in rows(result, "uncertainty") if (row["metric"], row["stat"]) == ("latency", "mean"))


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build(DOCUMENT)


@pytest.fixture(scope="module")
def result(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    folder = tmp_path_factory.mktemp("prediction") / "out"
    return predicted(run_study(scenario, out=folder), DRAWS)


def test_the_interval_holds_the_value_and_has_a_width(result: StudyResult) -> None:
    row = mean(result)
    assert row["prediction_low"] < row["value"] < row["prediction_high"]
    assert row["prediction_high"] / row["prediction_low"] > 1.1
    assert row["n_draws"] == DRAWS


def test_three_costs_are_named_with_what_their_ends_make(result: StudyResult) -> None:
    named = [row for row in rows(result, "influence") if (row["metric"], row["stat"]) == ("latency", "mean")]
    assert len(named) == 3
    assert all(row["low"] <= 0.0 <= row["high"] for row in named)
    swings = [max(abs(row["low"]), abs(row["high"])) for row in named]
    assert swings == sorted(swings, reverse=True)
    assert swings[0] > 0.02


def test_the_folder_keeps_them_and_the_report_shows_them(result: StudyResult) -> None:
    again = open_study(result.folder)
    assert rows(again, "uncertainty")[:3] == rows(result, "uncertainty")[:3]
    html, text = render_html(again), render_markdown(again)
    assert "How sure that is" in html and "change of latency" in html
    assert rows(result, "influence")[0]["cost"] in text


def test_from_python() -> None:
    result = netsim.run(build(DOCUMENT), uncertainty=20)
    assert {"prediction_low", "n_draws"} <= set(result.uncertainty.columns)
    assert len(result.influence) >= 3
    assert result.plot_tornado() is not None
    with pytest.raises(KeyError, match="no draws"):
        netsim.run(build(DOCUMENT)).plot_tornado()


def test_a_run_without_draws_says_nothing_of_them(scenario: Scenario) -> None:
    plain = run_study(scenario)
    assert "uncertainty" not in plain.tables
    assert "How sure" not in render_markdown(plain)


def test_a_price_that_is_stated_is_known(scenario: Scenario) -> None:
    known = with_values(scenario, {"network.prices": {"socket.open.tcp": 9200.0}})
    asked = predicted(run_study(known), DRAWS)
    assert mean(asked)["value"] == mean(predicted(run_study(scenario), DRAWS))["value"]
    assert not [row for row in rows(asked, "influence") if row["cost"] == "socket.open.tcp"]


def test_only_costs_on_the_way_are_drawn(scenario: Scenario) -> None:
    used = costs_used(scenario)
    assert {"encap.packet", "socket.open.tcp", "machine.factor"} <= used
    assert not {"ovs.lookup", "xdp.drop", "ipvs.packet"} & used


def test_too_few_draws_and_sweeps_are_refused(scenario: Scenario, result: StudyResult) -> None:
    with pytest.raises(InputError, match="too few draws"):
        predicted(result, 3)
    with pytest.raises(InputError, match="one point"):
        predicted(replace(result, points=(*result.points, *result.points)), DRAWS)


def test_a_price_nobody_knows_is_refused(scenario: Scenario) -> None:
    with pytest.raises(InputError, match=r"network\.prices.*no such cost.*veth\.paket"):
        run_study(with_values(scenario, {"network.prices": {"veth.paket": 1.0}}))


def test_the_command_refuses_before_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("cluster: {synthetic: {nodes: 2}}\n", encoding="utf-8")
    asked = CliRunner().invoke(app, ["run", str(file), "--uncertainty", "3"])
    assert asked.exit_code != 0
    assert "too few draws" in f"{asked.output}{asked.exception}"
