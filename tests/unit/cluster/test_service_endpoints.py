"""Which endpoints a node uses, and where hints come from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import ContainerPort, Endpoint, EndpointPort, Node, Pod, PodTemplate, Service, ServicePort
from netsim.cluster.service_rules import Backend, ServedPort, categorize, service_tables
from netsim.cluster.service_rules.hints import hinted
from netsim.cluster.service_rules.ports import cluster_families, proxied

PORT = ServedPort(
    service="ns/s", name="http", family="IPv4", protocol="TCP", cluster_ip="172.30.0.1", port=80, external_ips=(),
    load_balancer_ips=(), source_ranges=(), node_port=0, affinity=False, internal_local=False, external_local=False,
    health_check_port=0, backends=(),
)  # fmt: skip


def chosen(port: ServedPort, node: str = "here", zone: str = "a") -> tuple[list[str], list[str], list[str], bool]:
    choice = categorize(port, node, zone)
    cluster, local, reachable = ([end.address for end in ends] for ends in choice[:3])
    return cluster, local, reachable, choice.any_usable


def end(number: int, **facts: object) -> Backend:
    return Backend(f"10.0.0.{number}", 80)._replace(**facts)


def test_no_endpoints() -> None:
    assert chosen(PORT) == ([], [], [], False)


def test_ready_endpoints_of_any_node() -> None:
    port = replace(PORT, backends=(end(1), end(2, ready=False), end(3, node="here")))
    assert chosen(port) == (["10.0.0.1", "10.0.0.3"], [], ["10.0.0.1", "10.0.0.3"], True)


def test_draining_endpoints_serve_when_nothing_is_ready() -> None:
    draining = end(2, ready=False, draining=True)
    assert chosen(replace(PORT, backends=(end(1), draining)))[0] == ["10.0.0.1"]
    assert chosen(replace(PORT, backends=(end(1, ready=False), draining)))[0] == ["10.0.0.2"]


def test_fallback_to_draining_is_separate_for_cluster_and_local() -> None:
    port = replace(PORT, node_port=30000, external_local=True)
    port = replace(port, backends=(end(1, node="there"), end(2, node="here", ready=False, draining=True)))
    assert chosen(port) == (["10.0.0.1"], ["10.0.0.2"], ["10.0.0.1", "10.0.0.2"], True)
    assert chosen(port, node="there") == (["10.0.0.1"], ["10.0.0.1"], ["10.0.0.1"], True)


def test_internal_local_without_external_address_ignores_other_nodes() -> None:
    port = replace(PORT, internal_local=True, backends=(end(1, node="there"),))
    assert chosen(port) == ([], [], [], True)


def test_internal_local_with_a_node_port_needs_both_kinds() -> None:
    port = replace(PORT, internal_local=True, node_port=30000, backends=(end(1, node="there"), end(2, node="here")))
    assert chosen(port) == (["10.0.0.1", "10.0.0.2"], ["10.0.0.2"], ["10.0.0.1", "10.0.0.2"], True)


def test_an_endpoint_without_a_node_is_local_nowhere() -> None:
    port = replace(PORT, internal_local=True, backends=(end(1),))
    assert chosen(port, node="") == ([], [], [], True)


ZONED = (end(1, zone_hints=("a",)), end(2, zone_hints=("b",)), end(3, zone_hints=("b",)))


@pytest.mark.parametrize(
    ("backends", "zone", "expected"),
    [
        (ZONED, "a", ["10.0.0.1"]),
        (ZONED, "b", ["10.0.0.2", "10.0.0.3"]),
        (ZONED, "c", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        (ZONED, "", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ((*ZONED, end(4)), "a", ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]),
        ((*ZONED, end(4, ready=False)), "a", ["10.0.0.1"]),
        ((*ZONED, end(4, zone_hints=("a", "b"))), "a", ["10.0.0.1", "10.0.0.4"]),
    ],
)
def test_zone_hints_are_all_or_nothing(backends: tuple[Backend, ...], zone: str, expected: list[str]) -> None:
    assert chosen(replace(PORT, backends=backends), zone=zone)[0] == expected


def test_node_hints_come_before_zone_hints() -> None:
    backends = (
        end(1, node_hints=("here",), zone_hints=("a",)),
        end(2, node_hints=("there",), zone_hints=("a",)),
        end(3, node_hints=("far",), zone_hints=("b",)),
    )
    port = replace(PORT, backends=backends)
    assert chosen(port, "here", "a")[0] == ["10.0.0.1"]
    assert chosen(port, "new", "a")[0] == ["10.0.0.1", "10.0.0.2"]
    assert len(chosen(port, "new", "c")[0]) == 3


def test_hints_leave_local_endpoints_reachable() -> None:
    backends = (end(1, node="here", zone_hints=("b",)), end(2, node="there", zone_hints=("a",)))
    port = replace(PORT, node_port=30000, external_local=True, backends=backends)
    assert chosen(port) == (["10.0.0.2"], ["10.0.0.1"], ["10.0.0.2", "10.0.0.1"], True)


# ------------------------------------------------------------------------------------------------ hints


def three_zones(cpus: tuple[int, int, int] = (4, 4, 4)) -> Cluster:
    nodes = tuple(Node(f"n{z}", zone=z, cpu_millis=1000 * cpu) for z, cpu in zip("abc", cpus, strict=True))
    return Cluster(nodes=nodes)


def ends(zones: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"10.0.0.{i}", zone=zone, node=f"n{zone}") for i, zone in enumerate(zones))


def hints(cluster: Cluster, service: Service, zones: str) -> list[str]:
    return ["".join(end.zone_hints) for end in hinted(cluster, service, ends(zones))]


def test_prefer_close_hints_the_own_zone() -> None:
    for word in ("PreferClose", "PreferSameZone"):
        service = Service("ns", "s", traffic_distribution=word)
        assert hints(three_zones(), service, "aab") == ["a", "a", "b"]


def test_prefer_same_node_hints_node_and_zone() -> None:
    service = Service("ns", "s", traffic_distribution="PreferSameNode")
    first = hinted(three_zones(), service, ends("a"))[0]
    assert (first.node_hints, first.zone_hints) == (("na",), ("a",))


def test_endpoints_that_are_not_ready_get_no_hint() -> None:
    service = Service("ns", "s", traffic_distribution="PreferClose")
    unready = (replace(ends("a")[0], ready=False),)
    assert hinted(three_zones(), service, unready) == unready


AUTO = Service("ns", "s", annotations={"service.kubernetes.io/topology-mode": "Auto"})


def test_auto_needs_an_endpoint_a_zone() -> None:
    assert hints(three_zones(), AUTO, "ab") == ["", ""]
    assert hints(three_zones(), AUTO, "abc") == ["a", "b", "c"]


def test_auto_moves_endpoints_to_a_zone_that_has_too_few() -> None:
    assert sorted(hints(three_zones(), AUTO, "aaabbb")) == ["a", "a", "b", "b", "c", "c"]


def test_auto_follows_the_zones_cpus() -> None:
    given = hints(three_zones((8, 2, 2)), AUTO, "abcabcabcabc")
    assert given.count("a") >= 7


def test_auto_gives_no_hints_while_a_node_has_no_zone() -> None:
    cluster = Cluster(nodes=(*three_zones().nodes, Node("lost")))
    assert hints(cluster, AUTO, "abc") == ["", "", ""]


# ------------------------------------------------------------------------------------------------ ports


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (Service("ns", "s", cluster_ips=("172.30.0.1",)), True),
        (Service("ns", "s", cluster_ips=("None",)), False),
        (Service("ns", "s", type="ExternalName", external_name="example.org"), False),
        (Service("ns", "s", labels={"service.kubernetes.io/service-proxy-name": "other"}), False),
        (Service("ns", "s", labels={"service.kubernetes.io/headless": ""}), False),
    ],
)
def test_which_services_get_rules(service: Service, expected: bool) -> None:
    assert proxied(service) is expected


def test_dual_stack_ports_split_addresses_and_endpoints_by_family() -> None:
    service = Service(
        "ns", "s", cluster_ips=("172.30.0.1", "fd00::1"), ports=(ServicePort(80, "http"),),
        external_ips=("1.2.3.4", "2001:db8::1"), source_ranges=(" 10.0.0.0/8", "fd00::/8", "rubbish"),
    )  # fmt: skip
    targets = (EndpointPort(8080, "http"),)
    slices = {service.key: (Endpoint("10.0.0.1", targets), Endpoint("fd01::1", targets), Endpoint("fd01::2", targets))}
    cluster = Cluster(services=(service,), slices=slices)
    assert cluster_families(cluster) == ("IPv4", "IPv6")
    four, six = (table.ports[0] for table in service_tables(cluster))
    assert (four.cluster_ip, four.external_ips, four.source_ranges) == ("172.30.0.1", ("1.2.3.4",), ("10.0.0.0/8",))
    assert (six.cluster_ip, len(six.backends), six.source_ranges) == ("fd00::1", 2, ("fd00::/8",))


def test_ports_find_their_endpoints_by_name_and_protocol() -> None:
    ports = (ServicePort(53, "dns", "UDP"), ServicePort(53, "dns-tcp"), ServicePort(80, "web", target_port="named"))
    template = PodTemplate("ns", labels={"app": "x"}, ports=(ContainerPort(8080, "named"),))
    pods = (Pod("p", template, addresses=("10.0.0.1",)), Pod("q", replace(template, ports=()), addresses=("10.0.0.2",)))
    service = Service("ns", "s", cluster_ips=("172.30.0.1",), ports=ports, selector={"app": "x"})
    table = service_tables(Cluster(services=(service,), pods=pods))[0]
    found = {port.name: [end[:2] for end in port.backends] for port in table.ports}
    assert found == {
        "dns": [("10.0.0.1", 53), ("10.0.0.2", 53)],
        "dns-tcp": [("10.0.0.1", 53), ("10.0.0.2", 53)],
        "web": [("10.0.0.1", 8080)],
    }
