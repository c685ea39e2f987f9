"""A run's stream whose buffers take two transmit queues of a card."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.engine.run import run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

LINE = 10e9
BED = """
{apiVersion: v1, kind: Node, metadata: {name: a}}
---
{apiVersion: v1, kind: Node, metadata: {name: b}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, labels: {app: client}},
 spec: {nodeName: a, containers: [{name: c, image: x}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: server, labels: {app: server}},
 spec: {nodeName: b, containers: [{name: c, image: x}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: server},
 spec: {clusterIP: None, selector: {app: server}, ports: [{port: 8080}]}}
"""


def goodput(folder: Path, plugin: str, **machine: object) -> float:
    (folder / "bed.yaml").write_text(BED, encoding="utf-8")
    document = {
        "cluster": {"manifests": "bed.yaml", "machine": {"nic": "10Gbit/s", "ring": 8192, **machine}},
        "network": {"plugin": plugin},
        "dns": {"lookups": "none"},
        "traffic": [{"from": "client", "to": "server:8080", "kind": "stream"}],
        "run": {"duration": "30ms", "warmup": "20ms"},
    }
    run = run_replication(model_of(build(document, directory=folder))[0])
    return next(scalar.value for scalar in run.scalars if scalar.metric == "goodput")


def test_a_routed_stream_stays_below_half_the_line_that_it_fills_in_order(tmp_path: Path) -> None:
    assert goodput(tmp_path, "calico-bgp") > 0.9 * LINE
    assert 0.15 * LINE < goodput(tmp_path, "calico-bgp", transmit_queue="core") < 0.5 * LINE


@pytest.mark.parametrize("otherwise", [{"interrupts": "steered"}, {"kernel": "4.15"}])
def test_one_core_and_old_kernels_keep_the_order(tmp_path: Path, otherwise: dict[str, object]) -> None:
    assert goodput(tmp_path, "calico-bgp", transmit_queue="core", **otherwise) > 0.9 * LINE


def test_buffers_that_keep_their_socket_keep_their_queue(tmp_path: Path) -> None:
    assert goodput(tmp_path, "cilium-native", transmit_queue="core") > 0.9 * LINE
