"""Read a finished (or interrupted) result folder back, without running anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from netsim.errors import InputError, Place
from netsim.scenario import Scenario, load
from netsim.study.executor import Unit
from netsim.study.figures import summarise
from netsim.study.outcome import Impossible, Measured
from netsim.study.result import StudyResult
from netsim.study.results import ResultFolder, read_manifest
from netsim.study.study import _Study


def open_study(directory: str | Path) -> StudyResult:
    """Return the study whose results a folder holds, whichever version wrote them.

    Raises
    ------
    InputError: not a result folder, or one of an unknown layout.
    """
    path = Path(directory)
    manifest = path / "manifest.json"
    if not manifest.is_file():
        raise InputError("not a result folder: it has no manifest.json", place=Place(str(path)))
    entries = read_manifest(manifest)["points"]
    study = _Study(load(manifest), _refuse, None)
    if len(entries) != len(study.states) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            "the manifest's points are not those of its scenario", place=Place(str(manifest), field="points"),
            got=f"{len(entries)} points", allowed=f"{len(study.states)}",
        )  # fmt: skip
    folder = ResultFolder(path)
    for state, entry in zip(study.states, entries, strict=True):
        count = entry.get("replications", 1)
        for replication in range(count):
            outcome = folder.read_unit(Unit(state.point.index, replication))
            if outcome is not None:
                state.outcomes[replication] = outcome
        state.target = len(state.outcomes)
        if state.stopped is None:
            state.summary = summarise(state.measured(), study.quantiles)
    result = study.result()
    extra = {name: table for name in ("uncertainty", "influence") if (table := folder.read_table(name)) is not None}
    return replace(result, folder=path, tables={**result.tables, **extra})


def _refuse(scenario: Scenario, *, seed: int, replication: int) -> Measured | Impossible:
    raise AssertionError("reading results back never runs anything")
