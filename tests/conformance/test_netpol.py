"""NetworkPolicy truth tables: kubernetes e2e, cyclonus, recipes, and what the API server accepts or refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import ContainerPort, Namespace, NetworkPolicy, Pod, PodTemplate
from netsim.cluster.policy import Outside, Party, Verdicts, policy_table, read_policy
from netsim.errors import InputError

CASES = Path(__file__).parents[2].parent / "shared" / "conformance" / "netpol"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the conformance cases are not beside the project")


def _load(path: Path) -> Any:
    return json.loads(path.read_text())


def _cluster(state: dict[str, Any]) -> Cluster:
    common = state.get("container_ports", [])
    pods = []
    for item in state["pods"]:
        ports = tuple(
            ContainerPort(port["port"], port.get("name", ""), port.get("protocol", "TCP"))
            for port in item.get("ports", common)
        )
        template = PodTemplate(item["namespace"], labels=item["labels"], ports=ports)
        pods.append(Pod(item["name"], template, addresses=(item["ip"],)))
    return Cluster(
        pods=tuple(pods),
        namespaces=tuple(Namespace(name, labels) for name, labels in state["namespaces"].items()),
        policies=tuple(read_policy(policy) for policy in state["policies"]),
    )


def _row(cells: dict[str, bool], order: list[str]) -> str:
    return "".join("1" if cells[name] else "0" for name in order)


Checked = Iterator[tuple[bool, str]]


def _compare(expected: dict[str, str], table: dict[str, dict[str, bool]], order: list[str]) -> Checked:
    for source, row in expected.items():
        found = _row(table[source], order)
        for destination, want, got in zip(order, row, found, strict=True):
            if destination != source:
                yield want == got, f"{source} -> {destination}: want {want}, got {got}"


def _e2e(path: Path) -> Checked:
    for step in _load(path)["steps"]:
        cluster = _cluster(step)
        for port, rows in step["expected"]["allowed"].items():
            table: Any = policy_table(cluster, port).to_dict()
            yield from _compare(rows, table["allowed"], step["expected"]["order_to"])


def _cyclonus(path: Path) -> Checked:
    for step in _load(path)["steps"]:
        cluster = _cluster(step)
        order = step["expected"]["order_to"]
        for expected in step["expected"]["tables"]:
            for port in expected["ports"]:
                table: Any = policy_table(cluster, port).to_dict()
                both = expected["allowed"]
                yield from _compare(both, table["allowed"], order)
                yield from _compare(expected.get("egress_side", both), table["egress"], order)
                yield from _compare(expected.get("ingress_side", both), table["ingress"], order)


def _party(cluster: Cluster, name: str) -> Party:
    if name.startswith("external:"):
        return Outside(name.removeprefix("external:"))
    return cluster.pods_by_key[name]


def _recipe(path: Path) -> Checked:
    case = _load(path)
    cluster = _cluster(case)
    verdicts = Verdicts(cluster)
    for probe in case["expected"]:
        ends = _party(cluster, probe["from"]), _party(cluster, probe["to"])
        got = verdicts.allowed(*ends, probe["pod_port"], probe["protocol"])
        yield got == probe["allowed"], f"{probe}: got {got}"
    for policy in cluster.policies:
        types = case["defaulted_policyTypes"].get(policy.name)
        if types is not None:
            found = (policy.isolates_ingress, policy.isolates_egress)
            yield found == ("Ingress" in types, "Egress" in types), f"policyTypes of {policy.name}: {found}"


AREAS = {"e2e": _e2e, "cyclonus": _cyclonus, "recipes": _recipe}


@pytest.mark.parametrize("area", AREAS)
def test_truth_tables(area: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, cells, cases, passed = [], 0, 0, 0
    for path in sorted((CASES / area).glob("*.json")):
        verdicts = list(AREAS[area](path))
        failed = [text for good, text in verdicts if not good]
        wrong += [f"{path.stem}: {text}" for text in failed]
        cells, cases, passed = cells + len(verdicts), cases + 1, passed + (not failed)
    with capsys.disabled():
        print(f"\nnetpol {area}: {passed}/{cases} cases, {cells - len(wrong)}/{cells} cells")
    assert cases
    assert not wrong, wrong[:10]


def _accepted(policy: dict[str, Any]) -> bool:
    try:
        return isinstance(read_policy(policy), NetworkPolicy)
    except InputError:
        return False


def test_validation(capsys: pytest.CaptureFixture[str]) -> None:
    cases = _load(CASES / "validation_cases.json")
    wrong = [
        f"{kind}: {case['what']}"
        for kind, accept in (("valid", True), ("invalid", False))
        for case in cases[kind]
        if _accepted(case["policy"]) != accept
    ]
    total = len(cases["valid"]) + len(cases["invalid"])
    with capsys.disabled():
        print(f"\nnetpol validation: {total - len(wrong)}/{total}")
    assert not wrong
