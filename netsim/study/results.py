"""A result folder: written while a study runs, complete at every moment, readable by others, resumable.

::

    manifest.json          what produced the results; `netsim run DIR/manifest.json` gives the same tables
    inputs/                copies of the files the scenario names
    figures.csv .parquet   one row a point, scope, name, metric and statistic
    replications.parquet   the same for every replication
    hops.parquet           work of every hop per edge        parts.parquet   what means and quantiles are made of
    uncertainty.csv .parquet  prediction intervals    influence.csv .parquet  costs the answers depend on, if asked for
    samples/               every recorded transaction of every replication
    units/                 what a replication measured besides its samples; a study resumes from these
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netsim.engine.measuring.measures import Scalar
from netsim.errors import InputError, Place
from netsim.stats.quantiles import Samples
from netsim.study.executor import Unit
from netsim.study.outcome import TIMES, Edge, Failed, HopTime, Impossible, Measured, Outcome, PartTime
from netsim.study.points import same_question
from netsim.study.provenance import FORMAT, Input, input_files
from netsim.study.tables import Table, parquet_bytes, write_atomically

OWNED = (
    "manifest.json", "inputs", "figures.csv", "figures.parquet", "replications.parquet", "hops.parquet",
    "parts.parquet", "samples", "units", "report.html", "report.md", "uncertainty.csv", "uncertainty.parquet",
    "influence.csv", "influence.parquet",
)  # fmt: skip
"""Everything netsim writes into a result folder, and may replace."""


class ResultFolder:
    """Writes a result folder.

    Parameters
    ----------
    path: the folder; made when missing.

    Raises
    ------
    InputError: the path is a file, or a folder that holds other things than results.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError("a result folder is a directory", place=Place(str(path)))

    def prepare(self, manifest: Mapping[str, Any], inputs: Sequence[Input], *, resume: bool) -> None:
        """Make the folder ready: keep what can be resumed, or start afresh; store the manifest and the inputs."""
        contents = [file for source in inputs for file in input_files(source)]  # before they may be cleared away
        known = self._known_manifest()
        if resume and known is not None:
            self._check_continues(known, manifest)
        try:
            if not resume or known is None:
                self._clear(known)
            for name, content in contents:
                write_atomically(self.path / "inputs" / name, content)
            self.write_manifest(manifest)
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}", place=Place(str(self.path))) from error

    def _known_manifest(self) -> dict[str, Any] | None:
        path = self.path / "manifest.json"
        return read_manifest(path) if path.exists() else None

    def _check_continues(self, known: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        place = Place(str(self.path / "manifest.json"))
        if not same_question(known["scenario"], manifest["scenario"]) or known.get("inputs") != manifest["inputs"]:
            raise InputError(
                "the folder holds results of another scenario",
                place=place,
                allowed="the same scenario, or a new folder",
            )
        if known["versions"].get("model") != manifest["versions"]["model"]:
            raise InputError(
                "the folder's results come from another version of the model", place=place,
                got=known["versions"].get("netsim"), allowed="a new folder, or no --resume",
            )  # fmt: skip

    def _clear(self, known: Mapping[str, Any] | None) -> None:
        if known is None and self.path.exists() and any(self.path.iterdir()):
            raise InputError(
                "the folder is not empty and holds no results of netsim", place=Place(str(self.path)),
                allowed="an empty or new folder, or one with a manifest.json",
            )  # fmt: skip
        for name in OWNED:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    # -------------------------------------------------------------------------------------------- units

    def _unit_path(self, unit: Unit) -> Path:
        return self.path / "units" / f"{_unit_name(unit)}.json"

    def _samples_path(self, unit: Unit) -> Path:
        return self.path / "samples" / f"{_unit_name(unit)}.parquet"

    def write_unit(self, unit: Unit, outcome: Outcome) -> None:
        """Store one replication. Samples first: a unit counts as finished once its own file is there."""
        if isinstance(outcome, Measured):
            write_atomically(self._samples_path(unit), parquet_bytes(samples_table(outcome).to_arrow()))
        write_atomically(self._unit_path(unit), json.dumps(_unit_document(outcome), allow_nan=False).encode())

    def remove_unit(self, unit: Unit) -> None:
        """Forget one replication."""
        self._unit_path(unit).unlink(missing_ok=True)
        self._samples_path(unit).unlink(missing_ok=True)

    def read_unit(self, unit: Unit) -> Outcome | None:
        """Return a stored replication, or None when it has to be run (again): not there, broken off, or failed."""
        path = self._unit_path(unit)
        if not path.exists():
            return None
        try:
            document = json.loads(path.read_bytes())
            outcome = _outcome(document, self._samples_path(unit))
        except (ValueError, KeyError, TypeError, OSError):
            return None
        return None if isinstance(outcome, Failed) else outcome

    # -------------------------------------------------------------------------------------------- tables

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Store the manifest."""
        write_atomically(self.path / "manifest.json", dump(manifest))

    def write_figures(self, figures: Table) -> None:
        """Store the figures, as CSV and Parquet."""
        self.write_both("figures", figures)

    def write_both(self, name: str, table: Table) -> None:
        """Store a table as CSV, for people, and as Parquet."""
        write_atomically(self.path / f"{name}.csv", table.to_csv().encode())
        self.write_table(name, table)

    def read_table(self, name: str) -> Table | None:
        """Return a stored table, None where there is none."""
        import pyarrow.parquet as pq

        path = self.path / f"{name}.parquet"
        return Table(pq.read_table(path).to_pydict()) if path.is_file() else None

    def write_table(self, name: str, table: Table) -> None:
        """Store ``name.parquet``."""
        write_atomically(self.path / f"{name}.parquet", parquet_bytes(table.to_arrow()))


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a result folder's manifest. Raises `InputError` when it is broken or of an unknown layout."""
    place = Place(str(path))
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"not a readable manifest: {error}", place=place) from error
    if not isinstance(document, dict) or "netsim_manifest" not in document:
        raise InputError("not a manifest of netsim results", place=place)
    if document["netsim_manifest"] != FORMAT:
        raise InputError(
            "a manifest of another layout", place=Place(str(path), field="netsim_manifest"),
            got=document["netsim_manifest"], allowed=str(FORMAT),
        )  # fmt: skip
    for key, kind in (("scenario", dict), ("versions", dict), ("points", list)):
        if not isinstance(document.get(key), kind):
            raise InputError("the manifest is incomplete", place=Place(str(path), field=key))
    return document


def dump(document: object) -> bytes:
    """Write JSON for people and for diffs: indented, keys in the order given, NaN as null."""
    text = json.dumps(_without_nan(document), indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


# ------------------------------------------------------------------------------------------------ units on disk


def _unit_name(unit: Unit) -> str:
    return f"point-{unit.point:04d}-replication-{unit.replication:04d}"


def samples_table(run: Measured) -> Table:
    """Return every recorded transaction of a replication: edge, start, and the times in seconds."""
    names = [edge.name for edge in run.edges]
    columns: dict[str, list[Any]] = {"edge": [names[i] for i in run.edge.tolist()], "start_s": run.start_s.tolist()}
    return Table(columns | {f"{metric}_s": run.times[metric].tolist() for metric in TIMES if metric in run.times})


def _unit_document(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Impossible(reason):
            return {"outcome": "impossible", "reason": reason}
        case Failed(reason):
            return {"outcome": "failed", "reason": reason}
        case Measured():
            return {
                "outcome": "measured", "edges": outcome.edges, "scalars": _without_nan(outcome.scalars),
                "hops": outcome.hops, "parts": outcome.parts, "notes": outcome.notes,
            }  # fmt: skip


def _outcome(document: Mapping[str, Any], samples: Path) -> Outcome:
    if document["outcome"] == "impossible":
        return Impossible(document["reason"])
    if document["outcome"] == "failed":
        return Failed(document["reason"])
    edges = tuple(Edge(*row) for row in document["edges"])
    edge, start_s, times = _read_samples(samples, edges)
    return Measured(
        edges=edges, edge=edge, start_s=start_s, times=times,
        scalars=tuple(Scalar(*_nan_for_null(row)) for row in document["scalars"]),
        hops=tuple(HopTime(*row) for row in document["hops"]),
        parts=tuple(PartTime(*row) for row in document["parts"]),
        notes=tuple(document["notes"]),
    )  # fmt: skip


def _nan_for_null(row: Sequence[Any]) -> list[Any]:
    return [math.nan if cell is None else cell for cell in row]


def _read_samples(path: Path, edges: Sequence[Edge]) -> tuple[np.ndarray[Any, Any], Samples, dict[str, Samples]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    index = {edge.name: i for i, edge in enumerate(edges)}
    edge = np.array([index[name] for name in table.column("edge").to_pylist()], dtype=np.int32)
    columns = {name: table.column(name).to_numpy() for name in table.column_names if name != "edge"}
    return edge, columns["start_s"], {metric: columns[f"{metric}_s"] for metric in TIMES if f"{metric}_s" in columns}
