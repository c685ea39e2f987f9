"""JSON dumps as a stream of objects: the items of a List one by one, through ijson."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import ijson

from netsim.cluster.reading.yaml_source import RawObject
from netsim.errors import InputError, Place


def read_json(path: Path, file: str) -> Iterator[RawObject]:
    """Yield every object of a JSON file: one object, several after each other, or the items of a List.

    Raises
    ------
    InputError
        Broken or cut-off JSON, or a top level that is not an object; with file and line.
    """
    try:
        kind, version, is_list = _header(path, file)
        if not is_list:
            with _opened(path) as stream:
                for number, value in enumerate(ijson.items(stream, "", use_float=True, multiple_values=True)):
                    yield RawObject(value, file, 1 if number == 0 else None, number)
            return
        with _opened(path) as stream:
            for index, value in enumerate(ijson.items(stream, "items.item", use_float=True)):
                if not kind and not (isinstance(value, dict) and "kind" in value):
                    kind, version = _after_items(path, "kind"), version or _after_items(path, "apiVersion")
                yield RawObject(value, file, None, 0, index, kind, version)
    except (ijson.JSONError, UnicodeDecodeError, OverflowError) as error:
        raise _broken(path, file, error) from None


def _opened(path: Path) -> BinaryIO:
    """Open a file behind its byte order mark, which editors of some systems write and ijson refuses."""
    stream = path.open("rb")
    stream.seek(len(BOM_UTF8) if stream.read(len(BOM_UTF8)) == BOM_UTF8 else 0)
    return stream


def _header(path: Path, file: str) -> tuple[str, str, bool]:
    """Read the top level up to its items: (kind, apiVersion, is it a List)."""
    found = {"kind": "", "apiVersion": ""}
    with _opened(path) as stream:
        for prefix, event, value in ijson.parse(stream, multiple_values=True):
            if prefix == "" and event not in ("start_map", "map_key"):
                if event != "end_map":
                    raise InputError("not an object", place=Place(file, 1), got=_named(event), allowed="a JSON object")
                break
            if prefix in found and event == "string":
                found[prefix] = value
            elif prefix == "items" and event == "start_array" and found["kind"][-4:] in ("", "List"):
                return found["kind"], found["apiVersion"], True
    return found["kind"], found["apiVersion"], False


def _named(event: str) -> str:
    return {"start_array": "a list"}.get(event, f"a {event}")


def _after_items(path: Path, name: str) -> str:
    """Read a top-level text that follows the items (tools that sort keys write it there)."""
    with _opened(path) as stream:
        value = next(iter(ijson.items(stream, name)), "")
    return value if isinstance(value, str) else ""


def _broken(path: Path, file: str, error: Exception) -> InputError:
    """Say where the JSON breaks; the standard parser knows the line, ijson does not."""
    line, reason = None, (str(error).splitlines() or [""])[0]
    try:
        json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as precise:
        line, reason = precise.lineno, f"{precise.msg} (column {precise.colno})"
    except (UnicodeDecodeError, ValueError, RecursionError, MemoryError):
        pass
    return InputError(f"broken JSON: {reason}", place=Place(file, line))
