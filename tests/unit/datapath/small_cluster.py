"""A cluster small enough to reason about: two racks of two nodes, two pods a node, Services of each kind."""

from __future__ import annotations

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import (
    ContainerPort,
    Fabric,
    Machine,
    NetworkPolicy,
    Node,
    Pod,
    PodTemplate,
    Service,
    ServicePort,
)

WEB = PodTemplate(namespace="shop", owner="web", labels={"app": "web"}, ports=(ContainerPort(8080, "http"),))
AGENT = PodTemplate(namespace="kube-system", owner="agent", labels={"app": "agent"}, host_network=True)


def small_cluster(
    machine: Machine | None = None,
    *,
    nodes: int = 4,
    zones: int = 1,
    policies: tuple[NetworkPolicy, ...] = (),
    extra_services: int = 0,
    external: str = "Cluster",
) -> Cluster:
    """Pods ``shop/web-N-M`` (index 2N + M), an agent on each node's network behind them."""
    kind = machine or Machine()
    hosts = tuple(
        Node(f"n{i}", (f"192.168.0.{i + 1}",), (f"10.244.{i}.0/24",), kind, zone=f"z{i % zones}" if zones > 1 else "")
        for i in range(nodes)
    )
    ports = (ServicePort(80, target_port=8080),)
    pods = [Pod(f"web-{i}-{j}", WEB, f"n{i}", (f"10.244.{i}.{j + 2}",)) for i in range(nodes) for j in range(2)]
    pods += [Pod(f"agent-{i}", AGENT, f"n{i}", (f"192.168.0.{i + 1}",)) for i in range(nodes)]
    front = Service(
        "shop", "front", "LoadBalancer", ("10.96.0.10",), (ServicePort(80, target_port=8080, node_port=30080),),
        {"app": "web"}, external_traffic_policy=external,
    )  # fmt: skip
    inner = Service("shop", "inner", "ClusterIP", ("10.96.0.11",), (ServicePort(80, target_port=8080),), {"app": "web"})
    empty = Service("shop", "empty", "ClusterIP", ("10.96.0.12",), (ServicePort(80),), {"app": "none"})
    others = tuple(
        Service("shop", f"other-{i}", "ClusterIP", (f"10.97.{i // 250}.{i % 250 + 1}",), ports, {"app": "web"})
        for i in range(extra_services)
    )
    return Cluster(
        hosts, tuple(pods), (front, inner, empty, *others), policies=policies, fabric=Fabric(nodes_per_rack=2)
    )
