"""What a node of a dump reports of itself: its kernel, and the iptables its distribution has."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.cluster.manifests import load_cluster
from netsim.cluster.objects import Machine


def reported(tmp_path: Path, info: str) -> Machine:
    path = tmp_path / "node.yaml"
    path.write_text(f"kind: Node\nmetadata: {{name: a}}\nstatus: {{nodeInfo: {{{info}}}}}\n", encoding="utf-8")
    return load_cluster(path).nodes[0].machine


@pytest.mark.parametrize(("told", "kernel"), [("6.8.0-51-generic", (6, 8)), ("5.15.0", (5, 15)), ("unknown", None)])
def test_a_nodes_kernel_is_what_it_reports(tmp_path: Path, told: str, kernel: tuple[int, int] | None) -> None:
    assert reported(tmp_path, f"kernelVersion: {told}").kernel == kernel


@pytest.mark.parametrize(
    ("system", "tool"), [("Container-Optimized OS from Google", "legacy"), ("Ubuntu 24.04.1 LTS", "nft")]
)
def test_a_distribution_without_nf_tables_has_the_legacy_iptables(tmp_path: Path, system: str, tool: str) -> None:
    assert reported(tmp_path, f"osImage: {system}").iptables == tool
