"""The public functions: load a question, load a cluster, run, sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.cluster.cluster import Cluster
from netsim.scenario import Scenario, with_values
from netsim.scenario import load as _load

if TYPE_CHECKING:
    from netsim.report import Result


def load(path: str | Path, values: Mapping[str, Any] | None = None) -> Scenario:
    """Read a scenario file, a result's manifest, or wrap manifests, a dump or a directory into a scenario.

    Parameters
    ----------
    path: what to read.
    values: dotted keys to change, such as ``{"cluster.nodes": 100}``.

    Raises
    ------
    InputError: the file is missing, broken or says something impossible.
    """
    return _load(path, values)


def load_cluster(*paths: str | Path) -> Cluster:
    """Read manifests, dumps or directories (or one scenario file) into a complete cluster.

    What the input lacks (nodes, CoreDNS) gets defaults that ``cluster.notes`` names. Raises `InputError`.
    """
    from netsim.datapath.build import cluster_of

    if len(paths) == 1:
        return cluster_of(_load(paths[0]))
    from netsim.cluster.manifests import load_cluster as read

    return read(*paths)


def run(
    scenario: Scenario | str | Path, *, seed: int | None = None, out: str | Path | None = None, workers: int = 1,
    uncertainty: int = 0,
) -> Result:  # fmt: skip
    """Run one scenario, without its sweep; ``seed`` replaces the scenario's. Raises `InputError`.

    With ``uncertainty`` draws of the costs the result also has prediction intervals (``.uncertainty``, ``.influence``).
    """
    from netsim.analysis.prediction import predicted
    from netsim.report import Result
    from netsim.study import run_study
    from netsim.study.points import single

    found = run_study(_prepared(single(_scenario(scenario)), seed), out=out, workers=workers)
    return Result.of(predicted(found, uncertainty, workers=workers) if uncertainty else found)


def sweep(
    scenario: Scenario | str | Path, *, seed: int | None = None, out: str | Path | None = None, workers: int = 1,
    resume: bool = False,
) -> Result:  # fmt: skip
    """Run every point of a scenario's sweep; results do not depend on ``workers``. Raises `InputError`."""
    from netsim.report import Result
    from netsim.study import run_study

    return Result.of(run_study(_prepared(_scenario(scenario), seed), out=out, workers=workers, resume=resume))


def _scenario(scenario: Scenario | str | Path) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else _load(scenario)


def _prepared(scenario: Scenario, seed: int | None) -> Scenario:
    return scenario if seed is None else with_values(scenario, {"run.seed": seed})
