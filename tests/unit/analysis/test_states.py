from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest
from sides import DOCUMENT, key, recorded, side

from netsim.analysis.baseline import write_baseline
from netsim.analysis.compare import compare
from netsim.analysis.states import git_states, load_side, manifest_sides, tolerances_for
from netsim.errors import InputError
from netsim.scenario import Scenario, load
from netsim.study import run_study
from netsim.study.outcome import Edge, Measured, Scalar


def by_manifest_size(scenario: Scenario, *, seed: int, replication: int) -> Measured:
    """A runner whose latency is the number of bytes of the manifests."""
    import numpy as np

    files = [path for name in scenario.cluster.manifests for path in (scenario.directory / name).rglob("*.yaml")]
    size = float(sum(path.stat().st_size for path in files))
    latency = size * (1 + np.random.default_rng([seed, replication]).normal(0, 0.001, 400))
    return Measured(
        (Edge("a->b", "b"),), np.zeros(400, np.int32), np.arange(400.0), {"latency": latency},
        (Scalar("scenario", "", "throughput", "mean", 5.0, "1/s"),),
    )  # fmt: skip


run = functools.partial(run_study, runner=by_manifest_size)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "a.yaml").write_text("kind: Service\n")
    (tmp_path / "s.yaml").write_text("cluster: {manifests: k8s}\nrun: {replications: 3}\n")
    return tmp_path


def git(home: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", str(home), *identity, *arguments], check=True, capture_output=True)


def test_a_side_from_a_folder_a_baseline_and_a_scenario_agree(home: Path) -> None:
    scenario = load(home / "s.yaml")
    run_study(scenario, runner=by_manifest_size, out=home / "out")
    folder = load_side(home / "out")
    write_baseline(folder, home / "b.json")
    baseline, fresh = load_side(home / "b.json"), load_side(home / "s.yaml", run)
    for other in (baseline, fresh):
        comparison = compare(folder, other, exact=True)
        assert comparison.ok
        assert comparison.counts["same"] == len(comparison.rows) > 4
        assert not comparison.differences


def test_broken_folders_are_input_errors(home: Path) -> None:
    run_study(load(home / "s.yaml"), runner=by_manifest_size, out=home / "out")
    (home / "out" / "replications.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="not a readable table"):
        load_side(home / "out")
    (home / "out" / "manifest.json").write_text('{"netsim_manifest": 0}')
    with pytest.raises(InputError, match="another layout"):
        load_side(home / "out")
    (home / "out" / "manifest.json").write_text('{"netsim_manifest": 1, "scenario": {}}')
    with pytest.raises(InputError, match="incomplete"):
        load_side(home / "out")
    (home / "cut.json").write_text('{\n "netsim_baseline": 1,\n "sou')
    with pytest.raises(InputError, match="cut off"):
        load_side(home / "cut.json")


def test_two_folders_of_manifests(home: Path) -> None:
    (home / "new").mkdir()
    (home / "new" / "a.yaml").write_text("kind: Service\n" * 2)
    old, new = manifest_sides(load(home / "s.yaml"), home / "k8s", home / "new", run=run)
    comparison = compare(old, new)
    assert not comparison.ok
    assert [line for line in comparison.differences if line.startswith("scenario")] == []
    assert any(line.startswith("input a.yaml") for line in comparison.differences)
    with pytest.raises(InputError, match="no such file"):
        manifest_sides(load(home / "s.yaml"), home / "k8s", home / "nothing", run=run)


def test_two_revisions_of_a_manifest_folder(home: Path) -> None:
    git(home, "init")
    git(home, "add", ".")
    git(home, "commit", "-m", "one")
    (home / "k8s" / "a.yaml").write_text("kind: Service\n# grown\n")
    git(home, "commit", "-am", "two")
    seen: list[str] = []
    with git_states("HEAD~1..HEAD", home / "k8s") as (old, new, labels):
        seen = [(path / "a.yaml").read_text() for path in (old, new)]
        assert labels[0].startswith("HEAD~1:")
        sides = manifest_sides(load(home / "s.yaml"), old, new, run=run, labels=labels)
    assert seen == ["kind: Service\n", "kind: Service\n# grown\n"]
    assert not compare(*sides).ok
    (home / "k8s" / "a.yaml").write_text("kind: Service\n# grown\n# uncommitted\n")
    with git_states("HEAD..", home / "k8s") as (_, working, _):
        assert "uncommitted" in (working / "a.yaml").read_text()


def test_links_of_a_revision_stay_inside(home: Path) -> None:
    (home / "k8s" / "same.yaml").symlink_to("a.yaml")
    git(home, "init")
    git(home, "add", ".")
    git(home, "commit", "-m", "one")
    with git_states("HEAD..", home / "k8s") as (old, _, _):
        assert (old / "same.yaml").read_text() == "kind: Service\n"
    (home / "k8s" / "other.yaml").symlink_to("../../other.yaml")
    git(home, "add", ".")
    git(home, "commit", "-m", "two")
    with pytest.raises(InputError, match="leads out of the revision"), git_states("HEAD..", home / "k8s"):
        pass


@pytest.mark.parametrize("revisions", ["HEAD", "..HEAD", "nonsense..HEAD", "--output=x..HEAD"])
def test_revisions_that_do_not_exist(home: Path, revisions: str) -> None:
    git(home, "init")
    git(home, "add", ".")
    git(home, "commit", "-m", "one")
    with pytest.raises(InputError), git_states(revisions, home / "k8s"):
        pass


def test_tolerances_of_the_scenario_then_of_the_settings_file_then_default(tmp_path: Path) -> None:
    figures = {key(): recorded(1.0, 1.0)}
    plain = side(figures)
    assert tolerances_for(plain, directory=tmp_path).default == 0.02
    settings = tmp_path / "netsim.toml"
    settings.write_text('[tolerances]\ndefault = "5%"\n[tolerances.metrics]\nlatency = "3%"\n')
    assert tolerances_for(plain, directory=tmp_path).default == 0.05
    assert tolerances_for(plain, directory=tmp_path).metrics == {"latency": 0.03}
    stated = side(figures, scenario={**DOCUMENT, "tolerances": {"default": "1%"}})
    assert tolerances_for(plain, stated, directory=tmp_path).default == 0.01
    settings.write_text("[tolerances\n")
    with pytest.raises(InputError, match="TOML"):
        tolerances_for(plain, directory=tmp_path)
    settings.write_text('[tolerances]\ndefault = "wide"\n')
    with pytest.raises(InputError, match=r"tolerances\.default"):
        tolerances_for(plain, directory=tmp_path)
