"""One side of a comparison: figures with their replications' values, parts of the latency, and what produced them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from netsim.errors import InputError, Place
from netsim.stats.estimates import Replicated, exact_mean
from netsim.study import provenance
from netsim.study.figures import SECTIONS
from netsim.study.outcome import PartKey
from netsim.study.result import StudyResult
from netsim.study.results import read_manifest
from netsim.study.tabulate import FIGURE_COLUMNS

Levels = tuple[tuple[str, str], ...]
"""Levels of a point as text, so that a figure finds its counterpart whatever wrote it."""


class FigureKey(NamedTuple):
    """What a figure is of, at which point."""

    levels: Levels
    scope: str
    name: str
    metric: str
    stat: str

    @property
    def label(self) -> str:
        """``latency p99 edge web->shop [cluster.nodes=100]``."""
        what = f"{self.metric} {self.stat}" + ("" if self.scope == "scenario" else f" {self.scope} {self.name}")
        return what + (f" [{point_label(self.levels)}]" if self.levels else "")


KEPT_SCOPES = ("scenario", "edge", "hop")
"""Scopes a baseline keeps; nodes and stations would make it long and say little in review."""


def is_kept(key: FigureKey) -> bool:
    """Whether a baseline keeps a figure; what is kept is what a comparison to the last bit compares."""
    return key.scope in KEPT_SCOPES and key.stat != "max"


class Recorded(NamedTuple):
    """A figure as it was measured: ``value`` over all replications, ``values`` and ``errors`` of each one."""

    value: float
    unit: str
    replications: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def replicated(self) -> Replicated:
        """The replications, for testing."""
        return Replicated(self.values, self.errors, SECTIONS - 1)

    @property
    def mean(self) -> float:
        """The mean over replications, which tests are about."""
        return exact_mean(self.values)


class BandKey(NamedTuple):
    """A band of transactions: ``all`` of them or those at a quantile (``p99``)."""

    levels: Levels
    scope: str
    name: str
    band: str


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared.

    Parameters
    ----------
    label: name in messages: a path, a git revision.
    figures: every figure.
    parts: seconds per part of the latency, by band.
    reasons: why points have no figures.
    scenario: the scenario's document.
    seed: seed of the replications.
    versions: versions of netsim and libraries, digest of the model.
    costs: digest by cost profile.
    inputs: digest by input file.
    plugins: network plugins used.
    """

    label: str
    figures: Mapping[FigureKey, Recorded]
    parts: Mapping[BandKey, Mapping[PartKey, float]]
    reasons: Mapping[Levels, str]
    scenario: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    costs: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()


def point_label(levels: Levels) -> str:
    """Write levels for people."""
    return " ".join(f"{key}={value}" for key, value in levels)


def as_levels(levels: Mapping[str, object]) -> Levels:
    """Return levels as text, in the order of the sweep."""
    return tuple((key, str(value)) for key, value in levels.items())


# ------------------------------------------------------------------------------------------------ from a study


def from_study(result: StudyResult, label: str = "") -> Side:
    """Return a study that just ran as one side."""
    figures: dict[FigureKey, Recorded] = {}
    for index, summary in result.summaries.items():
        levels = as_levels(result.points[index].levels)
        for figure in summary.figures:
            recorded = Recorded(
                figure.estimate.value, figure.key.unit, figure.replications, figure.values, figure.errors
            )
            figures[FigureKey(levels, *figure.key[:4])] = recorded
    reasons = {**result.impossible, **result.failed}
    document, inputs = provenance.relocate(result.scenario)
    return Side(
        label=label or result.scenario.file or result.scenario.name,
        figures=figures,
        parts=_parts(result.points[0].levels, _rows(result.tables["parts"].columns)),
        reasons={as_levels(result.points[index].levels): reason for index, reason in reasons.items()},
        scenario=document,
        seed=result.scenario.run.seed,
        versions=provenance.versions(),
        costs=provenance.cost_digests([point.scenario for point in result.points]),
        inputs=provenance.input_digests(inputs),
        plugins=tuple(dict.fromkeys(point.scenario.network.plugin for point in result.points)),
    )


def _rows(columns: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    names = list(columns)
    return (dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _parts(levels: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> dict[BandKey, dict[PartKey, float]]:
    keys = list(levels)
    found: dict[BandKey, dict[PartKey, float]] = {}
    for row in rows:
        band = BandKey(as_levels({key: row[key] for key in keys}), row["scope"], row["name"], row["band"])
        found.setdefault(band, {})[PartKey(row["phase"], row["kind"], row["part"])] = row["mean_s"]
    return found


# ------------------------------------------------------------------------------------------------ from a folder


def from_folder(path: Path) -> Side:
    """Read a result folder as one side. Raises `InputError` when it is incomplete or broken."""
    manifest = read_manifest(path / "manifest.json")
    tables = {name: _read_table(path / f"{name}.parquet") for name in ("figures", "replications", "parts")}
    keys = list(manifest["points"][0]["levels"]) if manifest["points"] else []
    try:
        return Side(
            label=str(path),
            figures=_figures(keys, tables["figures"], tables["replications"]),
            parts=_parts(keys, tables["parts"]),
            reasons={as_levels(p["levels"]): p["reason"] for p in manifest["points"] if "reason" in p},
            scenario=manifest["scenario"],
            seed=manifest["seed"],
            versions=manifest["versions"],
            costs=manifest.get("costs", {}),
            inputs=manifest.get("inputs", {}),
            plugins=tuple(manifest.get("plugins", ())),
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"the result folder lacks {error}", place=Place(str(path))) from error


def _read_table(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"not a readable table: {error}", place=Place(str(path))) from error
    return rows


def _figures(
    keys: list[str], figures: list[dict[str, Any]], replications: list[dict[str, Any]]
) -> dict[FigureKey, Recorded]:
    own: dict[FigureKey, list[dict[str, Any]]] = {}
    for row in replications:
        own.setdefault(_key(keys, row), []).append(row)
    found: dict[FigureKey, Recorded] = {}
    for row in figures:
        key = _key(keys, row)
        runs = own[key]
        found[key] = Recorded(
            row["value"], row["unit"], tuple(r["replication"] for r in runs), tuple(r["value"] for r in runs),
            tuple(r["se"] for r in runs),
        )  # fmt: skip
    return found


def _key(keys: list[str], row: Mapping[str, Any]) -> FigureKey:
    levels = as_levels({key: row[key] for key in keys})
    return FigureKey(levels, *(row[column] for column in FIGURE_COLUMNS[:4]))


# ------------------------------------------------------------------------------------------------ settings


def neutral_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario's document without what a comparison may ignore: budgets, objectives, tolerances, prose."""
    ignored_run = ("replications", "precision", "max_replications", "seed")
    rest = {key: value for key, value in document.items() if key not in ("question", "slo", "tolerances", "what_if")}
    if isinstance(rest.get("run"), Mapping):
        rest["run"] = {key: value for key, value in rest["run"].items() if key not in ignored_run}
    return rest
