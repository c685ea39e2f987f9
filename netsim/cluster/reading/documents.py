"""Files and directories as one stream of Kubernetes objects."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

from netsim.cluster.reading.json_source import read_json
from netsim.cluster.reading.yaml_source import RawObject, field_path, find_line, read_yaml
from netsim.errors import InputError, Place

SUFFIXES = (".yaml", ".yml", ".json")
_JSON_START = re.compile(rb"\s*(?:\{\s*(?:\"|\}|$)|\[)")
_TEMPLATE = re.compile(r"\{\{-?\s*[.$\w\"/(]")
_RENDER = "plain manifests: render a chart with `helm template`, an overlay with `kubectl kustomize`"


def input_files(*paths: str | Path) -> list[Path]:
    """Return the files that ``paths`` stand for: files as given, directories recursively in sorted order.

    Raises
    ------
    InputError
        A path does not exist, or a directory holds no manifest.
    """
    found: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
            if not inside:
                raise InputError("no manifest in this directory", place=Place(str(path)), allowed=", ".join(SUFFIXES))
            found.extend(inside)
        elif path.exists():
            found.append(path)
        else:
            raise InputError("no such file or directory", place=Place(str(path)))
    return list(dict.fromkeys(found))


def read_objects(path: Path) -> Iterator[RawObject]:
    """Yield the objects of one file. Raises `InputError` for text that is not YAML or JSON, or still a template."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(4096).removeprefix(BOM_UTF8)
            if not head.strip():
                return
            if not head.lstrip().startswith(b"{{") and (path.suffix == ".json" or _JSON_START.match(head)):
                yield from read_json(path, file)
            else:
                stream.seek(0)
                yield from read_yaml(stream, file)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=Place(file)) from None
    except InputError as error:
        raise _template_error(path, error) or error from None


def _template_error(path: Path, error: InputError) -> InputError | None:
    """Return a better error when what failed to parse holds template placeholders."""
    lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()
    near = error.place.line
    first, last = (1, len(lines)) if near is None else (near - 2, near + 1)
    for number, line in enumerate(lines, start=1):
        if first <= number <= last and _TEMPLATE.search(line):
            return _unrendered(Place(str(path), number), line.strip())
    return None


def _unrendered(place: Place, got: str) -> InputError:
    return InputError("a template, not a manifest", place=place, got=got[:80], allowed=_RENDER)


def rendered(kind: str, raw: RawObject) -> None:
    """Refuse objects that only a renderer understands.

    Raises
    ------
    InputError
        The object is a Kustomization.
    """
    if kind == "Kustomization":
        raise InputError("an overlay, not a manifest", place=Place(raw.file, raw.line), got=kind, allowed=_RENDER)


def placed(error: InputError, raw: RawObject) -> InputError:
    """Return the error with file and line: the line of the field at fault where it can be found."""
    path = field_path(error.place.field)
    if raw.item is not None:
        path = ["items", raw.item, *path]
    line = None
    if error.place.line is None:
        with Path(raw.file).open("rb") as stream:
            line = find_line(stream, raw.document, path)
    place = Place(raw.file, line or raw.line)
    if isinstance(error.got, str) and _TEMPLATE.search(error.got):
        return _unrendered(place, error.got).at(error.place)
    return error.at(place)
