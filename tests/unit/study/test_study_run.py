from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import toy_runner
from toy_runner import scenario

from netsim.errors import InputError
from netsim.scenario import load
from netsim.study import Progress, run_study

SWEEP = {"cluster.nodes": [2, 10, 400, 13]}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_tables_are_the_same_with_one_and_two_workers(tmp_path: Path) -> None:
    for workers in (1, 2):
        run_study(scenario(sweep=SWEEP), runner=toy_runner.run, out=tmp_path / str(workers), workers=workers)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert one == two
    assert {"figures.csv", "figures.parquet", "replications.parquet", "manifest.json"} <= set(one)


def test_points_that_cannot_exist_and_points_that_break_are_answers() -> None:
    result = run_study(scenario(sweep=SWEEP), runner=toy_runner.run)
    assert result.impossible == {2: "the route table of the cloud ends at 400 nodes"}
    assert result.failed[3].startswith("RuntimeError: broken on purpose (toy_runner.py:")
    assert not result.ok
    assert set(result.figures["cluster.nodes"]) == {2, 10}
    assert [row["status"] for row in result.unmeasured()] == ["impossible", "failed"]


def test_a_dead_worker_costs_its_point_only(tmp_path: Path) -> None:
    result = run_study(scenario(sweep={"cluster.nodes": [2, 15]}), runner=toy_runner.run, workers=2)
    assert "worker process died" in result.failed[1]
    assert result.figure("latency", "mean", point=0).estimate.n_replications == 4


def test_an_input_error_everywhere_is_raised_and_in_one_point_is_a_row() -> None:
    with pytest.raises(InputError, match="more pods than addresses"):
        run_study(scenario(sweep={"cluster.nodes": [14]}), runner=toy_runner.run)
    result = run_study(scenario(sweep={"cluster.nodes": [2, 14]}), runner=toy_runner.run)
    assert "more pods" in result.failed[1]


def test_columns_and_order_of_the_figures(tmp_path: Path) -> None:
    run_study(scenario(sweep={"cluster.nodes": [2, 10]}), runner=toy_runner.run, out=tmp_path)
    rows = list(csv.DictReader((tmp_path / "figures.csv").read_text().splitlines()))
    assert list(rows[0]) == [
        "cluster.nodes", "scope", "name", "metric", "stat", "value", "unit", "ci_low", "ci_high", "n_samples",
        "n_replications",
    ]  # fmt: skip
    first = [row for row in rows if row["cluster.nodes"] == "2"]
    assert [row["stat"] for row in first if row["scope"] == "scenario" and row["metric"] == "latency"] == [
        "mean", "p50", "p90", "p99", "max",
    ]  # fmt: skip
    assert [row["name"] for row in first if row["scope"] == "node"] == ["node-2", "node-10"]
    mean = next(row for row in first if (row["scope"], row["metric"], row["stat"]) == ("scenario", "latency", "mean"))
    assert float(mean["ci_low"]) < float(mean["value"]) < float(mean["ci_high"])
    assert (mean["n_samples"], mean["n_replications"]) == ("1500", "4")  # nested calls are inside their callers


def test_hops_count_nested_calls_per_user_transaction() -> None:
    result = run_study(scenario(), runner=toy_runner.run)
    assert result.figure("hop_time", "mean", scope="hop", name="veth").estimate.value == pytest.approx(
        (375 * 2e-6 + 125 * 1e-6) / 375
    )
    assert list(result.hops["hop"]) == ["veth", "veth"]


def test_resume_runs_only_what_is_missing(tmp_path: Path) -> None:
    study = scenario(sweep={"cluster.nodes": [2, 10]})
    run_study(study, runner=toy_runner.run, out=tmp_path)
    complete = contents(tmp_path)
    (tmp_path / "figures.csv").unlink()
    run_study(study, runner=toy_runner.forbidden, out=tmp_path, resume=True)
    assert contents(tmp_path) == complete
    (tmp_path / "units" / "point-0001-replication-0002.json").write_text('{"outcome": "meas')  # broken off
    run_study(study, runner=toy_runner.run, out=tmp_path, resume=True)
    assert contents(tmp_path) == complete


def test_resume_with_a_larger_budget_continues(tmp_path: Path) -> None:
    run = toy_runner.DOCUMENT["run"]
    run_study(scenario(), runner=toy_runner.run, out=tmp_path / "a")
    more = scenario(run={**run, "replications": 6})
    run_study(more, runner=toy_runner.run, out=tmp_path / "a", resume=True)
    run_study(more, runner=toy_runner.run, out=tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_resume_refuses_the_results_of_another_scenario(tmp_path: Path) -> None:
    run_study(scenario(), runner=toy_runner.run, out=tmp_path)
    with pytest.raises(InputError, match="another scenario"):
        run_study(scenario(name="other"), runner=toy_runner.run, out=tmp_path, resume=True)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="not empty"):
        run_study(scenario(), runner=toy_runner.run, out=tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_result_folder_is_replaced_but_not_what_others_put_there(tmp_path: Path) -> None:
    run_study(scenario(sweep={"cluster.nodes": [2, 10]}), runner=toy_runner.run, out=tmp_path)
    (tmp_path / "my-notes.txt").write_text("keep")
    run_study(scenario(), runner=toy_runner.run, out=tmp_path)
    assert not (tmp_path / "units" / "point-0001-replication-0000.json").exists()
    assert (tmp_path / "my-notes.txt").exists()


def test_the_manifest_runs_again_and_gives_the_same_tables(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "k8s").mkdir(parents=True)
    (home / "k8s" / "shop.yaml").write_text("kind: Service\n")
    (home / "Corefile").write_text(".:53 {\n}\n")
    (home / "s.yaml").write_text(
        "cluster: {manifests: k8s}\ndns: {corefile: Corefile}\nrun: {replications: 3}\n"
        "sweep: {cluster.nodes: [2, 3], network.plugin: [kubenet, cilium-vxlan]}\n"
    )
    run_study(load(home / "s.yaml"), runner=toy_runner.run, out=tmp_path / "first")
    (home / "k8s" / "shop.yaml").unlink()
    again = load(tmp_path / "first" / "manifest.json")
    run_study(again, runner=toy_runner.run, out=tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    before = contents(tmp_path / "first")
    run_study(load(tmp_path / "first" / "manifest.json"), runner=toy_runner.run, out=tmp_path / "first")
    assert contents(tmp_path / "first") == before
    manifest = json.loads((tmp_path / "first" / "manifest.json").read_text())
    assert manifest["scenario"]["cluster"]["manifests"] == "k8s"
    assert set(manifest["inputs"]) == {"k8s/shop.yaml", "Corefile"}
    assert [point["levels"] for point in manifest["points"]][1] == {
        "cluster.nodes": 2,
        "network.plugin": "cilium-vxlan",
    }


def test_precision_adds_replications_until_narrow_or_out_of_budget() -> None:
    run = {**toy_runner.DOCUMENT["run"], "transactions": 2000}
    loose = run_study(scenario(run=run), runner=toy_runner.run, precision=0.1)
    for stat in ("mean", "p99"):
        assert loose.figure("latency", stat).estimate.interval().relative_half_width <= 0.1
    assert loose.figure("latency", "mean").estimate.n_replications >= 5
    spent = run_study(scenario(run={**run, "max_replications": 7}), runner=toy_runner.run, precision=1e-6)
    assert spent.figure("latency", "mean").estimate.n_replications == 7


def test_precision_does_not_depend_on_workers() -> None:
    study = scenario(sweep={"cluster.nodes": [2, 10]})
    one, two = (run_study(study, runner=toy_runner.run, precision=0.08, workers=n) for n in (1, 2))
    assert one.tables["figures"].to_csv() == two.tables["figures"].to_csv()


def test_a_study_cut_by_wall_time_is_a_prefix() -> None:
    cut = run_study(scenario(), runner=toy_runner.run, max_wall_s=0.0)
    whole = run_study(scenario(), runner=toy_runner.run)
    mean, longer = cut.figure("latency", "mean"), whole.figure("latency", "mean")
    assert mean.estimate.n_replications == 1
    assert longer.values[:1] == mean.values
    assert any("1 of 4 replications" in note for note in cut.notes)


def test_progress_tells_time_left() -> None:
    seen: list[Progress] = []
    run_study(scenario(sweep={"cluster.nodes": [2, 10]}), runner=toy_runner.run, progress=seen.append)
    assert [(step.done, step.total) for step in seen] == [(n, 8) for n in range(1, 9)]
    assert seen[-1].left_s == 0.0
    assert seen[0].point == "cluster.nodes=2"


def test_a_quantile_that_is_refused_says_what_it_needs() -> None:
    result = run_study(scenario(slo=["p99.9<5ms"]), runner=toy_runner.run)
    assert any("p99.9 needs 3,688 samples; there are 1,500" in note for note in result.notes)
    assert result.figure("latency", "p99.9").estimate.value != result.figure("latency", "p99.9").estimate.value


def test_notebook_form_and_frames() -> None:
    result = run_study(scenario(sweep=SWEEP), runner=toy_runner.run)
    text = result._repr_html_()
    assert "how long is the queue?" in text
    assert "route table" in text
    assert len(result.samples) == 2 * 4 * 500
    assert list(result.overview()["cluster.nodes"]) == [2, 10]
    assert set(result.parts["part"]) == {"queue"}
