"""The three rules of Kubernetes networking, for every plugin and proxy mode, over random clusters.

Pods reach all pods without NAT; the agents of a node reach all pods on it; the address a pod has is the one others see.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import (
    Fabric,
    Machine,
    NetworkPolicy,
    Node,
    Pod,
    PodTemplate,
    Selector,
    Service,
    ServicePort,
)
from netsim.datapath.datapath import Datapath, HostParty
from netsim.datapath.plugin import PROXY_MODES, combination, load_plugin, plugin_names
from netsim.datapath.types import Packet

COMBINATIONS = [
    (name, mode) for name in plugin_names() for mode in PROXY_MODES if combination(load_plugin(name), mode) is None
]
FORWARD, BACK = Packet(True, False), Packet(True, True)
QUICK = settings(max_examples=12, deadline=None)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """A few nodes in racks and zones with different machines, a few pods, one Service; IPv4, IPv6 or both."""
    families = draw(st.sampled_from([(4,), (6,), (4, 6), (6, 4)]))
    flags = st.booleans()
    nodes = []
    for index in range(draw(st.integers(1, 4))):
        machine = Machine(
            mtu=draw(st.sampled_from([1500, 9000])), tso=draw(flags), gro=draw(flags), checksum=draw(flags),
            tunnel=draw(flags), clock_ghz=draw(st.sampled_from([2.0, 3.0])),
        )  # fmt: skip
        addresses = tuple(f"192.168.0.{index + 1}" if family == 4 else f"fd00::{index + 1:x}" for family in families)
        rack, zone = draw(st.sampled_from(["", "r0", "r1"])), draw(st.sampled_from(["", "a", "b"]))
        nodes.append(Node(f"n{index}", addresses, machine=machine, rack=rack, zone=zone))
    template = PodTemplate(namespace="ns", labels={"app": "x"})
    pods = []
    for index in range(draw(st.integers(2, 6))):
        home = draw(st.integers(0, len(nodes) - 1))
        own = {4: f"10.244.{home}.{index + 2}", 6: f"fd01::{home:x}:{index + 2:x}"}
        addresses = tuple(own[family] for family in families)
        pods.append(Pod(f"p{index}", template, f"n{home}", addresses))
    address = "10.96.0.5" if families[0] == 4 else "fd02::5"
    ports = (ServicePort(80, target_port=8080),)
    service = Service("ns", "svc", cluster_ips=(address,), ports=ports, selector={"app": "x"})
    ranges = tuple("10.244.0.0/16" if family == 4 else "fd01::/48" for family in families)
    return Cluster(tuple(nodes), tuple(pods), (service,), fabric=Fabric(nodes_per_rack=2), cluster_cidrs=ranges)


@pytest.mark.parametrize(("plugin", "proxy"), COMBINATIONS)
@given(cluster=clusters(), data=st.data())
@QUICK
def test_pods_reach_pods_without_nat(plugin: str, proxy: str, cluster: Cluster, data: st.DataObject) -> None:
    datapath = Datapath(cluster, plugin, proxy)  # type: ignore[arg-type]
    source, target = (data.draw(st.integers(0, len(cluster.pods) - 1)) for _ in range(2))
    own, other = cluster.pods[source].addresses[0], cluster.pods[target].addresses[0]
    forward, reply = datapath.paths(datapath.connection(source, target, port=8080))
    for path, packet, ends in ((forward, FORWARD, (own, other)), (reply, BACK, (other, own))):
        assert path.start[:2] == ends
        assert all(after[:2] == ends for _, _, after in path.trace(packet)), "no hop may translate"
        arriving = path.arriving(packet)
        assert arriving.outer is None
        assert arriving.header_bytes == path.start.header_bytes
    assert datapath.routes(source, target).verdict == "ALLOW"


@pytest.mark.parametrize(("plugin", "proxy"), COMBINATIONS)
@given(cluster=clusters(), data=st.data(), isolated=st.booleans())
@QUICK
def test_agents_reach_the_pods_of_their_node(
    plugin: str, proxy: str, cluster: Cluster, data: st.DataObject, isolated: bool
) -> None:
    policies = (NetworkPolicy("ns", "deny", Selector()),) if isolated else ()
    cluster = Cluster(**{**_fields(cluster), "policies": policies})
    datapath = Datapath(cluster, plugin, proxy)  # type: ignore[arg-type]
    target = data.draw(st.integers(0, len(cluster.pods) - 1))
    home = cluster.node_index[cluster.pods[target].node]
    routes = datapath.routes(HostParty(home), target, port=8080)
    assert routes.verdict == "ALLOW"
    assert not any(item.pipelined for item in routes.first.passes), "it stays on the node"
    forward, reply = datapath.paths(datapath.connection(HostParty(home), target, port=8080))
    node, pod = cluster.nodes[home].addresses[0], cluster.pods[target].addresses[0]
    assert forward.arriving(FORWARD)[:2] == (node, pod)
    assert reply.arriving(BACK)[:2] == (pod, node)


@pytest.mark.parametrize(("plugin", "proxy"), COMBINATIONS)
@given(cluster=clusters(), data=st.data())
@QUICK
def test_clients_hear_from_the_address_they_called(
    plugin: str, proxy: str, cluster: Cluster, data: st.DataObject
) -> None:
    """Through a Service the server sees the client's own address, and the client hears from the Service's."""
    datapath = Datapath(cluster, plugin, proxy)  # type: ignore[arg-type]
    source, target = (data.draw(st.integers(0, len(cluster.pods) - 1)) for _ in range(2))
    asked = datapath.connection(source, target, port=8080, service=("ns/svc", 80))
    forward, reply = datapath.paths(asked)
    own, backend = asked.source.address, asked.target.address
    seen, heard = forward.arriving(FORWARD), reply.arriving(BACK)
    assert (seen.dst, seen.dst_port) == (backend, 8080)
    assert (heard.dst, heard.dst_port) == (own, 40000)
    if source != target:
        assert seen.src == own
    if asked.at_socket:
        assert heard.src == backend
    else:
        assert (heard.src, heard.src_port) == asked.frontend


def _fields(cluster: Cluster) -> dict[str, object]:
    return {name: getattr(cluster, name) for name in Cluster.__dataclass_fields__}
