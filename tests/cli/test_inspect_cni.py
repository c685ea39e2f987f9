"""``netsim inspect cni``, and a CNI configuration as a scenario's plugin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
CHAIN = {
    "cniVersion": "1.0.0",
    "name": "k8s-pod-network",
    "plugins": [
        {"type": "calico", "mtu": 1480, "ipam": {"type": "calico-ipam"}},
        {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
    ],
}
SCENARIO = """\
cluster: {synthetic: {nodes: 3, pods_per_node: 4, services: 3, namespaces: 1}}
network: {plugin: net.d}
traffic: [{from: all, to: service-1, rate: 20/s}]
run: {replications: 1, transactions: 20}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.d").mkdir()
    (tmp_path / "net.d" / "10-calico.conflist").write_text(json.dumps(CHAIN))
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    return tmp_path


def test_the_document(netsim_command: Command, home: Path) -> None:
    done = netsim_command("inspect", "cni", "net.d", "--cluster", "scenario.yaml", "--format", "json")
    assert done.code == 0, done.err
    document = done.document
    assert document["plugins"] == ["calico", "portmap", "bandwidth"]
    assert document["network"]["pod_mtu_bytes"] == 1480
    assert document["profile"]["base"] == "calico-ipip"
    assert document["profile"]["hops"]["egress"][0] == "veth"
    assert document["node"]["pod_cidrs"] == ["10.244.0.0/24"]


def test_the_text(netsim_command: Command, home: Path) -> None:
    pod = ("--pod", "ns-1/app-1-0")
    done = netsim_command("inspect", "cni", "net.d", "--cluster", "scenario.yaml", *pod)
    assert done.code == 0, done.err
    assert "calico, portmap, bandwidth" in done.out
    assert "veth > prerouting > conntrack" in done.out
    assert "ns-1/app-1-0 10.244." in done.out


def test_a_scenario_runs_on_it_and_so_does_its_record(netsim_command: Command, home: Path) -> None:
    done = netsim_command("run", "scenario.yaml", "-o", "out", "--format", "json", "--workers", "1")
    assert done.code == 0, done.err
    (home / "net.d" / "10-calico.conflist").unlink()
    again = netsim_command("run", "out/manifest.json", "--format", "json", "--workers", "1")
    assert again.code == 0, again.err
    assert again.document["figures"] == done.document["figures"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "unexpected end of JSON input"),
        ('{"name": "x"}', "no plugin configs found"),
        ('{"plugins": []}', "no name"),
        ('{"name": "x", "plugins": [{"type": "macvlan"}]}', "no profile for macvlan"),
        ('{"name": "x", "plugins": [{"type": "bridge", "mtu": "big"}]}', "cannot unmarshal string"),
    ],
)
def test_what_is_refused(netsim_command: Command, home: Path, text: str, message: str) -> None:
    (home / "net.d" / "10-calico.conflist").write_text(text)
    done = netsim_command("run", "scenario.yaml", "--workers", "1")
    assert done.code == 2
    assert message in done.err
    assert "10-calico.conflist" in done.err or "net.d" in done.err
