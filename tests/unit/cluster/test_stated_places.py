"""Where manifests say their pods are to run: a node's name, required affinity, and what assumed nodes make of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from netsim.cluster.defaults import with_defaults
from netsim.cluster.manifests import cluster_from_objects

SSD = {
    "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
    }
}


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}  # fmt: skip


def workload(replicas: int, kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web"}], **spec}}
    stated = {"selector": {"matchLabels": labels}, "template": template}
    if kind == "Deployment":
        stated["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web", "namespace": "shop"}, "spec": stated}


def places(*objects: dict[str, Any]) -> Counter[str]:
    cluster = with_defaults(cluster_from_objects(objects))
    return Counter(pod.node for pod in cluster.pods if pod.namespace == "shop")


def test_a_template_that_names_a_node_is_honoured() -> None:
    assert places(node("a"), node("b"), node("c"), workload(4, nodeName="b")) == {"b": 4}


def test_a_named_node_that_the_input_lacks_is_there() -> None:
    assert places(workload(2, nodeName="edge-7")) == {"edge-7": 2}


def test_required_affinity_is_followed_on_stated_nodes_by_daemon_sets_too() -> None:
    nodes = [node("a", disk="ssd"), node("b", disk="hdd"), node("c", disk="ssd")]
    assert places(*nodes, workload(4, affinity={"nodeAffinity": SSD})) == {"a": 2, "c": 2}
    assert places(*nodes, workload(0, "DaemonSet", affinity={"nodeAffinity": SSD})) == {"a": 1, "c": 1}


def test_assumed_nodes_have_no_labels_to_ask_for_and_that_is_told() -> None:
    cluster = with_defaults(cluster_from_objects([workload(4, affinity={"nodeAffinity": SSD})]))
    assert all(pod.node for pod in cluster.pods)
    assert [note.code for note in cluster.notes if note.code == "affinity-ignored"] == ["affinity-ignored"]
    stated = with_defaults(cluster_from_objects([node("a", disk="ssd"), workload(4, affinity={"nodeAffinity": SSD})]))
    assert not [note for note in stated.notes if note.code == "affinity-ignored"]
