"""Baselines: the figures a change must not worsen, in small files that are read in review.

One line a figure, sorted, so that a diff shows which figure moved. Values are exact: the same model and scenario
reproduce the file byte for byte.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.analysis.side import BandKey, FigureKey, Recorded, Side, is_kept
from netsim.errors import InputError, Place
from netsim.study.bands import ALL
from netsim.study.figures import SCOPES, natural, stat_order
from netsim.study.outcome import PartKey
from netsim.study.tables import write_atomically

FORMAT = 2
"""Version of the layout; raised when a reader of the old one would misread the new one."""
SMALL = 1e-3
"""Parts below this share of a band's latency are added up, phase by phase."""


def write_baseline(side: Side, path: Path, *, source: Path | None = None) -> None:
    """Write a side as a baseline file; ``source`` is the scenario file that `netsim baseline check` runs again."""
    write_atomically(path, baseline_text(side, path, source).encode())


def baseline_text(side: Side, path: Path, source: Path | None) -> str:
    """Return the content of a baseline file."""
    head: dict[str, Any] = {
        "netsim_baseline": FORMAT,
        "source": None if source is None else Path(os.path.relpath(source, path.parent)).as_posix(),
        "seed": side.seed,
        "versions": dict(side.versions),
        "plugins": list(side.plugins),
        "costs": dict(side.costs),
        "inputs": dict(side.inputs),
        "scenario": side.scenario,
        "reasons": [{"levels": dict(levels), "reason": reason} for levels, reason in side.reasons.items()],
    }
    figures = [_figure_line(key, side.figures[key]) for key in sorted(side.figures, key=_order) if is_kept(key)]
    parts = [_parts_line(key, side.parts[key]) for key in sorted(side.parts, key=_band_order)]
    sections = [f" {json.dumps(key)}: {_compact(value)}" for key, value in head.items()]
    sections.append(_lines("figures", figures))
    sections.append(_lines("parts", parts))
    return "{\n" + ",\n".join(sections) + "\n}\n"


def _order(key: FigureKey) -> tuple[object, ...]:
    scope = SCOPES.index(key.scope) if key.scope in SCOPES else len(SCOPES)
    levels = tuple((name, natural(value)) for name, value in key.levels)
    return levels, scope, natural(key.name), key.metric, stat_order(key.stat)


def _band_order(key: BandKey) -> tuple[object, ...]:
    return _order(FigureKey(key.levels, key.scope, key.name, "", "mean" if key.band == ALL else key.band))


def _lines(name: str, lines: list[str]) -> str:
    return f' "{name}": [\n' + ",\n".join(f"  {line}" for line in lines) + "\n ]"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _figure_line(key: FigureKey, figure: Recorded) -> str:
    return _compact(
        {
            "levels": dict(key.levels), "scope": key.scope, "name": key.name, "metric": key.metric, "stat": key.stat,
            "unit": figure.unit, "value": _null(figure.value), "replications": list(figure.replications),
            "values": [_null(value) for value in figure.values], "errors": [_null(se) for se in figure.errors],
        }
    )  # fmt: skip


def _parts_line(key: BandKey, parts: Mapping[PartKey, float]) -> str:
    seconds = {"/".join(part): value for part, value in sorted(_gathered(parts).items())}
    return _compact(
        {"levels": dict(key.levels), "scope": key.scope, "name": key.name, "band": key.band, "seconds": seconds}
    )


def _gathered(parts: Mapping[PartKey, float]) -> dict[PartKey, float]:
    """Add small parts up, so that a line stays readable; what they add up to is kept."""
    limit = SMALL * math.fsum(parts.values())
    found = {part: value for part, value in parts.items() if value >= limit}
    for phase in dict.fromkeys(part.phase for part in parts):
        small = [value for part, value in parts.items() if part.phase == phase and value < limit]
        if small:
            key = PartKey(phase, "other", "small parts")
            found[key] = math.fsum([found.get(key, 0.0), *small])
    return found


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


# ------------------------------------------------------------------------------------------------ reading


def read_baseline(path: Path) -> Side:
    """Read a baseline file. Raises `InputError`: missing, broken, truncated, of another layout."""
    document = read_document(path)
    place = Place(str(path))
    try:
        return Side(
            label=str(path),
            figures=dict(_figure(row) for row in document["figures"]),
            parts=dict(_band(row) for row in document["parts"]),
            reasons={_levels(row): str(row["reason"]) for row in document["reasons"]},
            scenario=dict(document["scenario"].items()),
            seed=int(document["seed"]),
            versions=_texts(document["versions"]),
            costs=_texts(document["costs"]),
            inputs=_texts(document["inputs"]),
            plugins=tuple(str(name) for name in document["plugins"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the baseline is incomplete: {type(error).__name__} {error}", place=place) from error


def read_document(path: Path) -> dict[str, Any]:
    """Read the JSON of a baseline file and check its layout."""
    place = Place(str(path))
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such baseline", place=place) from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"the baseline is not valid JSON ({error.msg}); it may be cut off", place=Place(str(path), error.lineno)
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the baseline cannot be read: {error}", place=place) from error
    if not isinstance(document, dict) or "netsim_baseline" not in document:
        raise InputError("not a baseline of netsim", place=place)
    if document["netsim_baseline"] != FORMAT:
        raise InputError(
            "a baseline of another layout; write it again with netsim baseline update",
            place=Place(str(path), field="netsim_baseline"), got=document["netsim_baseline"], allowed=str(FORMAT),
        )  # fmt: skip
    return document


def source_of(path: Path) -> Path:
    """Return the scenario file a baseline was made from. Raises `InputError` when it names none or it is gone."""
    source = read_document(path).get("source")
    place = Place(str(path), field="source")
    if not isinstance(source, str):
        raise InputError("the baseline does not name its scenario", place=place)
    found = Path(os.path.normpath(path.parent / source))
    if not found.exists():
        raise InputError("the baseline's scenario does not exist", place=place, got=source)
    return found


def _levels(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), str(value)) for key, value in row["levels"].items())


def _texts(value: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(item) for key, item in value.items()}


def _figure(row: Mapping[str, Any]) -> tuple[FigureKey, Recorded]:
    key = FigureKey(_levels(row), *(str(row[name]) for name in ("scope", "name", "metric", "stat")))
    values, errors = tuple(map(_number, row["values"])), tuple(map(_number, row["errors"]))
    replications = tuple(int(number) for number in row["replications"])
    if not len(values) == len(errors) == len(replications):
        raise ValueError(f"{key.label}: replications, values and errors differ in number")
    return key, Recorded(_number(row["value"]), str(row["unit"]), replications, values, errors)


def _band(row: Mapping[str, Any]) -> tuple[BandKey, dict[PartKey, float]]:
    parts = {_part(str(part)): float(seconds) for part, seconds in row["seconds"].items()}
    return BandKey(_levels(row), str(row["scope"]), str(row["name"]), str(row["band"])), parts


def _part(text: str) -> PartKey:
    phase, kind, part = text.split("/", 2)
    return PartKey(phase, kind, part)


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"not a number: {value!r}")
    return float(value)
