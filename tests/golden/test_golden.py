"""Reference scenarios keep their trajectories and tables to the last bit; ``pytest --update-golden`` writes them anew.

A change here is either a change of the model, which the commit explains, or a defect.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import netsim
from netsim.report import Result
from netsim.scenario import Scenario, build

HERE = Path(__file__).parent
SCENARIOS = yaml.safe_load((HERE / "scenarios.yaml").read_text())


def scenario(name: str, **changes: object) -> Scenario:
    return build({"name": name, **SCENARIOS[name], **changes})


def fingerprint(result: Result) -> dict[str, Any]:
    """Return counts and a digest of every transaction's start and times, bit by bit, by replication."""
    found = {}
    for replication, run in result.runs[0].items():
        digest = hashlib.sha256()
        for values in (run.edge.astype("<i4"), run.start_s, *(run.times[name] for name in sorted(run.times))):
            digest.update(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes())
        bursts = next(scalar.value for scalar in run.scalars if scalar.metric == "events")
        found[str(replication)] = {
            "transactions": len(run.edge), "bursts_per_transaction": bursts, "sha256": digest.hexdigest()[:32],
        }  # fmt: skip
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_trajectories_and_tables_are_kept(name: str, request: pytest.FixtureRequest) -> None:
    result = netsim.run(scenario(name))
    table, trajectory = result.tables["figures"].to_csv(), fingerprint(result)
    csv, marks = HERE / f"{name}.csv", HERE / f"{name}.json"
    if request.config.getoption("--update-golden"):
        csv.write_text(table)
        marks.write_text(json.dumps(trajectory, indent=1) + "\n")
    assert table == csv.read_text()
    assert trajectory == json.loads(marks.read_text())


def content(folder: Path) -> dict[str, bytes]:
    """Return every table of a result folder."""
    files = [*folder.glob("*.csv"), *folder.glob("*.parquet"), *folder.glob("samples/*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}


def test_the_number_of_workers_and_a_second_run_change_nothing(
    netsim_command: Callable[..., Any], tmp_path: Path
) -> None:
    asked = scenario("bridged", sweep={"network.plugin": ["bridge-l2", "calico-ipip"]})
    alone = netsim.sweep(asked, out=tmp_path / "alone")
    netsim.sweep(asked, out=tmp_path / "together", workers=2)
    tables = content(tmp_path / "alone")
    assert len(tables) == 5 + 4
    assert content(tmp_path / "together") == tables
    assert netsim.sweep(asked).tables["figures"] == alone.tables["figures"]
    again = netsim_command("run", tmp_path / "alone" / "manifest.json", "-o", tmp_path / "again", "--workers", "1")
    assert again.code == 0, again.err
    assert content(tmp_path / "again") == tables


def test_another_seed_is_another_run() -> None:
    one, other = (netsim.run(scenario("bridged"), seed=seed) for seed in (1, 2))
    assert fingerprint(one) != fingerprint(other)
