"""NetworkPolicies in published rows: what the words mean, and that each plugin enforces them in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published.case import load_case
from netsim.calibration.published.policies import Policies, policies_of
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.validation import validate_case

POD = "path=pod-pod-cross-node"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("policy=none", Policies(0)), ("", Policies(0)), ("policies=20", Policies(20)),
        ("policies=20;policy_rules=5", Policies(20, 5)), ("policy_rules=5", Policies(1, 5)),
        ("policy=100-policies", Policies(100)), ("policy=100", Policies(100)),
        ("policy=np-100", Policies(100)),
        ("policy=1000-rules", Policies(1, 1000)), ("policy=100 network policies", Policies(100)),
        ("policy=complex L3/L4", Policies(1)), ("policy=allow-all", Policies(1)),
        ("policy=ebpf", Policies(0)), ("policy=iptables-filter-INPUT-drop", Policies(0)),
    ],
)  # fmt: skip
def test_policies_in_words(text: str, meant: Policies) -> None:
    assert policies_of(Setting.read(text)) == meant


def rates(tmp_path: Path, cni: str, metric: str, *policies: str) -> list[float]:
    rows = "".join(
        f"r{index},{metric},cni={cni};{POD};{text},1,transactions/s,target\n" for index, text in enumerate(policies)
    )
    (tmp_path / "published.csv").write_text("id,metric,configuration,value,unit,role\n" + rows, encoding="utf-8")
    return [point.predicted for point in validate_case(load_case(str(tmp_path)), draws=0).points]


@pytest.mark.parametrize("cni", ["calico", "kube-router"])
def test_new_connections_walk_a_list_of_policies(tmp_path: Path, cni: str) -> None:
    none, some, many = rates(tmp_path, cni, "tcp_crr_rate", "policy=none", "policies=100", "policies=1000")
    assert none > some > many
    assert 1 / many - 1 / none == pytest.approx(10 * (1 / some - 1 / none), rel=0.1)


@pytest.mark.parametrize("cni", ["cilium", "antrea"])
def test_maps_and_flow_tables_are_flat(tmp_path: Path, cni: str) -> None:
    one, many = rates(tmp_path, cni, "tcp_crr_rate", "policies=1", "policies=1000")
    assert many == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize("cni", ["calico", "calico-ebpf", "flannel"])
def test_known_connections_and_plugins_without_policies_do_not_notice(tmp_path: Path, cni: str) -> None:
    metric = "tcp_crr_rate" if cni == "flannel" else "tcp_rr_rate"
    one, many = rates(tmp_path, cni, metric, "policies=1", "policies=1000")
    assert many == pytest.approx(one, rel=1e-3)


def test_rules_of_one_policy_cost_what_policies_of_one_rule_do(tmp_path: Path) -> None:
    rules, policies = rates(tmp_path, "calico", "tcp_crr_rate", "policy_rules=500", "policies=500")
    assert rules == pytest.approx(policies, rel=0.1)
