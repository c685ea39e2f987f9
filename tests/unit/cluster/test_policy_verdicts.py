"""Verdicts beyond the truth tables: nodes, host network, addresses after SNAT, two families, sharing, size."""

from __future__ import annotations

import time
from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import ContainerPort, Namespace, Node, Pod, PodTemplate
from netsim.cluster.policy import Outside, Verdicts, policy_table, read_policy
from netsim.cluster.policy.report import parse_port
from netsim.errors import InputError

NODES = (Node("n1", ("192.168.0.1", "fd00::1")), Node("n2", ("192.168.0.2",)))
WEB = PodTemplate("shop", labels={"app": "web"}, ports=(ContainerPort(8080, "http"),))
DB = PodTemplate("shop", labels={"app": "db"}, ports=(ContainerPort(5432, "sql"),))
AGENT = PodTemplate("kube-system", labels={"app": "agent"}, host_network=True)
PODS = (
    Pod("web", WEB, "n1", ("10.0.1.1", "fd00:10::1")),
    Pod("db", DB, "n2", ("10.0.2.1", "fd00:10:2::1")),
    Pod("agent-1", AGENT, "n1", ("192.168.0.1",)),
    Pod("agent-2", AGENT, "n2"),
)


def _policy(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": f"p{len(str(spec))}", "namespace": "shop"}, "spec": spec}


def _cluster(*policies: dict[str, Any], pods: tuple[Pod, ...] = PODS) -> Cluster:
    return Cluster(nodes=NODES, pods=pods, policies=tuple(read_policy(policy) for policy in policies))


def _block(cidr: str, *excepts: str) -> dict[str, Any]:
    return _policy(podSelector={}, ingress=[{"from": [{"ipBlock": {"cidr": cidr, "except": list(excepts)}}]}])


def test_own_node_always_reaches_its_pods() -> None:
    verdicts = Verdicts(_cluster(_policy(podSelector={})))
    web, db, agent_1, agent_2 = PODS
    assert verdicts.allowed(NODES[0], web, 80)
    assert verdicts.allowed(agent_1, web, 80)
    assert not verdicts.allowed(NODES[1], web, 80)
    assert not verdicts.allowed(agent_2, web, 80)
    assert verdicts.allowed(agent_2, db, 80)


def test_host_network_pods_are_nodes() -> None:
    everybody = _policy(podSelector={}, ingress=[{"from": [{"namespaceSelector": {}}]}], egress=[])
    verdicts = Verdicts(
        _cluster(everybody, {**_policy(podSelector={}), "metadata": {"name": "x", "namespace": "kube-system"}})
    )
    web, _, _, agent_2 = PODS
    assert not verdicts.allowed(agent_2, web, 80), "no selector matches a node"
    assert verdicts.allowed(web, agent_2, 80), "no policy selects a node"
    by_address = Verdicts(_cluster(_block("192.168.0.0/24")))
    assert by_address.allowed(agent_2, web, 80), "an agent without a stated address has its node's"


def test_source_address_after_snat() -> None:
    verdicts = Verdicts(_cluster(_block("203.0.113.0/24")))
    web = PODS[0]
    client = Outside("203.0.113.9")
    assert verdicts.allowed(client, web, 80)
    assert not verdicts.allowed(client, web, 80, seen_as="192.168.0.2")
    pods = Verdicts(
        _cluster(_policy(podSelector={"matchLabels": {"app": "web"}}, ingress=[{"from": [{"podSelector": {}}]}]))
    )
    assert pods.allowed(PODS[1], web, 80)
    assert pods.allowed(PODS[1], web, 80, seen_as="10.0.2.1")
    assert not pods.allowed(PODS[1], web, 80, seen_as="192.168.0.2"), "behind SNAT nobody knows the pod"


def test_blocks_look_at_the_family_both_ends_have() -> None:
    six = Verdicts(_cluster(_block("fd00:10::/32", "fd00:10:2::/48")))
    web, db = PODS[:2]
    only_six = Pod("six", PodTemplate("shop", labels={"app": "six"}), "n1", ("fd00:10::9",))
    assert not six.allowed(web, db, 80), "the connection is an IPv4 one"
    assert six.allowed(web, only_six, 80)
    assert not six.allowed(db, only_six, 80)


def test_named_ports_belong_to_the_destination() -> None:
    spec = {"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}], "egress": [{"ports": [{"port": "sql"}]}]}
    verdicts = Verdicts(_cluster(_policy(**spec)))
    web, db = PODS[:2]
    assert verdicts.ingress_allows(db, web, 8080)
    assert not verdicts.ingress_allows(db, web, 8080, "UDP")
    assert not verdicts.ingress_allows(web, db, 8080)
    assert verdicts.egress_allows(web, db, 5432)
    assert not verdicts.egress_allows(web, Outside("1.2.3.4"), 5432)


def test_equal_pods_share_an_identity() -> None:
    twin = PodTemplate("shop", labels={"app": "web"}, ports=(ContainerPort(8080, "http"),))
    verdicts = Verdicts(_cluster())
    assert verdicts.identity(Pod("a", WEB)) is verdicts.identity(Pod("b", twin))
    assert verdicts.identity(Pod("c", AGENT)) is None


@pytest.mark.parametrize("text", ["80/TCP", "TCP/80", "80", "80/tcp"])
def test_spellings_of_a_port(text: str) -> None:
    assert str(parse_port(text)) == "80/TCP"


@pytest.mark.parametrize(
    "text", ["", "/", "80/ICMP", "TCP", "0", "65536/TCP", "80/TCP/x", "a b/TCP", "TCP/UDP", "-1/TCP"]
)
def test_bad_ports(text: str) -> None:
    with pytest.raises(InputError):
        parse_port(text)


def test_table_of_a_named_port() -> None:
    table = policy_table(_cluster(), "http/TCP", from_="shop/*", to="shop/*").to_dict()
    assert table["pods"] == ["shop/web", "shop/db"]
    assert table["allowed"] == {"shop/web": {"shop/web": True, "shop/db": False}} | {
        "shop/db": {"shop/web": True, "shop/db": False}
    }


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ("shop/web", ["shop/web"]),
        ("shop/*", ["shop/web", "shop/db"]),
        ("app=web", ["shop/web"]),
        ("app==db", ["shop/db"]),
        ("shop/app!=web", ["shop/db"]),
        ("app", [pod.key for pod in PODS]),
        ("!x,app=agent", ["kube-system/agent-1", "kube-system/agent-2"]),
        ("node/n1", ["node/n1"]),
        ("external:198.51.100.7", ["external:198.51.100.7"]),
    ],
)
def test_selections(selection: str, found: list[str]) -> None:
    table = policy_table(_cluster(), from_=selection, to="shop/db")
    assert list(table.allowed) == found


@pytest.mark.parametrize("selection", ["shop/none", "app=nobody", "node/n9", "external:x", "a b", "!app=web", ""])
def test_selections_that_find_nobody(selection: str) -> None:
    with pytest.raises(InputError):
        policy_table(_cluster(), from_=selection)


def test_a_table_that_is_too_large_is_refused() -> None:
    pods = tuple(Pod(f"web-{index}", WEB) for index in range(2001))
    with pytest.raises(InputError, match="too large"):
        policy_table(_cluster(pods=pods))
    assert len(policy_table(_cluster(pods=pods), to="shop/web-7").allowed) == 2001


def test_cost_depends_on_kinds_of_pods_not_on_pods() -> None:
    kinds = [
        PodTemplate(f"team-{index % 50}", labels={"app": f"app-{index}", "tier": str(index % 3)})
        for index in range(500)
    ]
    pods = tuple(Pod(f"p-{index}", kinds[index % 500], f"n-{index % 5000}") for index in range(150_000))
    rule = {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"tier": "1"}}}], "ports": [{"port": 80}]}
    policies = tuple(
        read_policy({"metadata": {"name": f"p{index}", "namespace": f"team-{index % 50}"}, "spec": {"ingress": [rule]}})
        for index in range(500)
    )
    cluster = Cluster(pods=pods, policies=policies, namespaces=tuple(Namespace(f"team-{index}") for index in range(50)))
    verdicts = Verdicts(cluster)
    started = time.perf_counter()
    allowed = sum(verdicts.allowed(pods[index], pods[index * 7 + 3], 80) for index in range(20_000))
    assert time.perf_counter() - started < 5
    assert 0 < allowed < 20_000
