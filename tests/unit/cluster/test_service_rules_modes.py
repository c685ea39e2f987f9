"""What each proxy mode programs, answers and costs, beside the cases of kube-proxy's own tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Endpoint, EndpointPort, Node, Service, ServicePort
from netsim.cluster.service_rules import ProxyConfig, ServiceTable, WalkModel, inspect_rules, service_tables, translate
from netsim.errors import InputError

HERE = Node("here", addresses=("192.168.0.2",))
THERE = Node("there", addresses=("192.168.0.3",))
POD, OUTSIDE = "10.244.9.9", "203.0.113.2"
MODES = ("iptables", "ipvs", "nftables", "ebpf")


def service(name: str = "web", **facts: Any) -> Service:
    values: dict[str, Any] = {
        "cluster_ips": ("10.96.0.10",),
        "ports": (ServicePort(80, "http", node_port=30080 if facts.get("type", "ClusterIP") != "ClusterIP" else None),),
    }
    return Service("shop", name, **(values | facts))


def ends(number: int, node: str = "there", start: int = 1) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"10.244.0.{start + i}", (EndpointPort(8080, "http"),), node=node) for i in range(number))


def cluster(
    *services: Service, endpoints: tuple[Endpoint, ...] = (), nodes: tuple[Node, ...] = (HERE, THERE)
) -> Cluster:
    return Cluster(nodes=nodes, services=services, slices={item.key: endpoints for item in services})


def table(given: Cluster, mode: str, config: ProxyConfig | None = None) -> ServiceTable:
    return service_tables(given, mode, config)[0]


def node_report(given: Cluster, mode: str, config: ProxyConfig | None = None, node: str = "here") -> dict[str, Any]:
    return inspect_rules(given, mode, config=config).to_dict()["nodes"][node]


# ------------------------------------------------------------------------------------------------ counts


def test_iptables_tail_has_a_line_for_each_chosen_address() -> None:
    config = ProxyConfig(node_port_addresses=("192.168.0.0/24", "127.0.0.0/8"))
    assert node_report(cluster(), "iptables", config)["nat_by_chain"]["KUBE-SERVICES"] == 2
    config = ProxyConfig(node_port_addresses=("127.0.0.0/8",), localhost_node_ports=False)
    report = node_report(cluster(), "iptables", config)
    assert "KUBE-SERVICES" not in report["nat_by_chain"]
    assert "KUBE-FIREWALL" not in report["filter_by_chain"]


def test_without_a_local_detector_the_source_test_is_gone() -> None:
    given = cluster(service(), endpoints=ends(2))
    assert node_report(given, "iptables")["nat_rules"] == 5 + 3 * 2 + 2
    assert node_report(given, "iptables", ProxyConfig(local_cidrs=()))["nat_rules"] == 5 + 3 * 2 + 1


def test_dual_stack_is_the_sum_of_both_families() -> None:
    item = service(cluster_ips=("10.96.0.10", "fd00::10"))
    six = tuple(Endpoint(f"fd01::{i}", (EndpointPort(8080, "http"),)) for i in range(3))
    report = node_report(cluster(item, endpoints=(*ends(2), *six)), "iptables")
    assert report["nat_rules"] == (5 + 3 * 2 + 2) + (5 + 3 * 3 + 2)
    assert report["filter_rules"] == 4 + 3


def test_ipvs_rules_are_constant_per_kind_of_set() -> None:
    small = node_report(cluster(service(), endpoints=ends(1, "here")), "ipvs")
    assert (small["nat_rules"], small["filter_rules"]) == (10, 9)
    many = [service(f"s{i}", cluster_ips=(f"10.96.1.{i}",)) for i in range(20)]
    large = node_report(cluster(*many, endpoints=ends(1, "here")), "ipvs")
    assert (large["nat_rules"], large["filter_rules"]) == (10, 9)
    assert large["ipset_entries"] == {"KUBE-CLUSTER-IP": 20, "KUBE-LOOP-BACK": 1, "KUBE-IPVS-IPS": 20}


def test_ipvs_sets_of_a_guarded_load_balancer() -> None:
    item = service(
        type="LoadBalancer", load_balancer_ips=("5.6.7.8",), source_ranges=("192.168.0.0/24", "203.0.113.0/25"),
        external_ips=("9.9.9.9",), external_traffic_policy="Local", health_check_node_port=31000,
    )  # fmt: skip
    report = node_report(cluster(item, endpoints=ends(2)), "ipvs")
    assert report["virtual_servers"] == 4
    assert report["real_servers"] == 4 * 2
    assert report["ipset_entries"] == {
        "KUBE-CLUSTER-IP": 1,
        "KUBE-EXTERNAL-IP-LOCAL": 1,
        "KUBE-HEALTH-CHECK-NODE-PORT": 1,
        "KUBE-LOAD-BALANCER": 1,
        "KUBE-LOAD-BALANCER-LOCAL": 1,
        "KUBE-LOAD-BALANCER-FW": 1,
        "KUBE-LOAD-BALANCER-SOURCE-CIDR": 2,
        "KUBE-LOAD-BALANCER-SOURCE-IP": 1,
        "KUBE-NODE-PORT-TCP": 1,
        "KUBE-NODE-PORT-LOCAL-TCP": 1,
        "KUBE-IPVS-IPS": 3,
    }


def test_ipvs_node_ports_have_a_virtual_server_per_address() -> None:
    nodes = (Node("here", addresses=("192.168.0.2", "192.168.1.2", "fd00::2")),)
    item = service(type="NodePort", ports=(ServicePort(80, "http", "SCTP", node_port=30080),))
    targets = tuple(Endpoint(f"10.244.0.{i}", (EndpointPort(80, "http", "SCTP"),)) for i in range(2))
    report = node_report(cluster(item, endpoints=targets, nodes=nodes), "ipvs")
    assert (report["virtual_servers"], report["real_servers"]) == (3, 6)
    assert report["ipset_entries"]["KUBE-NODE-PORT-SCTP-HASH"] == 2


def test_nftables_without_a_service_range_lacks_its_rule() -> None:
    assert node_report(cluster(), "nftables")["rules"] == 23
    assert node_report(cluster(), "nftables", ProxyConfig(service_cidrs=()))["rules"] == 22


def test_nftables_external_local_chain_and_shared_cluster_ip() -> None:
    item = service(type="NodePort", external_traffic_policy="Local", ports=(
        ServicePort(80, "http", node_port=30080), ServicePort(81, "more", node_port=30081)))  # fmt: skip
    report = node_report(cluster(item, endpoints=ends(1, "here")), "nftables")
    assert report["elements"]["cluster-ips"] == 1
    assert report["chains"] == 16 + 4
    assert report["rules"] == 23 + 2 + 1 + 4 + 2
    assert report["elements"]["no-endpoint-nodeports"] == 1


def test_ebpf_has_six_entries_for_a_service_of_four_endpoints() -> None:
    entries = node_report(cluster(service(), endpoints=ends(4)), "ebpf")["map_entries"]
    assert entries["cilium_lb4_services_v2"] + entries["cilium_lb4_reverse_nat"] == 6
    assert entries["cilium_lb4_backends_v3"] == 4


def test_ebpf_stores_shared_endpoints_once_and_local_frontends_twice() -> None:
    pair = (service("a"), service("b", cluster_ips=("10.96.0.11",)))
    assert node_report(cluster(*pair, endpoints=ends(3)), "ebpf")["map_entries"]["cilium_lb4_backends_v3"] == 3
    local = service(type="NodePort", external_traffic_policy="Local")
    entries = node_report(cluster(local, endpoints=ends(2)), "ebpf")["map_entries"]
    assert entries["cilium_lb4_services_v2"] == (1 + 2) + 2 * (1 + 0) + 2 * (1 + 2)


def test_ebpf_keeps_terminating_backends_and_stores_only_what_a_node_may_use() -> None:
    """As in the dumps of cilium ``pkg/loadbalancer/tests``: graceful-termination and trafficpolicy."""
    active, leaving = ends(2)
    leaving = replace(leaving, ready=False, terminating=True)
    entries = node_report(cluster(service(), endpoints=(active, leaving)), "ebpf")["map_entries"]
    assert (entries["cilium_lb4_services_v2"], entries["cilium_lb4_backends_v3"]) == (3, 2)
    pair = (*ends(1, "here"), *ends(1, "there", start=2))
    facts = {"type": "LoadBalancer", "load_balancer_ips": ("1.1.1.1",), "ports": (ServicePort(80, "http"),)}
    local = service(internal_traffic_policy="Local", external_traffic_policy="Local", **facts)
    entries = node_report(cluster(local, endpoints=pair), "ebpf")["map_entries"]
    assert entries == {"cilium_lb4_services_v2": 4, "cilium_lb4_reverse_nat": 2, "cilium_lb4_backends_v3": 1}
    mixed = service(internal_traffic_policy="Local", **facts)
    entries = node_report(cluster(mixed, endpoints=pair), "ebpf")["map_entries"]
    assert entries == {"cilium_lb4_services_v2": 7, "cilium_lb4_reverse_nat": 3, "cilium_lb4_backends_v3": 2}


# ------------------------------------------------------------------------------------------------ answers


def outcome(given: Cluster, mode: str, source: str, target: tuple[str, int], protocol: str = "TCP") -> str:
    return translate(table(given, mode), HERE, source, target, protocol).outcome


@pytest.mark.parametrize("mode", MODES)
def test_a_service_without_endpoints_refuses(mode: str) -> None:
    assert outcome(cluster(service()), mode, POD, ("10.96.0.10", 80)) == "REJECT"


@pytest.mark.parametrize(
    ("mode", "expected"), [("iptables", "DROP"), ("nftables", "DROP"), ("ebpf", "DROP"), ("ipvs", "DNAT")]
)
def test_policy_local_without_a_local_endpoint(mode: str, expected: str) -> None:
    item = service(type="NodePort", external_traffic_policy="Local")
    got = translate(table(cluster(item, endpoints=ends(2)), mode), HERE, OUTSIDE, ("192.168.0.2", 30080))
    assert got.outcome == ("DNAT" if mode == "ipvs" else "DROP")
    assert got.reply_lost == (mode == "ipvs")


@pytest.mark.parametrize(
    ("mode", "expected"), [("iptables", "NONE"), ("nftables", "REJECT"), ("ipvs", "REJECT"), ("ebpf", "NONE")]
)
def test_wrong_port_of_a_service_address(mode: str, expected: str) -> None:
    given = cluster(service(), endpoints=ends(1))
    assert outcome(given, mode, POD, ("10.96.0.10", 81)) == expected
    assert outcome(given, mode, POD, ("10.96.0.10", 80), "UDP") == expected


@pytest.mark.parametrize("mode", MODES)
def test_outside_the_source_ranges_is_dropped(mode: str) -> None:
    item = service(type="LoadBalancer", load_balancer_ips=("5.6.7.8",), source_ranges=("203.0.113.0/25",))
    given = cluster(item, endpoints=ends(1))
    assert outcome(given, mode, "203.0.113.130", ("5.6.7.8", 80)) == "DROP"
    assert outcome(given, mode, OUTSIDE, ("5.6.7.8", 80)) == "DNAT"
    assert outcome(given, mode, POD, ("5.6.7.8", 80)) == "DROP"
    assert outcome(given, mode, OUTSIDE, ("192.168.0.2", 30080)) == "DNAT"


@pytest.mark.parametrize("mode", MODES)
def test_other_traffic_is_left_alone(mode: str) -> None:
    assert outcome(cluster(service(), endpoints=ends(1)), mode, POD, ("1.1.1.1", 443)) == "NONE"


def test_unallocated_service_addresses_are_dropped_by_nftables_only() -> None:
    given = cluster(service(), endpoints=ends(1))
    assert [outcome(given, mode, POD, ("10.96.77.7", 80)) for mode in MODES] == ["NONE", "NONE", "DROP", "NONE"]


def test_node_ports_on_loopback() -> None:
    given = cluster(service(type="NodePort"), endpoints=ends(1))
    answers = [outcome(given, mode, "127.0.0.1", ("127.0.0.1", 30080)) for mode in MODES]
    assert answers == ["DNAT", "NONE", "NONE", "DNAT"]
    closed = table(given, "iptables", ProxyConfig(localhost_node_ports=False))
    assert translate(closed, HERE, "127.0.0.1", ("127.0.0.1", 30080)).outcome == "NONE"


def test_masquerading_by_mode() -> None:
    item = service(type="NodePort")
    given = cluster(item, endpoints=(*ends(1, "here"), *ends(1, "there", start=2)))
    near, far = given.slices[item.key]

    def masked(mode: str, source: str, target: tuple[str, int]) -> list[bool]:
        got = translate(table(given, mode), HERE, source, target)
        assert [end.address for end in got.backends] == [near.address, far.address]
        return [got.masquerades(end) for end in got.backends]

    for mode in ("iptables", "ipvs", "nftables"):
        assert masked(mode, POD, ("10.96.0.10", 80)) == [False, False]
        assert masked(mode, OUTSIDE, ("192.168.0.2", 30080)) == [True, True]
        assert masked(mode, near.address, ("10.96.0.10", 80)) == [True, False]
        assert masked(mode, "192.168.0.2", ("10.96.0.10", 80)) == [True, True]
    assert masked("ebpf", POD, ("192.168.0.2", 30080)) == [False, False]
    assert masked("ebpf", OUTSIDE, ("192.168.0.2", 30080)) == [False, True]


def test_second_hop_and_socket_translation() -> None:
    given = cluster(service(type="NodePort"), endpoints=(*ends(1, "here"), *ends(1, "there", start=2)))
    got = translate(table(given, "iptables"), HERE, OUTSIDE, ("192.168.0.2", 30080))
    assert [got.second_hop(end) for end in got.backends] == [False, True]
    assert translate(table(given, "ebpf"), HERE, POD, ("10.96.0.10", 80)).at_socket
    assert outcome(given, "ebpf", OUTSIDE, ("10.96.0.10", 80)) == "DROP"


@pytest.mark.parametrize(("ranges", "expected"), [("192.168.0.0/24", "DNAT"), ("203.0.113.0/25", "DROP")])
def test_a_node_inside_the_source_ranges_may_come_from_the_load_balancer_address(ranges: str, expected: str) -> None:
    item = service(type="LoadBalancer", load_balancer_ips=("5.6.7.8",), source_ranges=(ranges,))
    for mode in ("iptables", "ipvs", "nftables"):
        assert outcome(cluster(item, endpoints=ends(1)), mode, "5.6.7.8", ("5.6.7.8", 80)) == expected


def test_health_check_port_is_accepted() -> None:
    item = service(type="LoadBalancer", external_traffic_policy="Local", health_check_node_port=31000)
    assert outcome(cluster(item), "iptables", OUTSIDE, ("192.168.0.2", 31000)) == "ACCEPT"
    assert outcome(cluster(item), "iptables", OUTSIDE, ("192.168.0.9", 31000)) == "NONE"


# ------------------------------------------------------------------------------------------------ walks


def walk(given: Cluster, mode: str, kind: str = "cluster_ip") -> WalkModel:
    made = table(given, mode)
    port = made.ports[0]
    model: WalkModel = getattr(made.rules, kind)(made.counts(HERE), port, made.choice(port, made.site(HERE)))
    return model


def hundred(**facts: Any) -> Cluster:
    services = [service(f"s{i}", cluster_ips=(f"10.96.1.{i}",), **facts) for i in range(100)]
    return cluster(*services, endpoints=ends(5))


def test_first_packet_to_a_cluster_ip_walks_half_the_list() -> None:
    model = walk(hundred(), "iptables")
    assert model.mean == 1 + (100 + 1) / 2 + 1 + (5 + 1) / 2 + 2 + 2
    assert model.worst == 1 + 100 + 1 + 5 + 2 + 2
    assert model.filter_mean == 1 + 4 + 1 + 1
    assert walk(hundred(affinity_s=10800.0), "iptables").mean == model.mean + 5


def test_first_packet_to_a_node_port_walks_the_whole_list() -> None:
    ports = (ServicePort(80, "http", node_port=30080),)
    services = [service(f"s{i}", type="NodePort", cluster_ips=(f"10.96.1.{i}",), ports=ports) for i in range(50)]
    model = walk(cluster(*services, endpoints=ends(5)), "iptables", "node_port")
    assert model.mean == 1 + 50 + 1 + (50 + 1) / 2 + 3 + 1 + (5 + 1) / 2 + 2 + 4


def test_foreign_and_established_packets() -> None:
    made = table(hundred(), "iptables")
    counts = made.counts(HERE)
    assert made.rules.other(counts, "forward").nat_worst == 1 + 100 + 1 + 2
    assert made.rules.other(counts, "out").nat_worst == 1 + 100 + 1 + 2
    assert made.rules.other(counts, "in").nat_worst == 1 + 100 + 1
    assert made.rules.established(counts, "forward").filter_worst == 5


@pytest.mark.parametrize("mode", ["ipvs", "nftables", "ebpf"])
def test_hash_modes_do_not_depend_on_the_number_of_services(mode: str) -> None:
    one, many = walk(cluster(service(), endpoints=ends(5)), mode), walk(hundred(), mode)
    assert replace(one, bucket=many.bucket) == many
    assert many.mean == many.worst
    assert many.lookups > 0


def test_virtual_servers_share_256_rows_of_a_table() -> None:
    made = hundred()
    servers = table(made, "ipvs").counts(HERE)["virtual_servers", ""]
    assert walk(made, "ipvs").bucket == servers / 256
    assert walk(made, "nftables").bucket == walk(made, "ebpf").bucket == 0.0


def test_nftables_meets_about_fifteen_rules_and_three_when_established() -> None:
    made = table(hundred(), "nftables")
    model = walk(hundred(), "nftables")
    assert model.mean + model.filter_mean == 15
    assert made.rules.established(made.counts(HERE), "forward").filter_worst == 3


def test_walk_model_draws() -> None:
    model = WalkModel(list_length=10, before=1, after=5, endpoints=3, affinity=True)
    assert model.nat(1, 1) == 1 + 1 + 3 + 1 + 5
    assert model.nat(10, 3) == model.worst
    draws = [model.nat(p, b) for p in range(1, 11) for b in range(1, 4)]
    assert sum(draws) / len(draws) == model.mean


# ------------------------------------------------------------------------------------------------ sync, report


def test_a_partial_sync_writes_the_lists_and_the_changed_chains() -> None:
    made = table(hundred(), "iptables")
    none, one = made.sync(HERE, []), made.sync(HERE, ["shop/s7"])
    assert none.full == one.full == (5 + 100 * 17 + 4) + (4 + 100 * 6 + 6)
    assert none.partial == (100 + 1 + 4 + 4) + (4 + 6)
    assert one.partial == none.partial + 16 + 6


@pytest.mark.parametrize("mode", MODES)
def test_partial_sync_is_never_larger(mode: str) -> None:
    made = table(hundred(type="LoadBalancer", load_balancer_ips=("5.6.7.8",)), mode)
    for changed in ([], ["shop/s1"], [item.key for item in made.cluster.services]):
        work = made.sync(HERE, changed)
        assert 0 <= work.partial <= work.full


def test_report_names_a_service_port_each() -> None:
    item = service(ports=(ServicePort(53, "dns", "UDP"), ServicePort(53, "tcp"), ServicePort(80, "http")))
    report = inspect_rules(cluster(item, endpoints=ends(1))).to_dict()
    assert report["mode"] == "iptables"
    named = [(entry["service"], entry["protocol"]) for entry in report["services"]]
    assert named == [("shop/web:53", "UDP"), ("shop/web:53", "TCP"), ("shop/web:80", "TCP")]
    assert set(report["services"][2]["first_packet"]) == {"nat_mean", "nat_worst", "filter_mean", "filter_worst"}


def test_report_walks_local_services_from_a_node_that_has_an_endpoint() -> None:
    item = service(internal_traffic_policy="Local")
    walk = inspect_rules(cluster(item, endpoints=ends(1, "there"))).to_dict()["services"][0]["first_packet"]
    assert walk["nat_mean"] == 1 + 1 + 1 + 1 + 2 + 2


def test_unknown_mode_and_node_are_input_errors() -> None:
    with pytest.raises(InputError, match="unknown proxy mode"):
        inspect_rules(cluster(), "userspace")
    with pytest.raises(InputError, match="no such node"):
        inspect_rules(cluster(), nodes=["elsewhere"])
