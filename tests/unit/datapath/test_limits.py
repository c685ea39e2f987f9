"""Limits: what is used, when it is reached, and what cannot exist."""

from __future__ import annotations

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.limitbook import limit_book
from netsim.cluster.objects import Machine, Node, Pod, PodTemplate, Service, ServicePort
from netsim.datapath.limitfacts import ClusterFacts, PluginFacts, TrafficFacts, facts_of, plugin_facts
from netsim.datapath.limitgrowth import PowerGrowth
from netsim.datapath.limitmeasures import LIMITS, USES
from netsim.datapath.limits import LimitUse, cannot_exist, limits, to_dict
from netsim.datapath.plugin import load_plugin, plugin_names

KUBENET = PluginFacts("kubenet", routes_in_cloud=True, bridge=True)


def cluster(nodes: int = 10, provider: str = "", cores: int = 4) -> Cluster:
    machines = tuple(
        Node(f"n{i}", (f"192.168.0.{i + 1}",), (f"10.244.{i}.0/24",), Machine(cores=cores), provider=provider)
        for i in range(nodes)
    )
    template = PodTemplate(labels={"app": "web"})
    pods = tuple(Pod(f"p{i}", template, f"n{i % nodes}", (f"10.244.{i % nodes}.{2 + i // nodes}",)) for i in range(300))
    service = Service("default", "web", "NodePort", ("10.96.0.9",), (ServicePort(80, node_port=30080),), {"app": "web"})
    return Cluster(nodes=machines, pods=pods, services=(service,))


def by_id(*args: object, **named: object) -> dict[str, LimitUse]:
    return {use.id: use for use in limits(*args, **named)}  # type: ignore[arg-type]


def test_every_entry_is_complete_and_refers_to_what_exists() -> None:
    for known in limit_book().values():
        assert known.use in USES, known.id
        assert not isinstance(known.limit, str) or known.limit in LIMITS, known.id
        assert known.then, known.id
        assert known.source, known.id
        assert by_id(ClusterFacts(provider="aws"), PluginFacts())  # every condition names a fact


@pytest.mark.parametrize("provider", ["", "aws", "azure", "gce"])
@pytest.mark.parametrize("proxy", ["iptables", "ipvs", "nftables", "ebpf"])
def test_unknown_facts_leave_use_open(provider: str, proxy: str) -> None:
    for use in limits(ClusterFacts(provider=provider), PluginFacts(ebpf=True, layer2=True), proxy=proxy):
        assert use.used is None or use.used >= 0
        assert not use.exceeded


def test_the_route_table_of_the_cloud() -> None:
    found = by_id(cluster(provider="azure"), KUBENET)["cloud_routes_azure"]
    assert (found.used, found.limit, found.reached_at) == (10, 400, 400)
    assert "cloud_routes_azure" not in by_id(cluster(provider="azure"), PluginFacts())


def test_conntrack_by_littles_law() -> None:
    traffic = TrafficFacts(connections_per_s=1000, connection_s=2, udp_flows_per_s=100)
    found = by_id(cluster(), PluginFacts(), traffic=traffic)["conntrack_entries"]
    assert found.used == 1000 * 122 + 100 * 30
    tunnel = by_id(cluster(), plugin_facts(load_plugin("flannel-vxlan"), "iptables"), traffic=traffic)
    assert tunnel["conntrack_entries"].used == pytest.approx(found.used + 0.9 * 2 * (1000 + 100) * (2 + 30))
    assert found.limit == 131072
    assert by_id(cluster(cores=8), PluginFacts(), traffic=traffic)["conntrack_entries"].limit == 262144


def test_time_wait_bounds_connections_to_one_destination() -> None:
    found = by_id(cluster(), PluginFacts(), traffic=TrafficFacts(busiest_client_per_s=500))["ephemeral_ports"]
    assert found.used == 30_000
    assert found.exceeded


def test_addresses() -> None:
    found = by_id(cluster())
    assert (found["pod_addresses"].used, found["pod_addresses"].limit) == (30, 253)
    assert (found["node_cidrs"].limit, found["node_cidrs"].reached_at) == (256, 256)
    assert found["service_addresses"].limit == 2**20 - 2
    assert found["node_ports"].used == 1


def test_growth_decides_what_grows() -> None:
    facts = facts_of(cluster())
    assert by_id(facts)["endpoints_per_service"].reached_at is None
    fixed = by_id(facts, growth=PowerGrowth(services=0))["endpoints_object"]
    assert (fixed.used, fixed.reached_at) == (300, 33)
    assert by_id(facts, growth=PowerGrowth(services=0))["services_per_cluster"].reached_at is None


def test_pods_grow_exactly_to_their_limit() -> None:
    assert by_id(ClusterFacts(nodes=7, pods=210))["pods_per_cluster"].reached_at == 5000


def test_snat_ports_shrink_with_the_cluster() -> None:
    traffic = TrafficFacts(outside_busiest_per_s=2)
    found = by_id(cluster(provider="azure"), PluginFacts(), traffic=traffic)["azure_snat_ports"]
    assert (found.used, found.limit, found.reached_at) == (240, 1024, 200)


def test_layer_2_fills_the_neighbour_table() -> None:
    assert by_id(cluster(), PluginFacts(layer2=True, node_ranges=False))["neighbour_table"].used == 310
    assert by_id(cluster(), PluginFacts(layer2=True))["neighbour_table"].used == 39, "a route per node"
    assert by_id(cluster(), PluginFacts())["neighbour_table"].used == 39
    assert by_id(cluster(), KUBENET)["neighbour_table"].used == 31
    used = {
        name: by_id(cluster(), plugin_facts(load_plugin(name), "iptables"))["neighbour_table"].used
        for name in ("flannel-host-gw", "bridge-l2", "calico-bgp")
    }
    assert used == {"flannel-host-gw": 39, "bridge-l2": 310, "calico-bgp": 39}


def test_what_cannot_exist() -> None:
    wide = ClusterFacts(nodes=450, pods_per_node=30, provider="azure", pod_cidrs=("10.0.0.0/8",))
    texts = [reason.text for reason in cannot_exist(KUBENET, "iptables", wide)]
    assert texts == ["the route table of the cloud ends at 400 nodes"]
    assert cannot_exist(KUBENET, "iptables", cluster(provider="azure")) == ()
    assert cannot_exist(KUBENET, "iptables", cluster(provider="azure"), nodes=300)[0].limit == 256
    alone = PluginFacts("flannel", impossible={"ebpf": "it has no eBPF services"})
    assert cannot_exist(alone, "ebpf", cluster())[0].text == "it has no eBPF services"
    six = ClusterFacts(pod_cidrs=("fd00:10:244::/40",))
    assert "too big" in cannot_exist(PluginFacts(), "ipvs", six)[0].text
    assert "no IPv6" in cannot_exist(PluginFacts("kubenet", families=("IPv4",)), "iptables", six)[0].text
    full = ClusterFacts(nodes=1, pods_per_node=120)
    assert "110 pods a node" in cannot_exist(PluginFacts(), "iptables", full)[0].text
    cloud = PluginFacts("aws", node_ranges=False, interface_addresses=29)
    assert "29 pod addresses" in cannot_exist(cloud, "iptables", cluster())[0].text


def test_a_table_that_can_be_raised_ends_at_the_raised_size() -> None:
    facts = ClusterFacts(nodes=60, provider="aws", pod_cidrs=("10.0.0.0/8",))
    assert by_id(facts, KUBENET)["cloud_routes_aws"].exceeded
    assert cannot_exist(KUBENET, "iptables", facts) == ()
    assert cannot_exist(KUBENET, "iptables", facts, nodes=1001)[0].limit == 1000


@pytest.mark.parametrize("name", plugin_names())
@pytest.mark.parametrize("proxy", ["iptables", "ipvs", "nftables", "ebpf"])
def test_every_shipped_plugin_can_be_judged(name: str, proxy: str) -> None:
    plugin = load_plugin(name)
    facts = plugin_facts(plugin, proxy)
    assert limits(cluster(provider="azure"), facts, proxy=proxy)
    reasons = [reason.text for reason in cannot_exist(facts, proxy, cluster())]
    impossible = dict(plugin.impossible)
    assert (impossible.get(proxy) in reasons) == (proxy in impossible)
    if plugin.routes_in_cloud:
        assert cannot_exist(facts, proxy, cluster(provider="azure"), nodes=450)


def test_document_shape() -> None:
    keys = {"name", "scope", "used", "limit", "unit", "reached_at", "then", "source"}
    assert all(entry.keys() == keys for entry in to_dict(limits(cluster()))["limits"])
