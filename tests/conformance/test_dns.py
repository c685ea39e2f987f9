"""Every DNS answer case: records of the kubernetes and k8s_external plugins and of the DNS specification."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.corefile import Hosts, parse_corefile
from netsim.cluster.dns import DnsServer, Outside
from netsim.cluster.dns.directory import endpoint_label
from netsim.cluster.objects import (
    Endpoint,
    EndpointPort,
    Namespace,
    Pod,
    PodTemplate,
    Service,
    ServicePort,
)

CASES_FILE = Path(__file__).parents[2].parent / "shared" / "conformance" / "dns_cases.json"
if not CASES_FILE.exists():
    pytest.skip("the shared DNS cases are not here", allow_module_level=True)
DATA = json.loads(CASES_FILE.read_text())
CASES = DATA["cases"]
SKIPPED = {
    "coredns-not-synced": "informer caches are always in step here: a model of a running server has no start-up phase",
}


def ports_of(items: list[dict]) -> tuple[ServicePort, ...]:
    return tuple(ServicePort(item["port"], item["name"], item["protocol"]) for item in items)


def endpoint(item: dict, service: dict) -> Endpoint:
    named = service.get("endpoint_port") or (service.get("ports") or [{"name": "", "protocol": "TCP"}])[0]
    number = item.get("port") or (service.get("ports") or [{}])[0].get("port")
    ports = (EndpointPort(number, named["name"], named["protocol"]),) if number else ()
    return Endpoint(item["ip"], ports, hostname=item.get("hostname", ""), zone=item.get("zone", ""))


def service(item: dict) -> Service:
    addresses = tuple(item.get("clusterIPs", ()))
    return Service(
        item["ns"], item["name"], type=item.get("type", "ClusterIP"), cluster_ips=addresses,
        ports=ports_of(item.get("ports", [])), external_name=item.get("externalName", ""),
    )  # fmt: skip


def spec_cluster(objects: str) -> Cluster:
    """Build the example objects that a case of the specification states in words."""
    addresses = re.findall(r"(?:\d+\.){3}\d+|[0-9a-f]+(?:::?[0-9a-f]+)+", objects)
    hostname = (re.search(r"hostname (\S+)", objects) or ["", ""])[1]
    port = (ServicePort(443, "https"),)
    if "ExternalName" in objects:
        made = Service("default", "foo", type="ExternalName", external_name="www.example.com")
    elif "headless" in objects:
        made = Service("default", "headless", cluster_ips=("None",), ports=port)
    else:
        made = Service("default", "kubernetes", cluster_ips=tuple(addresses), ports=port)
    ready = tuple(Endpoint(a, (EndpointPort(443, "https"),), hostname=hostname) for a in addresses)
    slices = {made.key: ready if made.headless else ()}
    return Cluster(services=(made,), slices=slices, namespaces=(Namespace("default"),))


def external_cluster() -> Cluster:
    port = (ServicePort(80, "http"),)
    endpoints = tuple(
        Endpoint(f"1.2.3.{4 + i}", (EndpointPort(80, "http"),), hostname=f"endpoint-svc-{i}") for i in range(2)
    )
    services = (
        Service("testns", "svc1", cluster_ips=("10.0.0.1",), ports=port, external_ips=("1.2.3.4",)),
        Service("testns", "svc6", cluster_ips=("fd00::6",), ports=port, external_ips=("1:2::5",)),
        Service("testns", "svc11", type="LoadBalancer", cluster_ips=("10.0.0.11",), ports=port,
                load_balancer_ips=("2.3.4.5",)),
        Service("testns", "svc12", type="LoadBalancer", cluster_ips=("10.0.0.12",), ports=port,
                load_balancer_names=("dummy.hostname",)),
        Service("testns", "svc-headless", cluster_ips=("None",), ports=port),
    )  # fmt: skip
    return Cluster(services=services, slices={"testns/svc-headless": endpoints})


def zone_cluster(zone: dict) -> Cluster:
    source = DATA["zones"][zone["same_objects_as"]] if "same_objects_as" in zone else zone
    items = source.get("services", [])
    pods = tuple(
        Pod(item["name"], PodTemplate(item["ns"], labels=item["labels"]), addresses=(item["ip"],))
        for item in source.get("pods", [])
    )
    slices = {f"{i['ns']}/{i['name']}": tuple(endpoint(e, i) for e in i.get("endpoints", ())) for i in items}
    return Cluster(services=tuple(map(service, items)), pods=pods, slices=slices)


def corefile_text(zone: dict, options: dict) -> str:
    if "example.com" in zone["zone"]:
        return ".:53 {\n k8s_external example.com {\n headless\n }\n kubernetes cluster.local\n}\n"
    options = {"ttl": 5, **zone.get("options", {}), **options}
    lines = [f"ttl {options['ttl']}", f"pods {options.get('pods', 'disabled')}"]
    if options.get("namespaces", "all") != "all":
        lines.append("namespaces " + " ".join(options["namespaces"]))
    lines += [f"{key} {options[key]}" for key in ("multicluster", "ignore") if key in options]
    if options.get("zonal"):
        lines.append("zonal")
    zones = " ".join([zone["zone"], *zone.get("also_authoritative_for", ("in-addr.arpa", "ip6.arpa"))])
    return ".:53 {\n kubernetes " + zones + " {\n  " + "\n  ".join(lines) + "\n }\n forward . 192.0.2.1\n}\n"


def server_for(case: dict) -> DnsServer:
    zone = DATA["zones"][case["zone_ref"]]
    if case["zone_ref"] == "dns-spec":
        cluster = spec_cluster(case["objects"])
    elif case["zone_ref"] == "coredns-k8s-external":
        cluster = external_cluster()
    else:
        cluster = zone_cluster(zone)
    upstream = {name.rpartition(" ")[0].lower(): tuple(found)
                for name, found in case.get("upstream", {}).items() if isinstance(found, list)}  # fmt: skip
    upstream.setdefault("www.example.com.", ("192.0.2.53",))
    return DnsServer(cluster, parse_corefile(corefile_text(zone, case.get("options", {}))),
                     Outside(upstream, ttl_s=5))  # fmt: skip


def normal(record: str, *, free_ttl: bool) -> str:
    name, ttl, _, kind, *data = record.split()
    if kind in ("CNAME", "SRV", "PTR", "NS") and not data[-1].endswith("."):
        data[-1] += "."
    if kind == "SRV" and free_ttl:
        data[0] = data[1] = "*"
    if kind == "SOA":
        data[2] = "serial"
    name, data = (name.lower(), [word.lower() for word in data]) if free_ttl else (name, data)
    return " ".join([name if name.endswith(".") else f"{name}.", "*" if free_ttl else ttl, kind, *data])


def section(records: tuple, *, free_ttl: bool) -> list[str]:
    return sorted(normal(f"{r.name} {r.ttl} IN {r.type} {r.data}", free_ttl=free_ttl) for r in records)


def wrong(case: dict) -> str:
    """Return what differs, empty when nothing does."""
    response = server_for(case).answer(case["qname"], case["qtype"])
    free = case["zone_ref"] == "dns-spec"
    if response.rcode != case["rcode"]:
        return f"rcode {response.rcode}, expected {case['rcode']}"
    for name in ("answer", "additional"):
        expected = sorted(normal(record, free_ttl=free) for record in case.get(name) or ())
        found = section(response.answers if name == "answer" else response.additional, free_ttl=free)
        if (name == "answer" or name in case) and found != expected:
            return f"{name} {found}, expected {expected}"
    if case.get("authority"):
        owner = case["authority"].removeprefix("SOA of ")
        if [(r.type, r.name) for r in response.authority] != [("SOA", owner)]:
            return f"authority {response.authority}, expected {case['authority']}"
    return ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_answer(case: dict) -> None:
    if case["zone_ref"] in SKIPPED:
        pytest.skip(SKIPPED[case["zone_ref"]])
    assert wrong(case) == ""


@pytest.mark.parametrize("case", DATA["endpoint_labels"]["cases"], ids=lambda case: case["label"][:20])
def test_endpoint_label(case: dict) -> None:
    pod = f"default/{case['pod_name']}" if case["pod_name"] else ""
    made = Endpoint(case["ip"], hostname=case["hostname"], pod=pod)
    assert endpoint_label(made, case["endpoint_pod_names"]) == case["label"]


def test_autopath() -> None:
    """The search list is walked by the server: one query in place of several."""
    corefile = parse_corefile(
        ".:53 {\n autopath /etc/resolv.conf\n hosts {\n  127.0.0.53 b.com a.example.com\n  ttl 3600\n"
        "  fallthrough\n }\n forward . 192.0.2.1\n}\n"
    )
    outside = Outside(assume_public=False, search=("example.org", "example.com", "com"))
    server = DnsServer(Cluster(), corefile, outside)
    assert server.corefile.servers[0].first(Hosts) is not None
    for case in DATA["autopath_cases"]["cases"]:
        if "qname" in case:
            response = server.answer(case["qname"], case["qtype"])
            expected = sorted(normal(record, free_ttl=False) for record in case["answer"])
            assert section(response.answers, free_ttl=False) == expected


def test_zone_transfer_names_resolve() -> None:
    """Each record that a transfer of the zone holds is also the answer to a query for it."""
    zone = DATA["zones"]["coredns-serve"]
    base = zone_cluster(zone)
    options = {**zone["options"], "namespaces": ["testns", "kube-system"]}
    server = DnsServer(base, parse_corefile(corefile_text({**zone, "options": options}, {})))
    for record in DATA["zone_transfer"]["records"]:
        name, _, _, kind, *data = record.split()
        if kind in ("SOA", "NS") or name.startswith("ns.dns"):
            continue
        found = [(r.type, r.data.split()[-1]) for r in server.answer(name, kind).answers]
        assert (kind, data[-1]) in found, record
