"""From a file to a `Scenario`: YAML with line numbers, overrides by dotted key, messages that name file and line."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from netsim.errors import InputError, Place
from netsim.scenario.origin import Origin, dotted, split_key
from netsim.scenario.refusal import first_error, short
from netsim.scenario.spec import Scenario

M = TypeVar("M", bound=BaseModel)
Lines = Mapping[tuple[str | int, ...], int]
_LARGEST_BYTES = 16 * 2**20
"""A file larger than this is a dump, which is streamed."""
_MOST_VALUES = 100_000
"""Aliases of aliases grow without bound; no scenario people write comes near."""


# ------------------------------------------------------------------------------------------------ YAML with lines


def read_yaml(text: str, file: str) -> tuple[Any, Lines]:
    """Parse one YAML document; return it with the 1-based line of every value by its path.

    Raises
    ------
    InputError: broken YAML, or a key given twice.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, {}
        lines: dict[tuple[str | int, ...], int] = {}
        _mark(node, (), lines, file)
        return loader.construct_document(node), lines
    except (yaml.YAMLError, ValueError) as error:
        raise yaml_error(error, file, text) from error
    except RecursionError as error:
        raise InputError("nested too deeply, or an alias that contains itself", place=Place(file)) from error


def read_text(path: Path) -> str:
    """Return a user's file as text. Raises `InputError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError("no such file or directory", place=Place(str(path))) from error
    except UnicodeDecodeError as error:
        raise InputError("not a text file in UTF-8", place=Place(str(path))) from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", place=Place(str(path))) from error


def read_model(text: str, file: str, model: type[M]) -> M:
    """Read one YAML document as a model: a plugin, a cost profile. Raises `InputError` with line, field and allowed."""
    document, lines = read_yaml(text, file)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise first_error(error, document, Origin(file, lines), model) from error


def yaml_error(error: yaml.YAMLError | ValueError, file: str, text: str = "") -> InputError:
    """Turn the parser's error into ours, with its line and reason. A value no date or number can have is one too."""
    mark, position = getattr(error, "problem_mark", None), getattr(error, "position", None)
    reason = getattr(error, "problem", None) or next(iter(str(error).splitlines()), "no document")
    line = mark.line + 1 if mark is not None else None
    if line is None and isinstance(position, int):
        line = text.count("\n", 0, position) + 1
    if "{{" in text:
        return InputError("a template, not YAML", place=Place(file, line), allowed="what the template renders to")
    return InputError(f"not valid YAML: {reason}", place=Place(file, line))


def _mark(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], file: str) -> None:
    lines[path] = node.start_mark.line + 1
    if len(lines) > _MOST_VALUES:
        raise InputError(
            "too many values for a scenario", place=Place(file), allowed=f"{_MOST_VALUES:,}, aliases included"
        )
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            inner = (*path, str(key_node.value))
            if inner in lines:
                line = key_node.start_mark.line + 1
                raise InputError("key given twice", place=Place(file, line, dotted(inner)))
            _mark(value_node, inner, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _mark(item, (*path, index), lines, file)


# ------------------------------------------------------------------------------------------------ overrides


def override(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with dotted keys set (``cluster.nodes``, ``traffic.rate``, ``traffic[0].rate``).

    A key under a list without an index applies to every entry. Missing mappings are made; whether the key exists is
    for the models to say. Raises `InputError` for a key that runs through a plain value or an index out of range.
    """
    changed = copy.deepcopy(dict(document))
    for key, value in values.items():
        _set(changed, split_key(key), value, key)
    return changed


def _set(target: Any, parts: Sequence[str | int], value: Any, key: str) -> None:
    head, rest = parts[0], parts[1:]
    if isinstance(target, list) and not isinstance(head, int):
        for item in target:
            _set(item, parts, value, key)
        return
    if isinstance(head, int):
        if not isinstance(target, list) or head >= len(target):
            raise InputError("no such entry", place=Place(field=key), got=head)
    elif not isinstance(target, dict):
        raise InputError("the key runs through a value that is not a mapping", place=Place(field=key), got=target)
    if not rest:
        target[head] = value
        return
    if isinstance(target, dict) and not isinstance(target.get(head), dict | list):
        target[head] = {}
    _set(target[head], rest, value, key)


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``--set key=value`` arguments; values are YAML. Raises `InputError`."""
    values: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError("--set takes key=value", got=text)
        try:
            values[key.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise yaml_error(error, f"--set {key}", value) from error
    return values


# ------------------------------------------------------------------------------------------------ scenarios


def build(
    document: Mapping[str, Any],
    *,
    directory: str | Path = ".",
    file: str = "",
    lines: Lines | None = None,
    changed: Sequence[str] = (),
) -> Scenario:
    """Validate a document into a `Scenario`.

    Parameters
    ----------
    document: the scenario's keys and values.
    directory: where relative paths in it start.
    file, lines: where it was read from, and the line of every value.
    changed: dotted keys that were set afterwards, so that the file is not blamed for them.

    Raises
    ------
    InputError: naming file, line, field, got and allowed.
    """
    if not isinstance(document, Mapping):
        raise InputError("a scenario is a mapping of keys", place=Place(file), got=short(document))
    origin = Origin(file, lines or {}, tuple(changed))
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise first_error(error, document, origin, Scenario) from error
    scenario._document = copy.deepcopy(dict(document))
    scenario._directory = str(directory)
    scenario._origin = origin
    return scenario


def with_values(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return the scenario with dotted keys changed (``--set``, one point of a sweep)."""
    if not values:
        return scenario
    origin = scenario.origin
    return build(
        override(scenario.document, values), directory=scenario.directory, file=origin.file, lines=origin.lines,
        changed=(*origin.changed, *values),
    )  # fmt: skip


def load(path: str | Path, assignments: Mapping[str, Any] | None = None) -> Scenario:
    """Read a scenario file, a result's ``manifest.json``, or wrap manifests (file, dump, directory) into a scenario.

    What manifests lack (nodes, DNS, rates) gets defaults that appear in the cluster's notes.

    Raises
    ------
    InputError: the file is missing, broken or says something impossible.
    """
    path, changes = Path(path), assignments or {}
    if path.is_dir():
        return _around_manifests(path, path.resolve().name, path, changes)
    if path.is_file() and path.stat().st_size > _LARGEST_BYTES:
        return _around_manifests(path, path.stem, path.parent, changes)
    text = read_text(path)
    if not _is_scenario(text, path):
        return _around_manifests(path, path.stem, path.parent, changes)
    document, lines = read_yaml(text, str(path))
    if not isinstance(document, dict):
        raise InputError("a scenario is a mapping of keys", place=Place(str(path)), got=short(document))
    directory = path.parent
    if "netsim_manifest" in document:
        # inputs were copied beside the manifest, so a moved result folder still re-runs
        document, lines, directory = _stored(document, path), {}, directory / "inputs"
    return build(override(document, changes), directory=directory, file=str(path), lines=lines, changed=tuple(changes))


def _around_manifests(path: Path, name: str, directory: Path, changes: Mapping[str, Any]) -> Scenario:
    document = {"name": name, "cluster": {"manifests": str(path.resolve())}}
    return build(override(document, changes), directory=directory, changed=tuple(changes))


def _stored(manifest: Mapping[str, Any], path: Path) -> dict[str, Any]:
    stored = manifest.get("scenario")
    if not isinstance(stored, dict):
        raise InputError("the manifest holds no scenario", place=Place(str(path), field="scenario"))
    return stored


_TOP_KEY = re.compile(r"""^["']?(\w+)["']?\s*:""", re.MULTILINE)
_FLOW_KEY = re.compile(r"""["']?\b(apiVersion|cluster|netsim_manifest)["']?\s*:""")
_HEAD = 20_000
_OURS = ("cluster", "network", "traffic", "sweep", "run", "netsim_manifest")


def _is_scenario(text: str, path: Path) -> bool:
    """Tell a scenario from Kubernetes objects by its first telling key, without reading a large dump."""
    if text.lstrip().startswith("{"):  # JSON, or YAML written like it
        found = _FLOW_KEY.search(text, 0, _HEAD)
        return found is not None and found[1] != "apiVersion"
    keys = (match[1] for match in _TOP_KEY.finditer(text))
    telling = next((key for key in keys if key in ("apiVersion", "kind", *_OURS)), None)
    if telling is not None:
        return telling in _OURS
    # neither: let the scenario's model explain what is missing unless the text is not even a mapping of ours
    ours = any(match[1] in Scenario.model_fields for match in _TOP_KEY.finditer(text))
    return ours and path.suffix in (".yaml", ".yml") and "---" not in text


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema(by_alias=True)}
