from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TEST = """
import pytest
from netsim.study import run_study
from netsim.scenario import load
from gate_runner import run

def test_shop(netsim_regression, request):
    netsim_regression(run_study(load(request.path.parent / "shop.yaml"), runner=run))
"""
RUNNER = """
import numpy as np
from netsim.study.outcome import Edge, Measured

def run(scenario, *, seed, replication):
    latency = scenario.cluster.nodes * (1 + np.random.default_rng([seed, replication]).normal(0, 0.01, 500))
    return Measured((Edge("a->b", "b"),), np.zeros(500, np.int32), np.arange(500.0), {"latency": latency})
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_gate=TEST, gate_runner=RUNNER)
    nodes(pytester, 10)
    return pytester


def nodes(project: pytest.Pytester, count: int) -> None:
    (project.path / "shop.yaml").write_text(f"cluster: {{synthetic: {{}}, nodes: {count}}}\n")


def outcome(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest("-p", "netsim.pytest_plugin", *arguments)


def test_a_baseline_is_written_checked_and_fails_with_the_table(project: pytest.Pytester) -> None:
    missing = outcome(project)
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*no baseline*--netsim-update*"])
    outcome(project, "--netsim-update").assert_outcomes(passed=1)
    assert (Path(project.path) / "baseline" / "test_shop.json").exists()
    outcome(project).assert_outcomes(passed=1)
    nodes(project, 12)
    slower = outcome(project)
    slower.assert_outcomes(failed=1)
    slower.stdout.fnmatch_lines(["*scenario: cluster.nodes: 10 -> 12*", "*worse*latency mean*+20*", "*FAIL*"])
    nodes(project, 9)
    outcome(project).assert_outcomes(passed=1)
