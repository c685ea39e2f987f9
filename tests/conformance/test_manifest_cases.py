"""The kube-proxy and policy cases once more, the whole way: objects as `kubectl` prints them, read, and inspected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim import inspect, load_cluster
from netsim.cluster.cluster import Cluster

CASES = Path(__file__).parents[2].parent / "shared" / "conformance"
if not CASES.is_dir():
    pytest.skip("the shared conformance cases are not here", allow_module_level=True)
PROXY: dict[str, Any] = json.loads((CASES / "kubeproxy_cases.json").read_text())
NODE = PROXY["iptables_environment"]["node_name"]
SERVICE_FIELDS = (
    "type", "clusterIP", "ports", "externalIPs", "loadBalancerSourceRanges", "externalTrafficPolicy",
    "internalTrafficPolicy", "healthCheckNodePort", "sessionAffinity",
)  # fmt: skip


def read(items: list[dict[str, Any]], folder: Path) -> Cluster:
    file = folder / "dump.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return load_cluster(file)


def service(spec: dict[str, Any]) -> dict[str, Any]:
    addresses = [{"ip": address} for address in spec.get("loadBalancerIngress", ())]
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": spec["name"], "namespace": spec["namespace"]},
        "spec": {name: spec[name] for name in SERVICE_FIELDS if name in spec},
        "status": {"loadBalancer": {"ingress": addresses}},
    }  # fmt: skip


def endpoint_slice(index: int, spec: dict[str, Any]) -> dict[str, Any]:
    ends = []
    for end in spec["endpoints"]:
        conditions = {name: end[name] for name in ("ready", "serving", "terminating") if name in end}
        node = {} if end.get("nodeName", "?nil") == "?nil" else {"nodeName": end["nodeName"]}
        ends.append({"addresses": [end["ip"]], "conditions": conditions, **node})
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": f"{spec['service']}-{index}", "namespace": spec["namespace"],
            "labels": {"kubernetes.io/service-name": spec["service"]},
        },
        "endpoints": ends, "ports": spec["ports"],
    }  # fmt: skip


def node() -> dict[str, Any]:
    address = {"type": "InternalIP", "address": PROXY["iptables_environment"]["node_ip"]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "status": {"addresses": [address]}}


@pytest.mark.parametrize("case", [c for c in PROXY["iptables_cases"] if "expected_counts" in c], ids=lambda c: c["id"])
def test_rules_of_a_dump(case: dict[str, Any], tmp_path: Path) -> None:
    """The API server gives every NodePort Service a node port, also the one that the original case leaves without."""
    slices = [endpoint_slice(*item) for item in enumerate(case["endpointslices"])]
    report: Any = inspect.rules(read([node(), *map(service, case["services"]), *slices], tmp_path)).to_dict()
    expected = dict(case["expected_counts"][0])
    allocated = sum(
        spec["type"] == "NodePort" and "nodePort" not in port for spec in case["services"] for port in spec["ports"]
    )
    found = report["nodes"][NODE]
    assert (found["nat_rules"] - allocated, found["filter_rules"]) == (expected["nat_rules"], expected["filter_rules"])
    assert found["filter_by_chain"] == expected["filter_by_chain"]
    node_ports = {"KUBE-NODEPORTS": found["nat_by_chain"].get("KUBE-NODEPORTS", 0) - allocated} if allocated else {}
    assert found["nat_by_chain"] | node_ports == expected["nat_by_chain"]


def policy_state(step: dict[str, Any]) -> list[dict[str, Any]]:
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name, labels in step["namespaces"].items()
    ]
    pods = []
    for pod in step["pods"]:
        ports = [
            {"containerPort": port["port"], "name": port.get("name", ""), "protocol": port.get("protocol", "TCP")}
            for port in pod.get("ports", step.get("container_ports", []))
        ]
        pods.append(
            {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": pod["name"], "namespace": pod["namespace"], "labels": pod["labels"]},
                "spec": {"containers": [{"name": "serve", "image": "serve", "ports": ports}]},
                "status": {"phase": "Running", "podIP": pod["ip"]},
            }
        )  # fmt: skip
    return [*namespaces, *pods, *step["policies"]]


@pytest.mark.parametrize("path", sorted((CASES / "netpol" / "e2e").glob("*.json")), ids=lambda path: path.stem)
def test_policies_of_a_dump(path: Path, tmp_path: Path) -> None:
    for step in json.loads(path.read_text())["steps"]:
        cluster = read(policy_state(step), tmp_path)
        order = step["expected"]["order_to"]
        for port, rows in step["expected"]["allowed"].items():
            allowed: Any = inspect.policy(cluster, port).to_dict()
            for source, row in rows.items():
                found = "".join("1" if allowed["allowed"][source][name] else "0" for name in order)
                own = order.index(source)
                assert found[:own] + found[own + 1 :] == row[:own] + row[own + 1 :], (port, source)
