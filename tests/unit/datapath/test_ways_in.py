"""Ways to a Service: from pods, nodes and outside to cluster IP, node ports and load balancer, address by address."""

from __future__ import annotations

import pytest

from netsim import inspect, load_cluster
from netsim.cluster.cluster import Cluster

OBJECTS = """\
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDR: 10.244.0.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
spec: {podCIDR: 10.244.1.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}
---
apiVersion: v1
kind: Node
metadata: {name: n3}
spec: {podCIDR: 10.244.2.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.3}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: shop, labels: {app: server}}
spec: {nodeName: n2, containers: [{name: c, image: x, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.244.1.5, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec: {nodeName: n1, containers: [{name: c, image: x}]}
status: {podIP: 10.244.0.5, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: open, namespace: shop}
spec:
  {type: LoadBalancer, clusterIP: 10.96.0.20, selector: {app: server},
   ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
status: {loadBalancer: {ingress: [{ip: 198.51.100.10}]}}
---
apiVersion: v1
kind: Service
metadata: {name: local, namespace: shop}
spec:
  {type: LoadBalancer, externalTrafficPolicy: Local, clusterIP: 10.96.0.21, selector: {app: server},
   ports: [{port: 80, targetPort: 8080, nodePort: 30081}]}
status: {loadBalancer: {ingress: [{ip: 198.51.100.11}]}}
"""
KUBE_PROXY = ("iptables", "ipvs", "nftables")
CLIENT, SERVER = "shop/client", "shop/server"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    file = tmp_path_factory.mktemp("ways") / "objects.yaml"
    file.write_text(OBJECTS)
    return load_cluster(file)


# from, to, the address the client writes, the client's address as the server sees it, nodes on the way
WAYS = [
    # a pod keeps its address through the cluster IP, unless it reaches itself
    (CLIENT, "shop/open:80", "10.96.0.20:80", "10.244.0.5", "n1 n2"),
    (SERVER, "shop/open:80", "10.96.0.20:80", "192.168.0.2", "n2"),
    # policy Cluster: whoever comes by a node port or the load balancer's address takes the node's, with a second hop
    ("external", "node/n1:30080", "192.168.0.1:30080", "192.168.0.1", "n1 n2"),
    ("external", "node/n2:30080", "192.168.0.2:30080", "192.168.0.2", "n2"),
    ("external", "198.51.100.10:80", "198.51.100.10:80", "192.168.0.1", "n1 n2"),
    (CLIENT, "node/n1:30080", "192.168.0.1:30080", "192.168.0.1", "n1 n2"),
    (CLIENT, "node/n3:30080", "192.168.0.3:30080", "192.168.0.3", "n1 n3 n2"),
    (CLIENT, "198.51.100.10:80", "198.51.100.10:80", "192.168.0.1", "n1 n2"),
    # policy Local: the source is kept and there is no second hop
    ("external", "node/n2:30081", "192.168.0.2:30081", "outside", "n2"),
    ("external", "198.51.100.11:80", "198.51.100.11:80", "outside", "n2"),
    # a pod's packet to it is short-cut to all endpoints, its source kept
    (CLIENT, "node/n1:30081", "192.168.0.1:30081", "10.244.0.5", "n1 n2"),
    (CLIENT, "198.51.100.11:80", "198.51.100.11:80", "10.244.0.5", "n1 n2"),
]


@pytest.mark.parametrize("proxy", KUBE_PROXY)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
def test_addresses_hop_by_hop(cluster: Cluster, proxy: str, way: tuple[str, str, str, str, str]) -> None:
    source, target, written, seen, nodes = way
    report = inspect.path(cluster, source, target, plugin="kubenet", proxy=proxy)
    assert report.verdict == "ALLOW", report.reason
    first, last = report.first.hops[0], report.first.hops[-1]
    client = first.src
    assert f"{first.dst}:{first.dst_port}" == written
    assert last.src == (client if seen == "outside" else seen)
    assert (last.dst, last.dst_port) == ("10.244.1.5", 8080)
    assert list(dict.fromkeys(hop.node for hop in report.first.hops if hop.node.startswith("n"))) == nodes.split()
    back = report.first_reply.hops
    assert (back[0].src, back[0].dst) == ("10.244.1.5", last.src)
    assert (f"{back[-1].src}:{back[-1].src_port}", back[-1].dst) == (written, client)


@pytest.mark.parametrize(
    "case",
    [
        ("iptables", "external", "node/n1:30081", "DROP", "policy Local without an endpoint"),
        ("nftables", "external", "node/n1:30081", "DROP", "policy Local without an endpoint"),
        ("ipvs", "external", "node/n1:30081", "DROP", "reply bypasses"),
        ("iptables", CLIENT, "node/n3:30081", "DROP", "reply bypasses"),
        ("iptables", CLIENT, "10.96.0.20:81", "DROP", "default route"),
        ("ipvs", CLIENT, "10.96.0.20:81", "REJECT", "refused at once"),
        ("nftables", CLIENT, "10.96.0.20:81", "REJECT", "refused at once"),
        ("nftables", CLIENT, "10.96.200.1:80", "DROP", "no Service has this address"),
        ("iptables", CLIENT, "10.96.200.1:80", "DROP", "default route"),
    ],
)
def test_what_leads_nowhere(cluster: Cluster, case: tuple[str, str, str, str, str]) -> None:
    proxy, source, target, verdict, reason = case
    report = inspect.path(cluster, source, target, plugin="kubenet", proxy=proxy)
    assert report.verdict == verdict
    assert reason in report.reason


@pytest.mark.parametrize("target", ["shop/local:80", "node/n1:30081", "node/n3:30081", "198.51.100.11:80"])
@pytest.mark.parametrize("source", [CLIENT, "node/n3"])
def test_ebpf_translates_at_the_socket_whatever_the_address(cluster: Cluster, source: str, target: str) -> None:
    report = inspect.path(cluster, source, target, plugin="cilium-native", proxy="ebpf")
    assert report.verdict == "ALLOW"
    on_wire = {(hop.dst, hop.dst_port) for hop in report.first.hops if hop.station == "uplink"}
    assert on_wire == {("10.244.1.5", 8080)}


@pytest.mark.parametrize(
    "address", ["10.244.1.5:8080", "10.244.1.5", "192.168.0.2:22", "8.8.8.8:53", "[2001:db8::1]:80"]
)
def test_addresses_of_pods_nodes_and_the_outside(cluster: Cluster, address: str) -> None:
    report = inspect.path(cluster, CLIENT, address, plugin="kubenet")
    assert report.verdict == "ALLOW"
    assert report.first.hops[0].src == "10.244.0.5"
