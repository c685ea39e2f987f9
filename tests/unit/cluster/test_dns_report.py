from __future__ import annotations

import json

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.dns import Outside
from netsim.cluster.dns.report import inspect_dns
from netsim.cluster.objects import DnsConfig, Endpoint, EndpointPort, Pod, PodTemplate, Service, ServicePort
from netsim.cluster.resolver import HostResolv
from netsim.errors import InputError

WEB = PodTemplate("shop", owner="web", labels={"app": "web"})
CLUSTER = Cluster(
    pods=(
        Pod("web-0", WEB, addresses=("10.244.1.2",)),
        Pod("plain", PodTemplate("shop", dns_policy="Default"), addresses=("10.244.1.3",)),
        Pod("bare", PodTemplate("shop", dns_policy="None"), addresses=("10.244.1.4",)),
        Pod("own", PodTemplate("shop", dns_policy="None", dns_config=DnsConfig(("10.96.0.10",), ("x.example",)))),
    ),
    services=(
        Service("shop", "front", cluster_ips=("10.96.0.20",), ports=(ServicePort(80, "http"),)),
        Service("shop", "many", cluster_ips=("None",)),
        Service("kube-system", "kube-dns", cluster_ips=("10.96.0.10",), ports=(ServicePort(53, "dns", "UDP"),)),
    ),
    slices={"shop/many": tuple(Endpoint(f"10.3.0.{i}", (EndpointPort(80),)) for i in range(1, 101))},
)


def test_document_from_the_server() -> None:
    document = inspect_dns(CLUSTER, "front.shop.svc.cluster.local").to_dict()
    assert json.loads(json.dumps(document)) == {
        "question": {"name": "front.shop.svc.cluster.local", "type": "A"},
        "rcode": "NOERROR",
        "answers": [{"name": "front.shop.svc.cluster.local.", "type": "A", "ttl": 30, "data": "10.96.0.20"}],
        "queries": [{"name": "front.shop.svc.cluster.local.", "type": "A", "rcode": "NOERROR"}],
        "result": "ANSWER",
    }


def test_document_from_a_pod() -> None:
    document = inspect_dns(CLUSTER, "front", from_pod="shop/web-0", resolver="musl").to_dict()
    assert document["question"] == {"name": "front", "type": "A+AAAA"} and document["result"] == "ANSWER"
    assert [q["type"] for q in document["queries"]] == ["A", "AAAA"]  # type: ignore[attr-defined, index]
    missing = inspect_dns(CLUSTER, "frond", from_pod="shop/web-0").to_dict()
    assert (missing["rcode"], missing["result"]) == ("NXDOMAIN", "NXDOMAIN") and len(missing["queries"]) == 8  # type: ignore[arg-type]
    assert "no Service 'frond' in 'shop'" in str(missing["why"])


def test_search_domains_of_the_node_cost_a_round() -> None:
    host = HostResolv(search=("corp.example.com",))
    report = inspect_dns(CLUSTER, "www.example.org", from_pod="shop/web-0", host=host)
    assert len(report.queries) == 10 and report.result == "ANSWER"


def test_policies() -> None:
    outside = Outside({"front": ("192.0.2.9",)})
    assert inspect_dns(CLUSTER, "front", from_pod="shop/plain", outside=outside).answers[0].data == "192.0.2.9"
    elsewhere = inspect_dns(CLUSTER, "front.shop.svc.cluster.local", from_pod="shop/plain")
    assert elsewhere.result == "NXDOMAIN" and "not the cluster's DNS" in elsewhere.why
    bare = inspect_dns(CLUSTER, "front", from_pod="shop/bare")
    assert bare.result == "TIMEOUT" and {q.rcode for q in bare.queries} == {"TIMEOUT"} and "no nameserver" in bare.why
    own = inspect_dns(CLUSTER, "front.shop.svc.cluster.local", from_pod="shop/own")
    assert len(own.queries) == 2, "ndots is 1 without the cluster's options"


def test_large_answers_go_over_tcp() -> None:
    sent = {
        resolver: len(inspect_dns(CLUSTER, "many", from_pod="shop/web-0", resolver=resolver).queries)
        for resolver in ("glibc", "musl", "go")
    }
    assert sent == {"glibc": 4, "musl": 2, "go": 3}, "Go's A and AAAA have a socket each; only A is too large"


def test_workload_and_pointer() -> None:
    assert inspect_dns(CLUSTER, "front", from_pod="shop/web").result == "ANSWER"
    assert inspect_dns(CLUSTER, "10.96.0.20", type="ptr").answers[0].data == "front.shop.svc.cluster.local."


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("front", {"from_pod": "shop/none"}, "no such pod"),
        ("front", {"type": "BOGUS"}, "unknown record type"),
        ("front", {"from_pod": "shop/web-0", "resolver": "bionic"}, "unknown resolver"),
        ("a..b", {}, "not a domain name"),
        ("", {}, "not a domain name"),
    ],
)
def test_wrong_questions(name: str, options: dict[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        inspect_dns(CLUSTER, name, **options)  # type: ignore[arg-type]
