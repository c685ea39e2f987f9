"""ExternalDNS: records by Service type, ownership, plans."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.externaldns.providers import PROVIDERS, list_calls, record_lag
from netsim.cluster.externaldns.records import Options, Record, ownership, plan, published, ttl_of
from netsim.cluster.objects import Node, Pod, PodTemplate, Service, ServicePort

OLD, NEW = "external-dns.alpha.kubernetes.io/", "external-dns.kubernetes.io/"


Rows = list[tuple[str, str, tuple[str, ...]]]


def records(service: dict[str, Any], options: Options | None = None, **cluster: Any) -> Rows:
    made = Service("default", "web", annotations=service.pop("annotations"), **service)
    found = published(Cluster(services=(made,), **cluster), options=options or Options())
    return [(record.name, record.type, record.targets) for record in found]


def test_load_balancers() -> None:
    service = {
        "type": "LoadBalancer", "cluster_ips": ("10.96.0.5",), "load_balancer_ips": ("203.0.113.7", "2001:db8::7"),
        "annotations": {OLD + "hostname": "a.example.org, b.example.org.", OLD + "internal-hostname": "i.example.org"},
    }  # fmt: skip
    assert records(service) == [
        ("a.example.org", "A", ("203.0.113.7",)),
        ("a.example.org", "AAAA", ("2001:db8::7",)),
        ("b.example.org", "A", ("203.0.113.7",)),
        ("b.example.org", "AAAA", ("2001:db8::7",)),
        ("i.example.org", "A", ("10.96.0.5",)),
    ]


def test_the_new_prefix_wins_and_targets_override() -> None:
    service = {
        "type": "LoadBalancer", "load_balancer_names": ("lb.cloud.example.",),
        "annotations": {OLD + "hostname": "old.example.org", NEW + "hostname": "new.example.org"},
    }  # fmt: skip
    assert records(dict(service)) == [("new.example.org", "CNAME", ("lb.cloud.example",))]
    service["annotations"] = {NEW + "hostname": "new.example.org", NEW + "target": "198.51.100.1"}
    assert records(service) == [("new.example.org", "A", ("198.51.100.1",))]


def test_another_controller_and_external_ips() -> None:
    base = {"type": "LoadBalancer", "load_balancer_ips": ("203.0.113.7",), "external_ips": ("198.51.100.9",)}
    name = {NEW + "hostname": "a.example.org"}
    assert records({**base, "annotations": {**name, NEW + "controller": "someone"}}) == []
    assert records({**base, "annotations": name}) == [("a.example.org", "A", ("198.51.100.9",))]


def test_cluster_ip_only_when_internal_names_are_published() -> None:
    service = {"cluster_ips": ("10.96.0.5",), "annotations": {NEW + "hostname": "a.example.org"}}
    assert records(dict(service)) == []
    assert records(dict(service), Options(publish_internal=True)) == [("a.example.org", "A", ("10.96.0.5",))]


NODES = (Node("n1", ("192.168.0.1",)), Node("n2", ("192.168.0.2",)))


@pytest.mark.parametrize(
    ("access", "targets"),
    [("", ("203.0.113.1",)), ("private", ("192.168.0.1", "192.168.0.2")), ("public", ("203.0.113.1",))],
)
def test_node_ports(access: str, targets: tuple[str, ...]) -> None:
    notes = {NEW + "hostname": "a.example.org", **({NEW + "access": access} if access else {})}
    service = {"type": "NodePort", "ports": (ServicePort(80, node_port=30080),), "annotations": notes}
    options = Options(node_external={"n1": ("203.0.113.1",)}, managed=("A", "SRV"))
    assert records(service, options, nodes=NODES) == [
        ("_web._tcp.a.example.org", "SRV", ("0 50 30080 a.example.org",)),
        ("a.example.org", "A", targets),
    ]


def _headless(kind: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    template = PodTemplate(labels={"app": "db"}, subdomain="web")
    pods = (
        Pod("db-0", template, "n1", ("10.244.0.2",), hostname="db-0"),
        Pod("db-1", template, "n2", ("10.244.1.2",), hostname="db-1", ready=False),
    )
    notes = {NEW + "hostname": "db.example.org", **({NEW + "endpoints-type": kind} if kind else {})}
    service = {"cluster_ips": ("None",), "selector": {"app": "db"}, "ports": (ServicePort(5432),), "annotations": notes}
    return service, {"nodes": NODES, "pods": pods}


def test_headless_services_publish_ready_pods() -> None:
    service, cluster = _headless()
    assert records(service, **cluster) == [
        ("db-0.db.example.org", "A", ("10.244.0.2",)),
        ("db.example.org", "A", ("10.244.0.2",)),
    ]
    service, cluster = _headless("HostIP")
    assert records(service, **cluster)[1] == ("db.example.org", "A", ("192.168.0.1",))


def test_services_of_one_name_are_merged_and_ingresses_join() -> None:
    services = tuple(
        Service("default", f"s{i}", "LoadBalancer", load_balancer_ips=(f"203.0.113.{i}",),
                annotations={NEW + "hostname": "a.example.org", NEW + "ttl": "1m"})
        for i in (2, 1)
    )  # fmt: skip
    found = published(Cluster(services=services), [("www.example.org", ["lb.example.net"]), ("x.other", ["192.0.2.1"])],
                      Options(domain_filter=("example.org",)))  # fmt: skip
    assert found == (
        Record("a.example.org", "A", ("203.0.113.1", "203.0.113.2"), 60, "service/default/s1"),
        Record("www.example.org", "CNAME", ("lb.example.net",), None, "ingress/www.example.org"),
    )


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("1m30s", 90), ("0", None), ("-5", None), ("soon", None)])
def test_ttl(text: str, seconds: int | None) -> None:
    assert ttl_of({NEW + "ttl": text}) == seconds


def test_ownership_doubles_or_triples() -> None:
    record = Record("a.example.org", "A", ("192.0.2.1",))
    assert [each.name for each in ownership([record])] == ["a.example.org", "a-a.example.org"]
    assert [each.name for each in ownership([record], Options(txt_formats=1))] == ["a-a.example.org"]
    assert ownership([record], Options(txt_formats=0)) == ()


def test_policies() -> None:
    wanted = [Record("a", "A", ("192.0.2.1",)), Record("b", "A", ("192.0.2.2",))]
    existing = [Record("b", "A", ("192.0.2.9",), 300), Record("c", "A", ("192.0.2.3",), 300)]
    sizes = {policy: plan(wanted, existing, policy).size for policy in ("sync", "upsert-only", "create-only")}  # type: ignore[arg-type]
    assert sizes == {"sync": 9, "upsert-only": 6, "create-only": 3}
    assert plan(wanted, [Record("a", "A", ("192.0.2.1",), 300), wanted[1]]).size == 0


def test_lag_grows_once_listing_outlasts_the_interval() -> None:
    small, large = (record_lag(PROVIDERS["aws"], count) for count in (100, 400_000))
    assert small.cycle_s == 60
    assert large.cycle_s > 1500
    assert small.worst_s > small.mean_s
    assert record_lag(PROVIDERS["aws"], 100, old_ttl_s=300).mean_s == small.mean_s + 300
    assert list_calls(PROVIDERS["rfc2136"], 100_000) == 2
    assert record_lag(PROVIDERS["azure"], 0, changes=100).calls_s > record_lag(PROVIDERS["aws"], 0, changes=100).calls_s
