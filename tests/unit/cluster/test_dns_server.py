from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.corefile import parse_corefile
from netsim.cluster.dns import DnsServer, Outside, cluster_dns, cluster_dns_address, node_local_dns
from netsim.cluster.dns.explain import explain
from netsim.cluster.dns.plugins import embed
from netsim.cluster.dns.records import Question, Record, Response
from netsim.cluster.objects import (
    ContainerPort,
    Endpoint,
    EndpointPort,
    Namespace,
    Pod,
    PodTemplate,
    Service,
    ServicePort,
    Workload,
)

WEB = PodTemplate(
    "shop", owner_kind="Deployment", owner="web", labels={"app": "web"}, ports=(ContainerPort(8080, "http"),)
)
STORE = PodTemplate("shop", owner_kind="StatefulSet", owner="db", labels={"app": "db"}, subdomain="db")
CLUSTER = Cluster(
    pods=(
        Pod("web-0", WEB, addresses=("10.244.1.2",)),
        Pod("web-1", WEB, addresses=("10.244.1.3",), ready=False),
        Pod("db-0", STORE, addresses=("10.244.2.2",), hostname="db-0"),
        Pod("dns-0", PodTemplate("kube-system", labels={"k": "dns"}), addresses=("10.244.0.2",)),
    ),
    services=(
        Service(
            "shop", "front", cluster_ips=("10.96.0.20",), selector={"app": "web"},
            ports=(ServicePort(80, "http", target_port="http"),),
        ),
        Service("shop", "db", cluster_ips=("None",), selector={"app": "db"}, ports=(ServicePort(5432, "pg"),)),
        Service("shop", "alias", type="ExternalName", external_name="front.shop.svc.cluster.local"),
        Service("shop", "away", type="ExternalName", external_name="pay.example.com"),
        Service("shop", "loop", type="ExternalName", external_name="loop.shop.svc.cluster.local"),
        Service(
            "kube-system", "kube-dns", cluster_ips=("10.96.0.10",), selector={"k": "dns"},
            ports=(ServicePort(53, "dns", "UDP"),),
        ),
    ),
    workloads=(Workload("Deployment", "shop", "web", 2, WEB),),
    namespaces=(Namespace("empty"),),
)  # fmt: skip
ZONE = "svc.cluster.local."


def server(*lines: str, cluster: Cluster = CLUSTER, outside: Outside | None = None) -> DnsServer:
    return DnsServer(cluster, parse_corefile(".:53 {\n" + "\n".join(lines) + "\n}\n"), outside)


def data(response: Response) -> list[str]:
    return [f"{record.type} {record.data}" for record in response.answers]


KUBERNETES = "kubernetes cluster.local in-addr.arpa {\n pods insecure\n}"
FORWARD = "forward . 192.0.2.1"


@pytest.mark.parametrize(
    ("name", "type", "expected"),
    [
        (f"front.shop.{ZONE}", "A", ["A 10.96.0.20"]),
        (f"10-244-1-2.front.shop.{ZONE}", "A", ["A 10.244.1.2"]),
        (f"db-0.db.shop.{ZONE}", "A", ["A 10.244.2.2"]),
        (f"_pg._tcp.db.shop.{ZONE}", "SRV", [f"SRV 0 100 5432 db-0.db.shop.{ZONE}"]),
        (f"alias.shop.{ZONE}", "A", [f"CNAME front.shop.{ZONE}", "A 10.96.0.20"]),
        ("10-1-2-3.shop.pod.cluster.local.", "A", ["A 10.1.2.3"]),
        ("20.0.96.10.in-addr.arpa.", "PTR", [f"PTR front.shop.{ZONE}"]),
        ("2.2.244.10.in-addr.arpa.", "PTR", [f"PTR db-0.db.shop.{ZONE}"]),
        ("cluster.local.", "NS", [f"NS kube-dns.kube-system.{ZONE}"]),
    ],
)
def test_answers(name: str, type: str, expected: list[str]) -> None:
    assert data(server(KUBERNETES, FORWARD).answer(name, type)) == expected


@pytest.mark.parametrize(
    ("name", "result"),
    [
        (f"web.shop.{ZONE}", "NXDOMAIN"),
        (f"10-244-1-3.front.shop.{ZONE}", "NXDOMAIN"),
        (f"loop.shop.{ZONE}", "NODATA"),
        (f"empty.{ZONE}", "NODATA"),
        (f"absent.{ZONE}", "NXDOMAIN"),
        ("10-1-2-3.absent.pod.cluster.local.", "NXDOMAIN"),
    ],
)
def test_absence(name: str, result: str) -> None:
    response = server(KUBERNETES, FORWARD).answer(name)
    assert response.result == result
    assert [record.type for record in response.authority] == ["SOA"]


def test_reasons() -> None:
    dns = server("kubernetes cluster.local {\n namespaces shop empty\n}", FORWARD)
    for name, words in (
        (f"web.shop.{ZONE}", "no Service 'web' in 'shop' (Deployment 'web' alone has none)"),
        (f"web.shop.{ZONE}", "its pods are behind Service 'front'"),
        (f"10-244-1-2.web.shop.{ZONE}", "no Service 'web'"),
        (f"db-9.db.shop.{ZONE}", "one is 'db-0'"),
        (f"db.empty.{ZONE}", "there is one in 'shop'"),
        (f"x.nowhere.{ZONE}", "no namespace 'nowhere'"),
        (f"kube-dns.kube-system.{ZONE}", "does not serve namespace 'kube-system'"),
        (f"_web._tcp.front.shop.{ZONE}", "it has _http._tcp"),
        ("10-0-0-1.shop.pod.cluster.local.", "pods disabled"),
    ):  # fmt: skip
        assert words in explain(dns, name, "A"), name
    assert "no AAAA record" in explain(dns, f"front.shop.{ZONE}", "AAAA")
    assert explain(dns, f"front.shop.{ZONE}", "A") == ""


def test_server_blocks_and_refusal() -> None:
    dns = DnsServer(
        CLUSTER, parse_corefile("cluster.local {\n kubernetes\n}\ncorp.example {\n forward . 192.0.2.2\n}\n")
    )
    assert dns.answer(f"front.shop.{ZONE}").result == "ANSWER"
    assert dns.answer("db.corp.example").result == "ANSWER", "a stub zone's names are taken to exist"
    assert dns.answer("www.example.com").rcode == "REFUSED"
    assert server(KUBERNETES).answer("www.example.com").rcode == "SERVFAIL", "no plugin is left to answer"


def test_outside_rule() -> None:
    outside = Outside({"a.b": ("192.0.2.1", "2001:db8::1"), "none.example.com": ()}, search=("corp.example",))
    dns = server(FORWARD, outside=outside)
    assert data(dns.answer("A.B", "AAAA")) == ["AAAA 2001:db8::1"]
    assert [dns.answer(n).result for n in ("none.example.com", "x.corp.example", "single", "x.internal", "x.com")] == [
        "NODATA", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN", "ANSWER",
    ]  # fmt: skip
    assert dns.answer("x.com").answers == dns.answer("x.com").answers


def test_external_name_is_chased_and_counted() -> None:
    response = server(KUBERNETES, FORWARD).answer(f"away.shop.{ZONE}")
    assert [record.type for record in response.answers] == ["CNAME", "A"]
    assert response.forwarded == 1
    assert data(server(KUBERNETES).answer(f"away.shop.{ZONE}")) == ["CNAME pay.example.com."]


def test_cache_clamps_ttls() -> None:
    plain = server("kubernetes cluster.local {\n ttl 60\n}").answer(f"front.shop.{ZONE}")
    dns = server("kubernetes cluster.local {\n ttl 60\n}", "cache {\n success 100 25\n denial 100 9\n}")
    cached, absent = dns.answer(f"front.shop.{ZONE}"), dns.answer(f"no.shop.{ZONE}")
    assert [plain.answers[0].ttl, cached.answers[0].ttl, absent.authority[0].ttl] == [60, 25, 9]
    cache = dns.cache_for("x.example")
    assert cached.cache_ttl(cache) == 25 and absent.cache_ttl(cache) == 9 and plain.cache_ttl(None) == 0
    assert Response("SERVFAIL").cache_ttl(cache) == 5 and Response("REFUSED").cache_ttl(cache) == 0
    short = server("kubernetes cluster.local {\n ttl 0\n}", "cache 30").answer(f"front.shop.{ZONE}")
    assert short.answers[0].ttl == 5, "CoreDNS caches for 5 s at least"


def test_hosts() -> None:
    lines = ("hosts {\n 10.0.0.1 a.example b.example\n fd00::1 a.example", "}", FORWARD)
    closed, open_ = server(*lines), server(lines[0], "fallthrough", *lines[1:])
    assert data(closed.answer("A.example", "AAAA")) == ["AAAA fd00::1"]
    assert closed.answer("b.example", "AAAA").result == "NODATA"
    assert data(closed.answer("1.0.0.10.in-addr.arpa", "PTR")) == ["PTR a.example.", "PTR b.example."]
    assert closed.answer("c.example.com").rcode == "SERVFAIL" and open_.answer("c.example.com").result == "ANSWER"


def test_rewrite() -> None:
    dns = server(
        f"rewrite name exact shop.example front.shop.{ZONE}",
        f"rewrite name suffix .prod.example .shop.{ZONE} answer auto",
        rf"rewrite name regex ^(\w+)\.r\.example\.$ {{1}}.shop.{ZONE} "
        r"answer name (.*)\.shop\.svc\.cluster\.local\. {1}.r.example",
        "rewrite ttl exact ttl.example.com 7",
        "rewrite type HINFO A",
        "rewrite rcode exact gone.internal NXDOMAIN NOERROR",
        KUBERNETES,
        FORWARD,
    )
    exact, suffix, regex = (dns.answer(name) for name in ("shop.example", "front.prod.example", "front.r.example"))
    names = [r.answers[0].name for r in (exact, suffix, regex)]
    assert names == [
        "shop.example.",
        "front.prod.example.",
        "front.r.example.",
    ]
    assert {r.answers[0].data for r in (exact, suffix, regex)} == {"10.96.0.20"}
    assert dns.answer("_pg._tcp.db.prod.example", "SRV").answers[0].target == "db-0.db.prod.example."
    assert dns.answer("ttl.example.com").answers[0].ttl == 7
    assert dns.answer("a.example.com", "HINFO").answers[0].type == "A"
    assert dns.answer("gone.internal").rcode == "NOERROR"


def test_template() -> None:
    dns = server(
        "template IN A dyn.example {\n match ^ip-(?P<a>\\d+)-(\\d+)[.]\n answer \"{{ .Name }} 60 IN A 10.0."
        "{{ .Group.a }}.{{ index .Match 2 }}\"\n}", "template ANY AAAA {\n rcode NOERROR\n}", FORWARD)  # fmt: skip
    assert dns.answer("ip-4-5.dyn.example").answers == (Record("ip-4-5.dyn.example.", "A", 60, "10.0.4.5"),)
    assert dns.answer("other.dyn.example").rcode == "NXDOMAIN"
    assert dns.answer("www.example.com", "AAAA").result == "NODATA"
    assert dns.answer("ip-4-999.dyn.example").rcode == "SERVFAIL"


def test_dns64() -> None:
    dns = server("dns64 64:ff9b::/96", KUBERNETES)
    name = f"front.shop.{ZONE}"
    assert data(dns.answer(name, "AAAA", client="fd00::5")) == ["AAAA 64:ff9b::a60:14"]
    assert dns.answer(name, "AAAA", client="10.1.1.1").result == "NODATA"
    assert embed("192.0.2.33", "2001:db8:100::/40") == "2001:db8:1c0:2:21::"


def test_autopath_spares_rounds() -> None:
    dns = server("autopath @kubernetes", "kubernetes cluster.local {\n pods verified\n}", FORWARD)
    name = f"www.example.com.shop.{ZONE}"
    known, unknown = dns.answer(name, client="10.244.1.2"), dns.answer(name, client="10.9.9.9")
    assert [r.type for r in known.answers] == ["CNAME", "A"] and known.answers[0].name == name
    assert unknown.rcode == "NXDOMAIN"


def test_node_local_cache() -> None:
    cluster = replace(
        CLUSTER,
        node_local_corefile="__PILLAR__DNS__DOMAIN__:53 {\n bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__\n"
        " cache {\n success 9984 12\n }\n forward . __PILLAR__CLUSTER__DNS__ {\n force_tcp\n }\n}\n.:53 {\n forward . "
        "__PILLAR__UPSTREAM__SERVERS__\n}\n",
    )
    central = cluster_dns(cluster)
    local = node_local_dns(cluster, central)
    assert local is not None
    assert local.answer(f"front.shop.{ZONE}").answers[0].ttl == 12
    assert local.answer(f"web.shop.{ZONE}").rcode == "NXDOMAIN"
    assert local.answer("www.example.com").result == "ANSWER"
    assert node_local_dns(CLUSTER, central) is None


def test_ports_and_address() -> None:
    assert cluster_dns_address(CLUSTER) == "10.96.0.10" and cluster_dns_address(Cluster()) == "10.96.0.10"
    dns = DnsServer(CLUSTER, parse_corefile(".:1053 {\n kubernetes cluster.local\n}\nother:9999 {\n}"))
    assert dns.port == 1053 and dns.answer(f"front.shop.{ZONE}").result == "ANSWER"


def test_rules_in_a_circle_end() -> None:
    away = Service("shop", "circle", type="ExternalName", external_name="x.example")
    cluster = replace(CLUSTER, services=(*CLUSTER.services, away))
    dns = server(f"rewrite name x.example circle.shop.{ZONE}", KUBERNETES, cluster=cluster)
    assert dns.answer("x.example").rcode == "NOERROR"


def test_datagrams() -> None:
    many = tuple(Endpoint(f"10.1.{i // 200}.{i % 200 + 1}", (EndpointPort(80, "http"),)) for i in range(400))
    cluster = Cluster(services=(Service("shop", "pods", cluster_ips=("None",)),), slices={"shop/pods": many})
    dns = DnsServer(cluster)
    response = dns.answer(f"pods.shop.{ZONE}")
    question = Question(f"pods.shop.{ZONE}", "A")
    cut = response.fitted(question, 512)
    assert len(response.answers) == 400 and not response.truncated
    assert cut.truncated and 0 < len(cut.answers) < 40 and cut.size_bytes(question) <= 512


class Untouched(tuple[Pod, ...]):
    """Pods that must not be walked."""

    def __iter__(self) -> Iterator[Pod]:
        raise AssertionError("the pods were walked")


def test_a_service_name_touches_no_pod() -> None:
    cluster = replace(CLUSTER, pods=Untouched(CLUSTER.pods))
    vars(cluster)["namespaces_by_name"] = CLUSTER.namespaces_by_name
    dns = server("kubernetes cluster.local", cluster=cluster)
    assert dns.answer(f"front.shop.{ZONE}").result == "ANSWER"
    assert dns.answer(f"web.shop.{ZONE}").result == "NXDOMAIN"
