"""Formulas against an oracle that writes every rule and walks every packet."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from iptables_oracle import Oracle, Packet, selected

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Endpoint, EndpointPort, Node, Service, ServicePort
from netsim.cluster.service_rules import Counts, ProxyConfig, WalkModel, inspect_rules, service_tables, translate

POD_CIDR, NODE, LOCAL = "10.0.0.0/8", "192.168.0.2", frozenset({"192.168.0.2", "127.0.0.1"})
MODES = ("iptables", "ipvs", "nftables", "ebpf")
SOURCES = ("10.9.9.9", "192.168.0.2", "203.0.113.2", "203.0.113.200", "10.1.0.1", "9.9.0.0")


@st.composite
def endpoint(draw: st.DrawFn, index: int, ports: tuple[EndpointPort, ...]) -> Endpoint:
    ready = draw(st.booleans())
    return Endpoint(
        f"10.1.{index // 200}.{index % 200 + 1}",
        ports,
        node=draw(st.sampled_from(["here", "there", ""])),
        ready=ready,
        serving=ready or draw(st.booleans()),
        terminating=not ready and draw(st.booleans()),
    )


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """One node and up to five Services of every kind; ports of a Service share its endpoints."""
    services, slices, serial = [], {}, 0
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]))
        names = ["a", "b"][: draw(st.integers(1, 2))]
        open_port = kind != "ClusterIP" and draw(st.booleans())
        ports = tuple(
            ServicePort(80 + n, name, draw(st.sampled_from(["TCP", "UDP"])),
                        node_port=30000 + 2 * index + n if open_port else None)
            for n, name in enumerate(names)
        )  # fmt: skip
        balanced = kind == "LoadBalancer"
        made = Service(
            "ns", f"s{index}", type=kind, cluster_ips=(f"172.30.0.{index + 1}",), ports=ports,
            external_ips=tuple(f"8.8.{index}.{n}" for n in range(draw(st.integers(0, 2)))),
            load_balancer_ips=tuple(f"9.9.{index}.{n}" for n in range(draw(st.integers(0, 2)))) if balanced else (),
            source_ranges=draw(st.sampled_from([(), ("203.0.113.0/25",), ("203.0.113.0/25", "192.168.0.0/24")])),
            affinity_s=draw(st.sampled_from([None, 10800.0])),
            internal_traffic_policy=draw(st.sampled_from(["Cluster", "Local"])),
            external_traffic_policy=draw(st.sampled_from(["Cluster", "Local"])),
            health_check_node_port=31000 + index if balanced else None,
        )  # fmt: skip
        targets = tuple(EndpointPort(8080 + n, port.name, port.protocol) for n, port in enumerate(ports))
        number = draw(st.integers(0, 4))
        slices[made.key] = tuple(draw(endpoint(serial + n, targets)) for n in range(number))
        serial += number
        services.append(made)
    nodes = (Node("here", addresses=(NODE,)), Node("there", addresses=("192.168.0.3",)))
    return Cluster(nodes=nodes, services=tuple(services), slices=slices, cluster_cidrs=(POD_CIDR,))


def oracle(cluster: Cluster, order: list[tuple[Service, ServicePort]], config: ProxyConfig) -> Oracle:
    built = Oracle(cluster.nodes[0], POD_CIDR, config.masquerade_all)
    for service, port in order:
        ends = tuple(
            Endpoint(end.address, tuple(p for p in end.ports if p.name == port.name), node=end.node, ready=end.ready,
                     serving=end.serving, terminating=end.terminating)
            for end in cluster.endpoints(service.key)
        )  # fmt: skip
        built.add(service, port, ends)
    built.finish()
    return built


def all_ports(cluster: Cluster) -> list[tuple[Service, ServicePort]]:
    return [(service, port) for service in cluster.services for port in service.ports]


@settings(max_examples=150, deadline=None)
@given(clusters(), st.booleans())
def test_counts_equal_the_rules_written(cluster: Cluster, masquerade_all: bool) -> None:
    config = ProxyConfig(masquerade_all=masquerade_all)
    report = inspect_rules(cluster, nodes=["here"], config=config).to_dict()["nodes"]["here"]
    written = oracle(cluster, all_ports(cluster), config)
    assert report["nat_by_chain"] == written.counts("nat")
    assert report["filter_by_chain"] == written.counts("filter")


def targets(cluster: Cluster) -> list[tuple[str, int, str]]:
    """Every service address, and some that no Service has."""
    found = [(NODE, 30999, "TCP"), (NODE, 31000, "TCP"), ("10.77.0.1", 80, "TCP"), ("172.30.0.1", 99, "TCP")]
    for service, port in all_ports(cluster):
        addresses = (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips)
        found += [(address, port.port, port.protocol) for address in addresses]
        found += [(NODE, port.node_port, port.protocol)] if port.node_port else []
    return found


@settings(max_examples=200, deadline=None)
@given(clusters(), st.booleans())
def test_answers_equal_the_rules_walked(cluster: Cluster, masquerade_all: bool) -> None:
    config = ProxyConfig(masquerade_all=masquerade_all)
    table = service_tables(cluster, config=config)[0]
    written = oracle(cluster, all_ports(cluster), config)
    for source, (destination, number, protocol) in product(SOURCES, targets(cluster)):
        got = translate(table, cluster.nodes[0], source, (destination, number), protocol)
        for pick in range(max(1, len(got.backends))):
            packet = Packet(source, destination, number, protocol, LOCAL, pick)
            verdict = written.send(packet)
            assert (verdict or "NONE") == got.outcome
            if got.outcome == "DNAT":
                assert (packet.destination, packet.port) == got.backends[pick][:2]
                assert packet.masqueraded == got.masquerades(got.backends[pick])


@settings(max_examples=150, deadline=None)
@given(clusters(), st.randoms(use_true_random=False), st.booleans())
def test_walks_equal_the_rules_met(cluster: Cluster, random: object, masquerade_all: bool) -> None:
    config = ProxyConfig(masquerade_all=masquerade_all)
    table = service_tables(cluster, config=config)[0]
    counts = table.counts(cluster.nodes[0])
    order = all_ports(cluster)
    random.shuffle(order)  # type: ignore[attr-defined]
    written = oracle(cluster, order, config)
    site = table.site(cluster.nodes[0])
    for served in table.ports:
        choice = table.choice(served, site)
        packet = Packet("10.9.9.9", served.cluster_ip, served.port, served.protocol, LOCAL)
        model = table.rules.cluster_ip(counts, served, choice)
        compare(written, packet, model, "KUBE-SERVICES", len(choice.internal(served)))
        if served.node_port:
            packet = Packet("203.0.113.2", NODE, served.node_port, served.protocol, LOCAL)
            model = table.rules.node_port(counts, served, choice)
            compare(written, packet, model, "KUBE-NODEPORTS", len(choice.external(served)))
    for where, destination in (("forward", "10.77.0.1"), ("in", NODE)):
        packet = Packet("10.9.9.9", destination, 4789, "UDP", LOCAL)
        written.send(packet)
        walk = table.rules.other(counts, where)
        assert (packet.met["nat"], packet.met["filter"]) == (walk.nat_worst, walk.filter_worst)
    packet = Packet("10.9.9.9", "10.77.0.1", 80, "TCP", LOCAL, state="ESTABLISHED")
    written.run("filter", "FORWARD", packet)
    assert packet.met["filter"] == table.rules.established(counts, "forward").filter_worst == 5


def compare(written: Oracle, packet: Packet, model: WalkModel, chain: str, ends: int) -> None:
    destination, port = packet.destination, packet.port
    position = 0
    if ends:
        lines = written.nat[chain]
        wanted = destination if chain == "KUBE-SERVICES" else ""
        position = 1 + next(
            i for i, r in enumerate(lines)
            if (r.destination, r.port, r.protocol) == (wanted, port, packet.protocol)
        )  # fmt: skip
    for pick in range(max(1, ends)):
        sent = Packet(packet.source, destination, port, packet.protocol, LOCAL, pick)
        written.send(sent)
        backend = pick + 1 if ends else 0
        assert sent.met["nat"] == model.nat(position, backend)
        if ends:
            assert sent.met["filter"] == model.filter_worst
        else:
            assert sent.met["filter"] <= model.filter_worst
    assert model.nat(min(1, model.list_length), min(1, model.endpoints)) <= model.mean <= model.worst


def test_the_oracle_prefers_ready_endpoints() -> None:
    ends = (Endpoint("10.1.0.1", node="here", ready=False, terminating=True), Endpoint("10.1.0.2", node="there"))
    anywhere, near = selected(Service("ns", "s"), ends, "here")
    assert [end.address for end in anywhere] == ["10.1.0.2"]
    assert [end.address for end in near] == ["10.1.0.1"]


@st.composite
def many_nodes(draw: st.DrawFn) -> Cluster:
    """The same Services on several nodes in zones, with hints and addresses inside and outside source ranges."""
    base = draw(clusters())
    nodes = tuple(
        Node(
            f"n{index}",
            addresses=(f"192.168.{index % 2}.{index + 2}", *(("10.0.0.9",) if draw(st.booleans()) else ())),
            zone=draw(st.sampled_from(["", "a", "b"])),
        )
        for index in range(4)
    )
    hinted = draw(st.booleans())
    slices = {
        key: tuple(
            replace(
                end,
                node=draw(st.sampled_from(["n0", "n1", "n2", ""])),
                zone_hints=(draw(st.sampled_from("ab")),) if hinted else (),
                node_hints=("n1",) if hinted and draw(st.booleans()) else (),
            )
            for end in ends
        )
        for key, ends in base.slices.items()
    }
    return replace(base, nodes=nodes, slices=slices)


@settings(max_examples=120, deadline=None)
@given(
    many_nodes(),
    st.sampled_from(["iptables", "ipvs", "nftables", "ebpf"]),
    st.sampled_from([None, ("192.168.0.0/24",)]),
)
def test_common_sum_with_corrections_equals_counting_every_port(
    cluster: Cluster, mode: str, node_port_addresses: tuple[str, ...] | None
) -> None:
    config = ProxyConfig(node_port_addresses=node_port_addresses)
    table = service_tables(cluster, mode, config)[0]
    for node in cluster.nodes:
        site = table.site(node)
        plain: Counts = Counter()
        for port in table.ports:
            plain.update(table.rules.port_counts(port, table.choice(port, site), site))
        alone = replace(cluster, nodes=(node,))
        fixed = Counter(table.counts(node))
        fixed.subtract(plain)
        assert table.counts(node) == service_tables(alone, mode, config)[0].counts(node)
        assert {key: n for key, n in fixed.items() if n} == {
            key: n for key, n in table.rules.node_counts(site, table.shared(site), plain).items() if n
        }
