"""From a file to a `Scenario`: YAML with line numbers, overrides by dotted key, messages that name file and line."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from netsim.errors import InputError, Place
from netsim.scenario.spec import Scenario

Lines = Mapping[tuple[str | int, ...], int]


# ------------------------------------------------------------------------------------------------ YAML with lines


def read_yaml(text: str, file: str) -> tuple[Any, Lines]:
    """Parse one YAML document; return it with the 1-based line of every value by its path.

    Raises
    ------
    InputError: broken YAML, or a key given twice.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        lines: dict[tuple[str | int, ...], int] = {}
        _mark(node, (), lines, file)
        return loader.construct_document(node), lines
    except yaml.YAMLError as error:
        raise yaml_error(error, file) from error
    finally:
        loader.dispose()


def yaml_error(error: yaml.YAMLError, file: str) -> InputError:
    """Turn the parser's error into ours, with its line and reason."""
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return InputError(f"not valid YAML: {reason}", place=Place(file, mark.line + 1 if mark is not None else None))


def _mark(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], file: str) -> None:
    lines[path] = node.start_mark.line + 1
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


def dotted(path: Sequence[str | int]) -> str:
    """Write a path the way users write it: ``traffic[0].rate``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


# ------------------------------------------------------------------------------------------------ overrides


def override(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with dotted keys set (``cluster.nodes``, ``traffic.rate``, ``traffic[0].rate``).

    A key under a list without an index applies to every entry. Missing mappings are made; whether the key exists is
    for the models to say. Raises `InputError` for a key that runs through a plain value or an index out of range.
    """
    changed = copy.deepcopy(dict(document))
    for key, value in values.items():
        _set(changed, _split(key), value, key)
    return changed


def _split(key: str) -> list[str | int]:
    parts: list[str | int] = []
    for piece in key.split("."):
        name, *indices = piece.replace("]", "").split("[")
        parts.append(name)
        for index in indices:
            if not index.isdigit():
                raise InputError("not a key", got=key, allowed="dotted names such as cluster.nodes or traffic[0].rate")
            parts.append(int(index))
    if "" in parts:
        raise InputError("not a key", got=key, allowed="dotted names such as cluster.nodes or traffic[0].rate")
    return parts


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
        except yaml.YAMLError as error:
            raise yaml_error(error, f"--set {key}") from error
    return values


# ------------------------------------------------------------------------------------------------ scenarios


def build(
    document: Mapping[str, Any], *, directory: str | Path = ".", file: str = "", lines: Lines | None = None
) -> Scenario:
    """Validate a document into a `Scenario`. Raises `InputError` naming file, line, field, got and allowed."""
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise _first_error(error, document, file, lines or {}) from error
    scenario._document = copy.deepcopy(dict(document))
    scenario._directory = str(directory)
    scenario._file = file
    return scenario


def with_values(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return the scenario with dotted keys changed (``--set``, one point of a sweep)."""
    if not values:
        return scenario
    document = override(scenario.document, values)
    try:
        return build(document, directory=scenario.directory, file=scenario.file)
    except InputError as error:
        keys = ", ".join(values)
        raise error.at(Place(scenario.file, field=keys)) from error


def load(path: str | Path, assignments: Mapping[str, Any] | None = None) -> Scenario:
    """Read a scenario file, a result's ``manifest.json``, or wrap manifests (file, dump, directory) into a scenario.

    What manifests lack (nodes, DNS, rates) gets defaults that appear in the cluster's notes.

    Raises
    ------
    InputError: the file is missing, broken or says something impossible.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such file or directory", place=Place(str(path)))
    if path.is_dir():
        document: Mapping[str, Any] = {"name": path.resolve().name, "cluster": {"manifests": str(path.resolve())}}
        return build(override(document, assignments or {}), directory=path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", place=Place(str(path))) from error
    if not _is_scenario(text, path):
        document = {"name": path.stem, "cluster": {"manifests": str(path.resolve())}}
        return build(override(document, assignments or {}), directory=path.parent)
    document, lines = read_yaml(text, str(path))
    if isinstance(document, dict) and "netsim_manifest" in document:
        return _from_manifest(document, path, assignments or {})
    return build(override(document, assignments or {}), directory=path.parent, file=str(path), lines=lines)


def _from_manifest(document: Mapping[str, Any], path: Path, assignments: Mapping[str, Any]) -> Scenario:
    stored = document.get("scenario")
    if not isinstance(stored, dict):
        raise InputError("the manifest holds no scenario", place=Place(str(path), field="scenario"))
    # inputs were copied beside the manifest, so a moved result folder still re-runs
    return build(override(stored, assignments), directory=path.parent / "inputs", file=str(path))


def _is_scenario(text: str, path: Path) -> bool:
    """Tell a scenario from Kubernetes objects by its top-level keys, without reading a large dump."""
    if path.suffix == ".json":
        head = text[:20_000]
        return '"netsim_manifest"' in head or ('"cluster"' in head and '"apiVersion"' not in head)
    for line in text.splitlines():
        key = line.partition(":")[0]
        if key in ("apiVersion", "kind"):
            return False
        if key in ("cluster", "network", "traffic", "sweep", "run", "netsim_manifest"):
            return True
    # neither: let the scenario model explain what is missing unless the text is not even a mapping of ours
    return (
        path.suffix in (".yaml", ".yml")
        and "---" not in text
        and any(text.startswith(f"{name}:") or f"\n{name}:" in text for name in Scenario.model_fields)
    )


def _first_error(error: ValidationError, document: Mapping[str, Any], file: str, lines: Lines) -> InputError:
    """Choose the most telling error and place it. A wrong branch of a union repeats itself; the first is enough."""
    first = error.errors()[0]
    path = _document_path(first["loc"], document)
    message, allowed = first["msg"], None
    if first["type"] == "extra_forbidden":
        message, allowed = "unknown key", _known_keys(first["loc"])
    elif first["type"] == "missing":
        message = f"{first['loc'][-1]} is missing"
    elif first["type"] == "value_error":
        message = message.removeprefix("Value error, ")
        message, _, allowed = message.partition("|")
    line = next((lines[path[:length]] for length in range(len(path), -1, -1) if path[:length] in lines), None)
    got = None if first["type"] == "missing" else _short(first.get("input"))
    return InputError(message, place=Place(file, line, dotted(path)), got=got, allowed=allowed or None)


def _document_path(location: Sequence[str | int], document: Any) -> tuple[str | int, ...]:
    """Drop the union tags pydantic puts between the keys of the document."""
    path: list[str | int] = []
    here = document
    for position, part in enumerate(location):
        inside = (isinstance(here, dict) and part in here) or (isinstance(here, list) and isinstance(part, int))
        if inside:
            path.append(part)
            here = here[part]
        elif position == len(location) - 1 and isinstance(here, dict):
            path.append(part)
    return tuple(path)


def _known_keys(location: Sequence[str | int]) -> str:
    """List the keys the model at this place knows."""
    schema: Any = Scenario.model_json_schema()
    here: Any = schema
    for part in location[:-1]:
        here = _resolve(here, schema)
        here = here.get("items", here) if isinstance(part, int) else here.get("properties", {}).get(part, here)
    return ", ".join(sorted(_resolve(here, schema).get("properties", {})))


def _resolve(here: Any, schema: Any) -> Any:
    if "$ref" in here:
        return schema["$defs"][here["$ref"].rsplit("/", 1)[1]]
    for option in here.get("anyOf", ()):
        if "$ref" in option:
            return schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
    return here


def _short(value: object) -> object:
    text = json.dumps(value, default=str) if isinstance(value, dict | list | tuple) else None
    return value if text is None else text if len(text) <= 120 else text[:117] + "..."


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema(by_alias=True)}
