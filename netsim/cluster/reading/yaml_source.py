"""YAML documents as a stream of objects, read from libyaml's events.

The items of a ``List`` are built one by one, so a large dump costs the memory of one item, not of the document.
Scalars follow the YAML 1.1 core that Kubernetes tools use (sigs.k8s.io/yaml); timestamps and sexagesimal numbers
stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import yaml

from netsim.errors import InputError, Place

_BOOLEANS = {
    word: value
    for value, words in ((True, ("true", "yes", "on")), (False, ("false", "no", "off")))
    for lower in words
    for word in (lower, lower.capitalize(), lower.upper())
}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\d[\d_]*)?(\.[\d_]*)?([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MERGE = "<<"


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of a file, still plain mappings and lists.

    ``document`` is its 0-based document, ``item`` its index in the document's ``items`` (``None`` outside a List);
    ``list_kind`` and ``list_version`` are the kind and apiVersion of the List around it, for items that have none.
    """

    value: object
    file: str
    line: int | None
    document: int = 0
    item: int | None = None
    list_kind: str = ""
    list_version: str = ""


def scalar(text: str) -> object:
    """Return what a plain (unquoted) scalar means."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        digits = text.replace("_", "")
        sign, body = (digits[0], digits[1:]) if digits[0] in "+-" else ("", digits)
        if len(body) > 1 and body[0] == "0" and body[1].isdigit():
            body = "0o" + body[1:]
        return int(sign + body, 0)
    if any(c.isdigit() for c in text) and _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def _line(event: yaml.Event) -> int:
    """Return the 1-based line an event starts on."""
    mark = event.start_mark
    return 1 if mark is None else mark.line + 1


class _Reader:
    """Turns the events of one stream into values."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        self._file = file
        self._loader = yaml.CSafeLoader(stream)
        self._anchors: dict[str, object] = {}

    def place(self, event: yaml.Event) -> Place:
        return Place(self._file, _line(event))

    def next(self) -> yaml.Event:
        """Return the next event; a syntax error becomes an `InputError`."""
        try:
            event = self._loader.get_event()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = None if mark is None else mark.line + 1
            reason = ", ".join(part for part in (error.context, error.problem) if part)
            raise InputError(f"broken YAML: {reason}", place=Place(self._file, line)) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"broken YAML: {str(error).splitlines()[0]}", place=Place(self._file)) from None
        return event if event is not None else yaml.StreamEndEvent()

    def skip(self, event: yaml.Event) -> None:
        """Consume the rest of the node that ``event`` begins."""
        depth = int(isinstance(event, yaml.CollectionStartEvent))
        while depth:
            event = self.next()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def begin_document(self) -> None:
        self._anchors = {}

    def value(self, event: yaml.Event) -> object:
        """Build the value that ``event`` begins."""
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = built
            return built
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise InputError("an alias without a finished anchor", place=self.place(event), got=f"*{event.anchor}")
            return self._anchors[event.anchor]
        raise InputError("broken YAML", place=self.place(event))

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        text: str = event.value
        if event.tag is not None:
            return self._tagged(event)
        if not event.implicit[0]:
            return text
        try:
            return scalar(text)
        except ValueError as error:  # int() refuses numbers of more than 4300 digits
            raise InputError("a number too long to read", place=self.place(event)) from error

    def _tagged(self, event: yaml.ScalarEvent) -> object:
        text: str = event.value
        name = (event.tag or "").removeprefix("tag:yaml.org,2002:").removeprefix("!")
        if name in ("str", "binary"):
            return text
        built = scalar(text)
        if name in ("int", "float", "bool", "null") and not isinstance(built, str):
            return built
        raise InputError("a tag netsim does not know", place=self.place(event), got=event.tag)

    def _sequence(self, start: yaml.SequenceStartEvent) -> list[object]:
        built: list[object] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            built.append(self.value(event))
        if start.anchor:
            self._anchors[start.anchor] = built
        return built

    def _mapping(self, start: yaml.MappingStartEvent) -> dict[str, object]:
        built: dict[str, object] = {}
        merged: list[object] = []
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.key(event)
            value = self.value(self.next())
            if key == _MERGE and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                merged.extend(value if isinstance(value, list) else [value])
                continue
            if key in built:
                raise InputError("a key given twice", place=self.place(event), got=key)
            built[key] = value
        for other in merged:
            if not isinstance(other, dict):
                raise InputError("<<: merges mappings only", place=self.place(start), got=repr(other)[:80])
            built = {**other, **built}
        if start.anchor:
            self._anchors[start.anchor] = built
        return built

    def key(self, event: yaml.Event) -> str:
        """Return a mapping's key; Kubernetes knows text keys only."""
        if isinstance(event, yaml.ScalarEvent):
            text: str = event.value
            return text
        key = self.value(event)
        if isinstance(key, str):
            return key
        raise InputError("a key that is not text", place=self.place(event), got=repr(key)[:80])


def read_yaml(stream: BinaryIO, file: str) -> Iterator[RawObject]:
    """Yield every object of a YAML stream in order; empty documents yield nothing.

    Items without a kind of their own wait for the end of a List whose ``kind`` follows its ``items``.

    Raises
    ------
    InputError
        Broken YAML, keys given twice, keys that are not text; with file and line.
    """
    reader = _Reader(stream, file)
    document = -1
    try:
        while not isinstance(event := reader.next(), yaml.StreamEndEvent):
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            document += 1
            reader.begin_document()
            root = reader.next()
            if isinstance(root, yaml.MappingStartEvent):
                yield from _top_level(reader, root, file, document)
            else:
                value = reader.value(root)
                if value is not None:
                    yield RawObject(value, file, _line(root), document)
    except RecursionError:
        raise InputError("nested too deeply", place=Place(file)) from None


def _top_level(reader: _Reader, start: yaml.Event, file: str, document: int) -> Iterator[RawObject]:
    header: dict[str, object] = {}
    waiting: list[tuple[object, int, int]] = []
    is_list = False
    while not isinstance(event := reader.next(), yaml.MappingEndEvent):
        key = reader.key(event)
        if key in header or (key == "items" and is_list):
            raise InputError("a key given twice", place=reader.place(event), got=key)
        event = reader.next()
        kind = header.get("kind")
        if (
            key == "items"
            and isinstance(event, yaml.SequenceStartEvent)
            and (kind is None or str(kind).endswith("List"))
        ):
            is_list = True
            version = _text(header.get("apiVersion"))
            for index, (value, line) in enumerate(_items(reader)):
                if kind is None and not (isinstance(value, dict) and "kind" in value):
                    waiting.append((value, line, index))
                else:
                    yield RawObject(value, file, line, document, index, _text(kind), version)
            continue
        header[key] = reader.value(event)
    for value, line, index in waiting:
        kind, version = _text(header.get("kind")), _text(header.get("apiVersion"))
        yield RawObject(value, file, line, document, index, kind, version)
    if not is_list and header:
        yield RawObject(header, file, _line(start), document)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _items(reader: _Reader) -> Iterator[tuple[object, int]]:
    while not isinstance(event := reader.next(), yaml.SequenceEndEvent):
        yield reader.value(event), _line(event)


# ------------------------------------------------------------------------------------------------ lines of fields

_STEP = re.compile(r"\[(\d+)\]|\[([^\]]+)\]|([^.\[\]]+)")


def field_path(field: str) -> list[str | int]:
    """Split ``spec.ports[0].port`` into its steps; ``labels[a.b/c]`` names a key that has dots."""
    return [int(index) if index else (key or name) for index, key, name in (m.groups() for m in _STEP.finditer(field))]


def find_line(stream: BinaryIO, document: int, path: Sequence[str | int]) -> int | None:
    """Return the line of the deepest node along ``path`` that exists in a document, or ``None``.

    Called once a file is known to be wrong, so that reading need not keep a line for every value.
    """
    reader = _Reader(stream, "")
    try:
        seen = -1
        while not isinstance(event := reader.next(), yaml.StreamEndEvent):
            seen += isinstance(event, yaml.DocumentStartEvent)
            if seen == document:
                return _descend(reader, list(path))
    except InputError:
        return None
    return None


def _descend(reader: _Reader, path: list[str | int]) -> int:
    event = reader.next()
    line: int = _line(event)
    for step in path:
        if isinstance(step, str) and isinstance(event, yaml.MappingStartEvent):
            found = _enter_key(reader, step)
        elif isinstance(step, int) and isinstance(event, yaml.SequenceStartEvent):
            found = _enter_index(reader, step)
        else:
            return line
        if found is None:
            return line
        line, event = found
    return line


def _enter_key(reader: _Reader, wanted: str) -> tuple[int, yaml.Event] | None:
    while not isinstance(key := reader.next(), yaml.MappingEndEvent):
        value = reader.next() if isinstance(key, yaml.ScalarEvent) else key
        if isinstance(key, yaml.ScalarEvent) and key.value == wanted:
            return _line(key), value
        reader.skip(value)
    return None


def _enter_index(reader: _Reader, wanted: int) -> tuple[int, yaml.Event] | None:
    index = 0
    while not isinstance(event := reader.next(), yaml.SequenceEndEvent):
        if index == wanted:
            return _line(event), event
        reader.skip(event)
        index += 1
    return None
