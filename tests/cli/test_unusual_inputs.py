"""Input as people really have it: byte order marks, Windows line ends, Lists, several documents, standard input."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

Command = Callable[..., Any]
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
SECOND = SERVICE | {"metadata": {"name": "b"}}
YAML = """\
# Source: chart/templates/service.yaml
---
# nothing but a comment
---
apiVersion: v1
kind: Service
metadata: {name: a}   # a comment behind
spec: {ports: [{port: 80}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: services.example.com}
---
apiVersion: example.com/v1
kind: Service
metadata: {name: b}
spec: {anything: [1, {x: y}]}
---
"""
KINDLESS = {name: part for name, part in SERVICE.items() if name not in ("kind", "apiVersion")}
TEXTS = {
    "plain.yaml": YAML.encode(),
    "windows.yaml": YAML.replace("\n", "\r\n").encode(),
    "marked.yaml": b"\xef\xbb\xbf" + YAML.encode(),
    "marked.json": b"\xef\xbb\xbf" + json.dumps(SERVICE).encode(),
    "no-ending": YAML.encode(),
    "dump.txt": json.dumps(SERVICE).encode(),
    "list.json": json.dumps({"kind": "List", "apiVersion": "v1", "items": [SERVICE]}).encode(),
    "typed.json": json.dumps({"kind": "ServiceList", "apiVersion": "v1", "items": [KINDLESS]}).encode(),
    "sorted.json": json.dumps({"apiVersion": "v1", "items": [SERVICE], "kind": "List"}).encode(),
    "list.yaml": b"apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n"
                 b"  spec: {ports: [{port: 80}]}\nkind: List\n",
}  # fmt: skip


def rejects(document: Any) -> int:
    """A Service without endpoints is one REJECT line."""
    return document["nodes"]["node-1"]["filter_by_chain"]["KUBE-SERVICES"]


@pytest.mark.parametrize("name", TEXTS)
def test_the_same_objects(netsim_command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TEXTS[name])
    done = netsim_command("inspect", "rules", tmp_path / name, "--format", "json")
    assert done.code == 0, done.err
    assert rejects(done.document) == 1


def test_objects_one_after_another(netsim_command: Command, tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text(f"{json.dumps(SERVICE)}\n{json.dumps(SECOND)}\n")
    done = netsim_command("inspect", "rules", tmp_path / "two.json", "--format", "json")
    assert rejects(done.document) == 2


@pytest.mark.parametrize("name", ["plain.yaml", "list.json"])
def test_standard_input(netsim_command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXTS[name])))
    done = netsim_command("inspect", "rules", "-", "--format", "json")
    assert done.code == 0, done.err
    assert rejects(done.document) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no Kubernetes object"),
        (b"\n---\n---\n", "no Kubernetes object"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "not a text file"),
        ("apiVersion: v1".encode("utf-16"), "not a text file"),
        (b'[{"kind": "Service"}]', "a list"),
        (b"\xef\xbb\xbf{\"kind\": ", "broken JSON"),
        (b"just a sentence", "not an object"),
    ],
)
def test_what_holds_no_objects(netsim_command: Command, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "input.yaml").write_bytes(content)
    done = netsim_command("inspect", "rules", tmp_path / "input.yaml")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_the_added_cluster_dns_is_named_and_counted_when_asked(netsim_command: Command, tmp_path: Path) -> None:
    """The rules of the objects given: 5 of kube-proxy's own and none for a Service without endpoints."""
    (tmp_path / "a.yaml").write_bytes(TEXTS["plain.yaml"])
    plain = netsim_command("inspect", "rules", tmp_path / "a.yaml", "--format", "json").document
    assert plain["nodes"]["node-1"]["nat_rules"] == 5
    assert plain["left_out"] == ["kube-system/kube-dns"]
    counted = netsim_command("inspect", "rules", tmp_path / "a.yaml", "--added", "--format", "json").document
    assert counted["nodes"]["node-1"]["nat_rules"] == 5 + 3 * (3 * 2 + 2)
    assert "left_out" not in counted
    text = netsim_command("inspect", "rules", tmp_path / "a.yaml").out
    assert "not counted: kube-system/kube-dns" in text
