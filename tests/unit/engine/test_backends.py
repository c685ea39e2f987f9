"""Who answers for a Service at a node, as the engine asks: the proxy's own rules, hints included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import ContainerPort, Node, Pod, PodTemplate, Service, ServicePort
from netsim.engine.backends import Backends

ZONES = ("east", "west")
TEMPLATE = PodTemplate("shop", labels={"app": "web"}, ports=(ContainerPort(80, "http"),))
SERVICE = Service("shop", "web", cluster_ips=("10.96.0.7",), ports=(ServicePort(80, "http", target_port=80),),
                  selector={"app": "web"})  # fmt: skip


def cluster(service: Service) -> Cluster:
    nodes = tuple(Node(f"n{i}", addresses=(f"192.0.2.{i}",), zone=ZONES[i % 2]) for i in range(4))
    pods = tuple(Pod(f"web-{i}", TEMPLATE, f"n{i % 4}", (f"10.244.{i % 4}.{i + 2}",)) for i in range(8))
    return Cluster(nodes=nodes, pods=pods, services=(service,))


def answering(service: Service, node: int | None, **options: bool) -> list[int]:
    return list(Backends(cluster(service)).of(service, "http", node, **options))


@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": {"service.kubernetes.io/topology-mode": "Auto"}},
        {"annotations": {"service.kubernetes.io/topology-aware-hints": "auto"}},
        {"traffic_distribution": "PreferClose"},
        {"traffic_distribution": "PreferSameZone"},
    ],
)
def test_hints_keep_traffic_in_the_zone(changes: dict) -> None:
    assert answering(replace(SERVICE, **changes), 0) == [0, 2, 4, 6]
    assert answering(replace(SERVICE, **changes), 1) == [1, 3, 5, 7]


def test_same_node_and_policies() -> None:
    assert answering(replace(SERVICE, traffic_distribution="PreferSameNode"), 2) == [2, 6]
    assert answering(replace(SERVICE, internal_traffic_policy="Local"), 3) == [3, 7]
    outside = replace(SERVICE, type="NodePort", external_traffic_policy="Local",
                      ports=(replace(SERVICE.ports[0], node_port=30080),))  # fmt: skip
    assert answering(outside, 1, external=True) == [1, 5]
    assert answering(outside, 1) == list(range(8))


def test_without_hints_every_node_uses_all() -> None:
    assert answering(SERVICE, 0) == answering(SERVICE, None) == list(range(8))
