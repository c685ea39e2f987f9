"""Random streams: adding a station or renaming an object leaves every other stream's draws alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.engine.randomness.streams import Stream, Streams, mix, stable_hash
from netsim.engine.run import run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

BASE: dict[str, Any] = {
    "cluster": {"synthetic": {"nodes": 4, "services": 4, "pods_per_node": 4, "namespaces": 1}},
    "dns": {"loss": 0.01},
    "run": {"duration": "200ms", "clients": "all"},
}
SIZES = {"request": {"exponential": "2KiB"}, "response": {"lognormal": {"median": "4KiB", "sigma": 0.5}}}
EDGE = {"from": "app-1", "to": "service-2", "rate": "50/s", "name": "kept", "work": {"exponential": "50us"}, **SIZES}
OTHER = {"from": "app-3", "to": "service-4", "rate": "50/s", "name": "other", "work": {"exponential": "50us"}}


def test_a_stream_depends_on_its_name_alone() -> None:
    one, other = Streams(5, 2), Streams(5, 2)
    other.uniform("noise").take(1000)
    late = other.uniform("wanted")
    assert one.uniform("wanted")() == late()
    assert np.array_equal(one.uniform("wanted").take(500), Streams(5, 2).uniform("wanted").take(500))
    for different in (Streams(6, 2), Streams(5, 3)):
        assert not np.array_equal(one.uniform("wanted").take(8), different.uniform("wanted").take(8))


def draws(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, list[float]]:
    """Run a scenario; return what was drawn from each of its streams."""
    drawn: dict[str, list[float]] = {}

    class Watched(Streams):
        def drawing(self, name: str, transform: Callable[..., Any]) -> Stream:
            values = drawn.setdefault(name, [])

            def noted(uniforms: Any) -> Any:
                found = transform(uniforms)
                values.extend(found.tolist())
                return found

            return super().drawing(name, noted)

    monkeypatch.setattr("netsim.engine.run.Streams", Watched)
    model, _ = model_of(build({**BASE, "traffic": [EDGE, OTHER], **changes}))
    run_replication(model, seed=4)
    return drawn


CHANGES: dict[str, dict[str, Any]] = {
    "another edge": {"traffic": [EDGE, OTHER, {**OTHER, "name": "third", "from": "app-2"}]},
    "an edge renamed": {"traffic": [EDGE, {**OTHER, "name": "renamed"}]},
    "another order": {"traffic": [OTHER, EDGE]},
    "more cores": {"cluster": {**BASE["cluster"], "machine": {"cores": 32}}},
    "more links": {"cluster": {**BASE["cluster"], "fabric": {"nodes_per_rack": 2, "spines": 8}}},
    "more DNS workers": {"dns": {"loss": 0.01, "workers": 4}},
    "a fault": {"faults": [{"at": "150ms", "kind": "link-down", "node": "node-4"}]},
    "another plugin": {"network": {"plugin": "cilium-vxlan", "proxy": "ebpf"}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_draws_of_other_streams_stay(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = draws(monkeypatch), draws(monkeypatch, **CHANGES[change])
    shared = [name for name in before if name in after]
    assert len([name for name in shared if name.startswith("kept/")]) >= 7
    for name in shared:
        length = min(len(before[name]), len(after[name]))
        assert before[name][:length] == after[name][:length], name
    assert any(len(before[name]) for name in shared)


TWO_APPLICATIONS = """
{apiVersion: v1, kind: Service, metadata: {name: kept}, spec: {selector: {app: kept}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: OTHER}, spec: {selector: {app: OTHER}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: kept, labels: {app: kept}}, spec: {containers: [{name: c, image: c}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: OTHER, labels: {app: OTHER}}, spec: {containers: [{name: c, image: c}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, spec: {containers: [{name: c, image: c}]}}
"""


def test_a_renamed_object_leaves_the_draws_of_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for name in ("other", "renamed"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(TWO_APPLICATIONS.replace("OTHER", name))
        traffic = [
            {**EDGE, "from": "web", "to": "kept"}, {**OTHER, "from": "web", "to": name, "name": "the other edge"}
        ]  # fmt: skip
        drawn.append(draws(monkeypatch, cluster={"manifests": str(file), "nodes": 2}, traffic=traffic))
    before, after = drawn
    shared = [stream for stream in before if stream in after]
    assert len([stream for stream in shared if stream.startswith("kept/")]) >= 7
    assert all(before[stream] == after[stream] for stream in shared if stream.startswith(("kept/", "the other edge/")))


def test_hashes_are_stable() -> None:
    """Decisions that must not consume draws are the same in every process and version."""
    assert stable_hash("a", 1, "b") == 0x777C_7634_5D99_CBA7
    assert mix(12_345) == 0x2211_8258_A9D1_11A0
