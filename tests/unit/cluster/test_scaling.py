"""One application on other numbers of nodes."""

# ruff: noqa: E501 (an object or a case on one line)

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.defaults import Defaults
from netsim.cluster.inference import infer_calls
from netsim.cluster.manifests import cluster_from_objects
from netsim.cluster.scaling import ScaleRule, scale
from netsim.errors import InputError


def _workload(
    name: str, replicas: int, kind: str = "Deployment", image: str = "shop/app:1", env: str = ""
) -> dict[str, Any]:
    container = {"name": "c", "image": image, "env": [{"name": "NEXT_ADDR", "value": env}]}
    spec = {
        "replicas": replicas,
        "serviceName": name,
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
    }
    return {"kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def _service(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


@pytest.fixture
def shop() -> Cluster:
    policy = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]}]},
    }  # fmt: skip
    objects = [
        _workload("web", 2, env="api.shop.svc.cluster.local:80"), _workload("api", 1, env="db:80"), _workload("db", 1, "StatefulSet"),
        _workload("cache", 1, image="registry.example/library/redis:7"), _workload("agent", 0, "DaemonSet"),
        _service("web", type="NodePort"), _service("api"), _service("db", clusterIP="None"), policy,
    ]  # fmt: skip
    return cluster_from_objects(objects, defaults=Defaults(nodes=2), complete=True)


def _sizes(cluster: Cluster) -> dict[str, int]:
    return dict(Counter(pod.template.owner for pod in cluster.pods))


def test_proportional_replicas(shop: Cluster) -> None:
    assert _sizes(shop) == {"web": 2, "api": 1, "db": 1, "cache": 1, "agent": 2, "coredns": 2}
    large = scale(shop, 20)
    assert _sizes(large) == {"web": 20, "api": 10, "db": 1, "cache": 1, "agent": 20, "coredns": 2}
    assert large.services == shop.services
    assert set(Counter(pod.node for pod in large.pods if pod.template.owner == "web").values()) == {1}
    assert {pod.key: pod.addresses for pod in shop.pods if pod.template.owner == "api"}.items() <= {
        pod.key: pod.addresses for pod in large.pods
    }.items()
    assert "multiplied by 10" in large.notes[-1].text
    assert "shop/db" in large.notes[-1].text


def test_rules(shop: Cluster) -> None:
    assert _sizes(scale(shop, 20, ScaleRule(replicas="fixed")))["web"] == 2
    assert _sizes(scale(shop, 20, ScaleRule(base_nodes=10)))["web"] == 4
    assert _sizes(scale(shop, 20, ScaleRule(fixed=("shop/w*",))))["web"] == 2
    assert _sizes(scale(shop, 20, ScaleRule(stateful="proportional")))["db"] == 10
    assert _sizes(scale(shop, 20, ScaleRule(dns_replicas=5)))["coredns"] == 5
    dense = scale(shop, 50, ScaleRule(pods_per_node=30))
    assert abs(len(dense.pods) - 1500) <= 51


def test_repeating_the_application(shop: Cluster) -> None:
    large = scale(shop, 6, ScaleRule(services="proportional"))
    assert [s.key for s in large.services if s.name == "api"] == ["shop/api", "shop-2/api", "shop-3/api"]
    assert len({s.cluster_ips for s in large.services if s.name == "api"}) == 3
    assert len({s.ports[0].node_port for s in large.services if s.name == "web"}) == 3
    assert all(len(large.endpoints(f"{namespace}/web")) == 2 for namespace in ("shop", "shop-2", "shop-3"))
    policy = next(p for p in large.policies if p.namespace == "shop-3")
    assert policy.ingress[0].peers[0].namespace_selector.match_labels == {"kubernetes.io/metadata.name": "shop-3"}  # type: ignore[union-attr]
    calls = {(call.from_workload, call.service) for call in infer_calls(large)}
    assert {("shop-2/web", "shop-2/api"), ("shop-3/api", "shop-3/db"), ("shop/web", "shop/api")} <= calls
    assert len(calls) == 6
    assert _sizes(large)["agent"] == 6


def test_fewer_nodes_and_back(shop: Cluster) -> None:
    one = scale(shop, 1)
    assert len(one.nodes) == 1
    assert {pod.node for pod in one.pods} == {one.nodes[0].name}
    addresses = [pod.addresses[0] for pod in one.pods]
    assert len(addresses) == len(set(addresses))
    assert scale(shop, 2).pods == shop.pods


def test_ranges_grow_or_refuse(shop: Cluster) -> None:
    large = scale(shop, 300)
    assert large.cluster_cidrs == ("10.128.0.0/15",)
    assert len({node.pod_cidrs for node in large.nodes}) == 300
    with pytest.raises(InputError, match="holds 256 blocks"):
        scale(shop, 300, ScaleRule(widen=False))
    with pytest.raises(InputError, match="needs a node"):
        scale(shop, 0)


def test_control_plane_nodes_are_not_copied() -> None:
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    nodes = [
        {"kind": "Node", "metadata": {"name": "m"}, "spec": {"taints": [taint]}},
        {"kind": "Node", "metadata": {"name": "w"}},
    ]
    cluster = cluster_from_objects([*nodes, _workload("web", 1)], complete=True)
    large = scale(cluster, 5)
    assert sum(bool(node.taints) for node in large.nodes) == 1
    assert [node.name for node in scale(large, 1).nodes] == ["w"]
