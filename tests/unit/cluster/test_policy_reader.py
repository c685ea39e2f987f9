"""Reading NetworkPolicies: defaults, null against empty, and refusals with their place."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.cluster.objects import NetworkPolicy, Peer, PolicyPort, PolicyRule, Requirement, Selector
from netsim.cluster.policy import read_policy
from netsim.errors import InputError, Place


def _policy(**spec: Any) -> dict[str, Any]:
    return {"kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "shop"}, "spec": spec}


def _read(**spec: Any) -> NetworkPolicy:
    return read_policy(_policy(**spec))


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({}, True, False),
        ({"egress": []}, True, False),
        ({"egress": [{}]}, True, True),
        ({"policyTypes": []}, True, False),
        ({"policyTypes": ["Egress"]}, False, True),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, False, True),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, True, False),
        ({"policyTypes": ["Ingress", "Ingress"]}, True, False),
    ],
)
def test_policy_types_default_as_the_server_does(spec: dict[str, Any], ingress: bool, egress: bool) -> None:
    policy = _read(**spec)
    assert (policy.isolates_ingress, policy.isolates_egress) == (ingress, egress)


def test_missing_spec_and_namespace() -> None:
    policy = read_policy({"metadata": {"name": "p"}})
    assert policy == NetworkPolicy("default", "p")


def test_null_is_absent_and_empty_selects_all() -> None:
    assert _read(podSelector=None).pod_selector == Selector()
    assert _read(ingress=[{"from": None}]).ingress == (PolicyRule(),)
    assert _read(ingress=[{"from": []}]).ingress == (PolicyRule(),)
    assert _read(ingress=[{"from": [{"podSelector": {}}]}]).ingress[0].peers == (Peer(pod_selector=Selector()),)
    both = _read(ingress=[{"from": [{"podSelector": {"matchLabels": None}, "namespaceSelector": {}}]}])
    assert both.ingress[0].peers == (Peer(Selector(), Selector()),)
    with pytest.raises(InputError, match="names nobody"):
        _read(ingress=[{"from": [{"podSelector": None}]}])


def test_ports() -> None:
    ports = [{}, {"port": 53, "protocol": "UDP"}, {"port": "http"}, {"port": 1, "endPort": 1}, {"protocol": "SCTP"}]
    expected = (
        PolicyPort(), PolicyPort("UDP", 53), PolicyPort("TCP", "http"), PolicyPort("TCP", 1, 1), PolicyPort("SCTP"),
    )  # fmt: skip
    assert _read(ingress=[{"ports": ports}]).ingress[0].ports == expected


def test_expressions() -> None:
    expressions = [
        {"key": "example.com/tier", "operator": "In", "values": ["a", ""]},
        {"key": "x", "operator": "NotIn", "values": ["b"]},
        {"key": "x", "operator": "Exists", "values": []},
        {"key": "y", "operator": "DoesNotExist"},
    ]
    assert _read(podSelector={"matchExpressions": expressions}).pod_selector.match_expressions == (
        Requirement("example.com/tier", "In", ("a", "")),
        Requirement("x", "NotIn", ("b",)),
        Requirement("x", "Exists"),
        Requirement("y", "DoesNotExist"),
    )


def _from(**peer: Any) -> dict[str, Any]:
    return {"ingress": [{"from": [peer]}]}


def _port(**port: Any) -> dict[str, Any]:
    return {"ingress": [{"ports": [port]}]}


@pytest.mark.parametrize(
    "cidr",
    ["10.0.0.5/8", "010.001.0.0/16", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104", "2001:db8::1/128", "10.0.0.0/08"],
)
def test_ranges_the_server_accepts(cidr: str) -> None:
    assert _read(**_from(ipBlock={"cidr": cidr})).ingress[0].peers[0].ip_block is not None


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (_from(ipBlock={}), "cidr"),
        (_from(ipBlock={"cidr": "10.0.0.0"}), "cidr"),
        (_from(ipBlock={"cidr": "10.0.0.0/33"}), "cidr"),
        (_from(ipBlock={"cidr": "10.0.0.0/255.0.0.0"}), "cidr"),
        (_from(ipBlock={"cidr": "10.0.0/8"}), "cidr"),
        (_from(ipBlock={"cidr": "256.0.0.0/8"}), "cidr"),
        (_from(ipBlock={"cidr": "fe80::1%eth0/64"}), "cidr"),
        (_from(ipBlock={"cidr": 10}), "cidr"),
        (_from(ipBlock={"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}), "except[0]"),
        (_from(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.0.0.0/8"]}), "except[1]"),
        (_from(ipBlock={"cidr": "10.0.0.0/8", "except": ["fd00::/64"]}), "except[0]"),
        (_from(ipBlock={"cidr": "10.0.0.0/8"}, podSelector={}), "ipBlock"),
        (_from(podSelector={"matchLabels": {"a b": "c"}}), "matchLabels"),
        (_from(podSelector={"matchLabels": {"/b": "c"}}), "matchLabels"),
        (_from(podSelector={"matchLabels": {"A.com/b": "c"}}), "matchLabels"),
        (_from(podSelector={"matchLabels": {"a": "-b"}}), "matchLabels.a"),
        (_from(podSelector={"matchLabels": {"a": "b" * 64}}), "matchLabels.a"),
        (_from(podSelector={"matchLabels": {"a": 1}}), "matchLabels.a"),
        (_from(podSelector={"matchLabels": {1: "a"}}), "matchLabels"),
        (_from(podSelector={"matchLabels": []}), "matchLabels"),
        (_from(podSelector={"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]}), "operator"),
        (_from(podSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}), "values"),
        (_from(podSelector={"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}), "values"),
        (_from(podSelector={"matchExpressions": [{"operator": "Exists"}]}), "key"),
        (_from(podSelector={"matchExpressions": [{"key": "a", "operator": "In", "values": ["_"]}]}), "values[0]"),
        (_port(port=0), "port"),
        (_port(port=65536), "port"),
        (_port(port=True), "port"),
        (_port(port="80"), "port"),
        (_port(port="Http"), "port"),
        (_port(port="a--b"), "port"),
        (_port(port="a" * 16), "port"),
        (_port(protocol="tcp"), "protocol"),
        (_port(protocol=""), "protocol"),
        (_port(port=80, endPort=79), "endPort"),
        (_port(port=80, endPort=65536), "endPort"),
        (_port(port="http", endPort=80), "endPort"),
        (_port(endPort=80), "endPort"),
        ({"policyTypes": ["ingress"]}, "policyTypes[0]"),
        ({"policyTypes": ["Ingress", "Egress", "Ingress"]}, "policyTypes"),
        ({"ingress": {}}, "ingress"),
        ({"ingress": ["x"]}, "ingress[0]"),
    ],
)
def test_refusals_name_the_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        read_policy(_policy(**spec), Place("shop.yaml", 7, "items[3]"))
    place = caught.value.place
    assert (place.file, place.line) == ("shop.yaml", 7)
    assert place.field.startswith("items[3].spec.")
    assert place.field.endswith(field)


@pytest.mark.parametrize("metadata", [{}, {"name": "A"}, {"name": "a_b"}, {"name": "a", "namespace": "b.c"}])
def test_bad_names(metadata: dict[str, str]) -> None:
    with pytest.raises(InputError):
        read_policy({"metadata": metadata})


def test_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="not a NetworkPolicy"):
        read_policy({"kind": "Pod", "metadata": {"name": "a"}})
