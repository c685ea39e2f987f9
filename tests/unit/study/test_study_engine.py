"""Studies by the real engine: the same tables with any number of workers, and again from the manifest."""

from __future__ import annotations

from pathlib import Path

from netsim.scenario import build, load
from netsim.study import run_study

DOCUMENT = {
    "name": "small",
    "cluster": {"synthetic": {"nodes": 3, "pods_per_node": 4, "services": 3, "namespaces": 1}},
    "traffic": [{"from": "all", "to": "service-1", "rate": "50/s"}],
    "run": {"replications": 2, "transactions": 100},
    "sweep": {"network.plugin": ["kubenet", "cilium-vxlan"], "network.proxy": ["iptables", "ebpf"]},
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_workers_and_manifest_give_the_same_folder(tmp_path: Path) -> None:
    one = run_study(build(DOCUMENT), out=tmp_path / "one", workers=1)
    run_study(build(DOCUMENT), out=tmp_path / "two", workers=2)
    run_study(load(tmp_path / "one" / "manifest.json"), out=tmp_path / "again", workers=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "again")
    assert not one.failed
    assert one.impossible
    assert {"hop_time", "latency", "throughput", "utilization", "events"} <= set(one.figures["metric"])
    measured = one.figures[["network.plugin", "network.proxy"]].drop_duplicates()
    assert len(measured) + len(one.impossible) == 4
