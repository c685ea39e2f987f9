"""Rule counts and packet verdicts of kube-proxy's own unit tests (facts in ``../shared/conformance``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.manifests import load_cluster
from netsim.cluster.objects import Endpoint, EndpointPort, Node, Service, ServicePort
from netsim.cluster.service_rules import Translation, inspect_rules, service_tables, translate

SHARED = Path(__file__).parents[2].parent / "shared" / "conformance"
CASES = SHARED / "kubeproxy_cases.json"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the shared conformance cases are not here")


@cache
def cases() -> dict[str, Any]:
    return json.loads(CASES.read_text())


def service(spec: dict[str, Any], **changes: Any) -> Service:
    ports = tuple(
        ServicePort(p["port"], p.get("name", ""), p.get("protocol", "TCP"), node_port=p.get("nodePort"))
        for p in spec["ports"]
    )
    values: dict[str, Any] = {
        "type": spec["type"],
        "cluster_ips": (spec["clusterIP"],),
        "ports": ports,
        "external_ips": tuple(spec.get("externalIPs", ())),
        "load_balancer_ips": tuple(spec.get("loadBalancerIngress", ())),
        "source_ranges": tuple(spec.get("loadBalancerSourceRanges", ())),
        "affinity_s": 10800.0 if spec.get("sessionAffinity") == "ClientIP" else None,
        "internal_traffic_policy": spec.get("internalTrafficPolicy", "Cluster"),
        "external_traffic_policy": spec.get("externalTrafficPolicy", "Cluster"),
        "health_check_node_port": spec.get("healthCheckNodePort"),
    }
    return Service(spec["namespace"], spec["name"], **(values | changes))


def endpoints(items: list[dict[str, Any]], service: Service) -> tuple[Endpoint, ...]:
    found = []
    for item in items:
        if (item["namespace"], item["service"]) != (service.namespace, service.name):
            continue
        ports = tuple(EndpointPort(p["port"], p.get("name", ""), p.get("protocol", "TCP")) for p in item["ports"])
        for end in item["endpoints"]:
            node = end.get("nodeName", "")
            found.append(
                Endpoint(
                    end["ip"],
                    ports,
                    node="" if node == "?nil" else node,
                    ready=end.get("ready", True),
                    serving=end.get("serving", end.get("ready", True)),
                    terminating=end.get("terminating", False),
                )
            )
    return tuple(found)


def cluster_of(case: dict[str, Any], **service_changes: dict[str, Any]) -> Cluster:
    environment = cases()["iptables_environment"]
    services = tuple(
        service(spec, **service_changes.get(f"{spec['namespace']}_{spec['name']}", {})) for spec in case["services"]
    )
    return Cluster(
        nodes=(Node(environment["node_name"], addresses=(environment["node_ip"],)),),
        services=services,
        slices={item.key: endpoints(case["endpointslices"], item) for item in services},
        cluster_cidrs=(environment["pod_cidr_local_detector"],),
        service_cidrs=(environment["service_cidr"],),
    )


def every(kind: str) -> list[dict[str, Any]]:
    return [case for case in cases()["iptables_cases"] if kind in case] if CASES.exists() else []


def flows() -> Iterator[Any]:
    for case in every("flows"):
        for flow in case["flows"]:
            yield pytest.param(case, flow, id=f"{case['id']}-{flow['name']}")


@pytest.mark.parametrize("case", every("expected_counts"), ids=lambda case: case["id"])
def test_iptables_dump(case: dict[str, Any]) -> None:
    cluster = cluster_of(case)
    table = service_tables(cluster)[0]
    report = inspect_rules(cluster).to_dict()["nodes"]["test-hostname"]
    counts = table.counts(cluster.nodes[0])
    expected = dict(case["expected_counts"][0])
    chains = expected.pop("nat_chains")
    assert report == expected
    assert sum(number for (group, _), number in counts.items() if group == "nat_chains") == chains


def said(translation: Translation) -> str:
    if translation.outcome == "DNAT":
        return ", ".join(f"{end.address}:{end.port}" for end in translation.backends)
    return "" if translation.outcome == "NONE" else translation.outcome


@pytest.mark.parametrize(("case", "flow"), list(flows()))
def test_iptables_flow(case: dict[str, Any], flow: dict[str, Any]) -> None:
    cluster = cluster_of(case)
    table = service_tables(cluster)[0]
    protocol = flow.get("protocol", case["services"][0]["ports"][0]["protocol"]).upper()
    got = translate(table, cluster.nodes[0], flow["from"], (flow["to"], flow["port"]), protocol)
    assert said(got) == flow["result"]
    assert any(got.masquerades(end) for end in got.backends) == flow["masquerade"]


def generated(row: dict[str, Any]) -> Cluster:
    """Services as number_generated_rules_test.go makes them."""
    balanced = row["type"] == "LoadBalancer"
    services, slices = [], {}
    for index in range(row["services"]):
        high, low = divmod(index, 200)
        made = Service(
            "ns",
            f"svc{index}",
            type=row["type"],
            cluster_ips=(f"172.30.{high}.{low + 1}",),
            ports=(ServicePort(80, "p80", node_port=30000 + index if balanced else None),),
            external_ips=(f"1.2.{high}.{low + 1}",) if balanced else (),
            load_balancer_ips=(f"5.6.{high}.{low + 1}",) if balanced else (),
            source_ranges=("10.0.0.0/8",) if balanced else (),
        )
        services.append(made)
        slices[made.key] = tuple(
            Endpoint(f"10.{index % 250}.{end // 250}.{end % 250 + 1}", (EndpointPort(80, "p80"),))
            for end in range(row["endpoints_per_service"])
        )
    node = Node("test-hostname", addresses=("192.168.0.2",))
    return Cluster(nodes=(node,), services=tuple(services), slices=slices)


def rows() -> list[dict[str, Any]]:
    return cases()["iptables_number_of_rules"]["rows"] if CASES.exists() else []


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r['type']}-{r['services']}x{r['endpoints_per_service']}")
def test_iptables_number_of_rules(row: dict[str, Any]) -> None:
    report = inspect_rules(generated(row)).to_dict()["nodes"]["test-hostname"]
    assert (report["filter_rules"], report["nat_rules"]) == (row["filter_rules"], row["nat_rules"])


def overall_case() -> dict[str, Any]:
    """The objects the nftables dump shares with the iptables one."""
    named = cases()["nftables_overall"]["same_objects_as"].partition(",")[0]
    return next(case for case in cases()["iptables_cases"] if case["id"] == named)


def nftables_report(cluster: Cluster) -> dict[str, Any]:
    return inspect_rules(cluster, "nftables").to_dict()["nodes"]["test-hostname"]


def test_nftables_overall() -> None:
    facts = cases()["nftables_overall"]
    case = overall_case()
    sticky = {"ns5_svc5": {"affinity_s": 10800.0}}
    report = nftables_report(cluster_of(case, **sticky))
    expected = dict(facts["total"])
    assert (report["chains"], report["rules"]) == (expected.pop("chains"), expected.pop("rules"))
    assert report["elements"] == expected | {"nodeport-ips": 1}

    base = nftables_report(cluster_of({"services": [], "endpointslices": []}))
    assert (base["chains"], base["rules"]) == (facts["base"]["chains"], facts["base"]["rules"])
    for key, wanted in facts["per_service"].items():
        alone = dict(case, services=[s for s in case["services"] if f"{s['namespace']}/{s['name']}" == key])
        one = nftables_report(cluster_of(alone, **sticky))
        added = {"chains": one["chains"] - base["chains"], "rules": one["rules"] - base["rules"]} | one["elements"]
        added.pop("nodeport-ips")
        if one["sets"] > base["sets"]:
            added["affinity sets"] = one["sets"] - base["sets"]
        assert added == wanted, key


def test_nftables_flow_notes() -> None:
    cluster = cluster_of(overall_case())
    table = service_tables(cluster, "nftables")[0]

    def outcome(address: str, port: int, protocol: str) -> str:
        return translate(table, cluster.nodes[0], "10.0.0.2", (address, port), protocol).outcome

    assert outcome("172.30.0.41", 80, "UDP") == "REJECT"
    assert outcome("172.30.0.41", 443, "TCP") == "REJECT"
    assert outcome("172.30.99.1", 80, "TCP") == "DROP"


IPVS_ADDRESS, IPVS_NODE = "10.20.30.41", "testnode"


def ipvs_cluster(case: dict[str, Any]) -> Cluster:
    """The four cases are told in words; the words that matter are read from them."""
    text = case["service"]
    node_port = 3001 if "NodePort 3001" in text else None
    protocol = "SCTP" if "SCTP" in text else "TCP"
    local = "externalTrafficPolicy Local" in text
    here, elsewhere = EndpointPort(80, "p80", protocol), (EndpointPort(80, "p80", protocol),)
    number = case.get("endpoints_v4", 4)
    ends = [Endpoint(f"10.180.{i}.1", elsewhere, node=f"other{i}") for i in range(number)]
    if "local" in text or "on this node" in text:
        ends[0] = Endpoint("10.180.0.1", (here,), node=IPVS_NODE)
    if "not ready" in text:
        ends[-1] = Endpoint("10.180.9.1", elsewhere, node="other9", ready=False, serving=False)
    made = Service(
        "ns1",
        "svc1",
        type="NodePort" if node_port else "ClusterIP",
        cluster_ips=(IPVS_ADDRESS,),
        ports=(ServicePort(80, "p80", protocol, node_port=node_port),),
        external_traffic_policy="Local" if local else "Cluster",
    )
    node = Node(IPVS_NODE, addresses=tuple(case.get("node_ips", ["100.101.102.103"])))
    return Cluster(nodes=(node,), services=(made,), slices={made.key: tuple(ends)})


def ipvs_cases() -> list[dict[str, Any]]:
    return cases()["ipvs"]["cases"] if CASES.exists() else []


@pytest.mark.parametrize("case", ipvs_cases(), ids=lambda case: case["service"])
def test_ipvs(case: dict[str, Any]) -> None:
    report = inspect_rules(ipvs_cluster(case), "ipvs").to_dict()["nodes"][IPVS_NODE]
    assert report["virtual_servers"] == case["virtual_servers"]
    assert report["real_servers"] == case["real_servers"]
    assert case.get("ipset", {}).items() <= report["ipset_entries"].items()


# ports with endpoints, nat rules, filter rules, N, nft chains, nft rules (rules_per_object.md section 5)
WORKED = {
    "online-boutique": (12, 69, 4, 13, 41, 73),
    "bookinfo": (4, 31, 4, 4, 26, 43),
    "guestbook": (3, 29, 6, 3, 25, 41),
    "statefulsets-headless": (0, 5, 4, 0, 16, 23),
}


@pytest.mark.parametrize("name", WORKED)
def test_worked_example(name: str) -> None:
    """The application's own Services; a cloud has given its LoadBalancer an address."""
    loaded = load_cluster(SHARED.parent / "inputs" / "apps" / f"{name}.yaml")
    given = tuple(
        replace(item, load_balancer_ips=("203.0.113.9",)) if item.type == "LoadBalancer" else item
        for item in loaded.services
    )
    cluster = replace(loaded, services=given)
    node = cluster.nodes[0].name
    rules = inspect_rules(cluster, nodes=[node]).to_dict()["nodes"][node]
    nft = inspect_rules(cluster, "nftables", nodes=[node]).to_dict()["nodes"][node]
    table = service_tables(cluster)[0]
    served = sum(bool(port.backends) for port in table.ports if port.service not in cluster.added_services)
    listed = rules["nat_by_chain"]["KUBE-SERVICES"] - 1
    got = (served, rules["nat_rules"], rules["filter_rules"], listed, nft["chains"], nft["rules"])
    assert got == WORKED[name]
