"""Every resolver case: candidates and queries, kubelet's resolv.conf, and timing measured with the real resolvers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.dns import Record, Response
from netsim.cluster.dns.records import soa
from netsim.cluster.objects import DnsConfig, Pod, PodTemplate, Service
from netsim.cluster.resolver import HostResolv, Query, ResolverConfig, new_lookup, resolv_conf, walk
from netsim.cluster.resolver.walk import Walk

CASES_FILE = Path(__file__).parents[2].parent / "shared" / "conformance" / "dns_cases.json"
if not CASES_FILE.exists():
    pytest.skip("the shared DNS cases are not here", allow_module_level=True)
DATA = json.loads(CASES_FILE.read_text())
WORLD = DATA["search_world"]
TIMED = DATA["resolver_timing_measured"]["cases"]


def record(query: Query) -> Record:
    return Record(query.name, query.type, 5, "10.0.0.1" if query.type == "A" else "fd00::1")


def world(query: Query) -> Response:
    outside = query.name in WORLD["outside_names"]
    types = ["A", "AAAA"] if outside else WORLD["cluster_names"].get(query.name)
    if types is None:
        return Response("NXDOMAIN", authority=(soa(".", 5, 1),))
    return Response(answers=(record(query),) if query.type in types else ())


@pytest.mark.parametrize("case", DATA["search_list_cases"], ids=lambda case: case["id"])
def test_search_list(case: dict) -> None:
    config = ResolverConfig(("10.96.0.10",), tuple(case["search"]), (f"ndots:{case['ndots']}",))
    types = tuple(case["family"].split("+"))
    walked = walk(new_lookup(case["resolver"], config, case["name"], types), world)
    expected = [(round_["name"], type) for round_ in case["sequence"] for type in types]
    assert [(e.query.name, e.query.type) for e in walked.exchanges] == expected
    assert len(walked.exchanges) == case["queries_sent"]
    assert walked.done.result == case["result"]
    for round_ in case["sequence"]:
        for exchange in walked.exchanges:
            if exchange.query.name == round_["name"] and exchange.response is not None:
                shown = exchange.response.result
                assert round_[exchange.query.type] == {"ANSWER": "NOERROR"}.get(shown, shown)


@pytest.mark.parametrize("case", DATA["resolv_conf_cases"]["cases"], ids=lambda case: case["id"])
def test_resolv_conf(case: dict) -> None:
    data = DATA["resolv_conf_cases"]
    wanted = case["dnsConfig"]
    config = wanted and DnsConfig(
        tuple(wanted["nameservers"]),
        tuple(wanted["searches"]),
        tuple((option["name"], option.get("value")) for option in wanted["options"]),
    )
    template = PodTemplate(
        data["pod_namespace"],
        dns_policy=case["dnsPolicy"],
        host_network=case.get("hostNetwork", False),
        dns_config=config,
    )
    dns = Service("kube-system", "kube-dns", cluster_ips=(data["cluster"]["dns"],))
    cluster = Cluster(services=(dns,), cluster_domain=data["cluster"]["domain"])
    host = HostResolv((data["host"]["nameserver"],), (data["host"]["search"],))
    made = resolv_conf(Pod("p", template), cluster, host)
    assert list(made.nameservers) == case["expect"]["nameservers"]
    assert list(made.search) == case["expect"]["search"]
    assert sorted(made.options) == sorted(case["expect"]["options"])


# ------------------------------------------------------------------------------------------------ timing

ANSWER, NOTHING = "answer", "nothing"
BEHAVIOUR = {
    "first of two servers drops everything": (NOTHING, ANSWER),
    "one server drops everything": (NOTHING,),
    "one server drops everything, timeout:1 attempts:3": (NOTHING,),
    "server answers SERVFAIL to all": ("SERVFAIL",),
    "first server SERVFAIL, second answers": ("SERVFAIL", ANSWER),
    "UDP answers truncated: TCP retry": ("truncated",),
    "first server NXDOMAIN, second would answer": ("NXDOMAIN", ANSWER),
    "first server REFUSED, second answers": ("REFUSED", ANSWER),
}
LOSES_FIRST_AAAA = ("t05", "t06")
RACES = {"t10": "which of two servers is heard first decides about musl's retransmissions"}


def timed_walk(case: dict, resolver: str) -> Walk:
    config = ResolverConfig(("S1", "S2")[: case["servers"]], (), tuple(case["options"].split()))
    behaviour = BEHAVIOUR.get(case["what"], (ANSWER,) * case["servers"])
    lost: list[Query] = []

    def network(query: Query) -> Response | None:
        if case["id"] in LOSES_FIRST_AAAA and query.type == "AAAA" and not lost:
            lost.append(query)
            return None
        does = behaviour[query.server]
        if does == NOTHING:
            return None
        if does == "truncated" and query.transport == "udp":
            return Response(truncated=True)
        if does in (ANSWER, "truncated"):
            return Response(answers=(record(query),))
        return Response(does)

    types = ("A",) if "A only" in case["what"] else ("A", "AAAA")
    return walk(new_lookup(resolver, config, "name.example.", types), network)


def packets(walked: Walk) -> Counter:
    return Counter(
        (f"S{e.query.server + 1}", e.query.transport, e.query.type, round(e.at_s, 1)) for e in walked.exchanges
    )


@pytest.mark.parametrize("resolver", ["glibc", "musl", "go"])
@pytest.mark.parametrize("case", TIMED, ids=lambda case: case["id"])
def test_timing(case: dict, resolver: str) -> None:
    observed = next(item for item in case["observed"] if item["resolver"] == resolver)
    walked = timed_walk(case, resolver)
    assert round(walked.seconds, 1) == observed["seconds"]
    assert (walked.done.result == "ANSWER") == (observed["result"] == "answer")
    expected = Counter((p["to"], p["transport"], p["qtype"], p["at_s"]) for p in observed["packets"])
    if resolver == "musl" and case["id"] in RACES:
        assert set(packets(walked)) == set(expected), RACES[case["id"]]
    else:
        assert packets(walked) == expected
