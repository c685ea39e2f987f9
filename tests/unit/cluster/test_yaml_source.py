"""YAML and JSON as streams of objects, and the lines of what is wrong in them."""

# ruff: noqa: E501 (an object or a case on one line)

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.cluster.reading.documents import input_files, read_objects
from netsim.cluster.reading.yaml_source import RawObject, field_path, find_line, read_yaml, scalar
from netsim.errors import InputError


def _read(text: str) -> list[RawObject]:
    return list(read_yaml(io.BytesIO(text.encode()), "x.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("0x1f", 31), ("0644", 420), ("0o17", 15), ("0b101", 5), ("1_000", 1000), ("-3", -3), ("+4", 4),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("true", True), ("No", False), ("on", True), ("~", None), ("null", None),
        ("22:22", "22:22"), ("2001-12-14", "2001-12-14"), ("1.2.3", "1.2.3"), ("-", "-"), ("v1", "v1"), ("10.0.0.1", "10.0.0.1"),
        ("100m", "100m"), ("0128", 128.0), (".", "."), ("1Gi", "1Gi"), ("+", "+"), ("e5", "e5"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_agrees_with_the_standard_loader_on_structure() -> None:
    text = """
base: &base {cpu: 100m, tags: [a, "1", 'true', 2.5]}
merged: {<<: *base, cpu: 200m}
both: {<<: [*base, {memory: 1Gi}]}
block: |
  two
  lines
folded: >-
  one
  line
empty:
nested: [[1], {a: {b: []}}]
"""
    assert _read(text)[0].value == yaml.safe_load(text)


def test_items_of_a_list_come_one_by_one() -> None:
    text = "kind: List\nitems:\n- {kind: A}\n- {kind: B}\n- broken: [\n"
    stream = read_yaml(io.BytesIO(text.encode()), "x")
    assert [next(stream).value, next(stream).value] == [{"kind": "A"}, {"kind": "B"}]
    with pytest.raises(InputError, match="broken YAML"):
        next(stream)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_items_without_kind_take_it_from_a_list_that_states_it_last(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pods.{suffix}"
    path.write_text('{"apiVersion": "v1", "items": [{"metadata": {"name": "a"}}], "kind": "PodList"}')
    (raw,) = read_objects(path)
    assert (raw.list_kind, raw.list_version) == ("PodList", "v1")


def test_memory_of_a_large_list_is_that_of_one_item() -> None:
    import tracemalloc

    class Endless(io.RawIOBase):
        """A list of 20,000 objects that is written while it is read."""

        def __init__(self) -> None:
            self.parts = self._text()

        def _text(self) -> Iterator[bytes]:
            yield b"apiVersion: v1\nkind: List\nitems:\n"
            for number in range(20_000):
                yield b"- kind: Pod\n  metadata: {name: p%d, labels: {a: b, c: d}}\n" % number

        def read(self, size: int = -1) -> bytes:
            return next(self.parts, b"")

    tracemalloc.start()
    count = sum(1 for _ in read_yaml(Endless(), "x"))  # type: ignore[arg-type,misc]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: ]", 2, "broken YAML"),
        ("a: 1\n\tb: 2", 2, "broken YAML"),
        ("a: 1\na: 2", 2, "given twice"),
        ("x:\n  {a: 1}: 2", 2, "not text"),
        ("a: *nowhere", 1, "alias"),
        ("a: &a [*a]", 1, "alias"),
        ("a: !!python/object:os.system x", 1, "tag"),
        ("kind: List\nitems: []\nitems: []", 3, "given twice"),
        ("a: {<<: 3}", 1, "merges mappings"),
    ],
)
def test_broken_yaml_names_the_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _read(text)
    assert (caught.value.place.file, caught.value.place.line) == ("x.yaml", line)


def test_deep_nesting_and_wrong_bytes_are_input_errors() -> None:
    with pytest.raises(InputError):
        _read("[" * 100_000)
    with pytest.raises(InputError):
        list(read_yaml(io.BytesIO(b"a: \xff\xfe\x00"), "x"))


@pytest.mark.parametrize(
    ("text", "path"),
    [("spec.ports[0].port", ["spec", "ports", 0, "port"]), ("labels[a.b/c]", ["labels", "a.b/c"]), ("", [])],
)
def test_field_paths(text: str, path: list[Any]) -> None:
    assert field_path(text) == path


def test_line_of_a_field() -> None:
    text = b"a: 1\n---\nspec:\n  ports:\n  - port: 1\n  - name: x\n    port: 2\n"
    assert find_line(io.BytesIO(text), 1, ["spec", "ports", 1, "port"]) == 7
    assert find_line(io.BytesIO(text), 1, ["spec", "ports", 7, "port"]) == 4
    assert find_line(io.BytesIO(text), 5, ["a"]) is None


def test_directories_are_read_in_sorted_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.yml", "a.yaml", "c.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    assert [str(path.relative_to(tmp_path)) for path in input_files(tmp_path)] == ["a.yaml", "b/2.yml", "c.json"]
    with pytest.raises(InputError, match="no manifest"):
        input_files(_made(tmp_path / "empty"))
    with pytest.raises(InputError, match="no such file"):
        input_files(tmp_path / "missing.yaml")


def _made(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    "text",
    [
        "metadata:\n  name: {{ .Values.name }}\n",
        "{{- if .Values.on }}\nkind: Pod\n{{- end }}\n",
        'kind: Pod\nmetadata:\n  labels:\n    {{- include "x" . | nindent 4 }}\n',
    ],
)
def test_templates_are_named_as_such(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="a template, not a manifest") as caught:
        list(read_objects(path))
    assert "helm template" in str(caught.value)
