"""Policy engines: walks and sizes against the formulas of their renderers, worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import ContainerPort, Namespace, Node, Pod, PodTemplate
from netsim.cluster.policy import Direction, Outside, read_policy
from netsim.datapath.policy import (
    ENGINES,
    Antrea,
    CalicoEbpf,
    CalicoIptables,
    Cilium,
    KubeRouter,
    NoEngine,
    PolicyFacts,
    PolicySize,
    PolicyWalk,
    connection_verdict,
    largest_node,
    policy_notes,
    read_engine,
)
from netsim.datapath.policy.calico import calico_rules, dispatch_lines, policy_lines
from netsim.datapath.policy.cilium import port_prefixes
from netsim.errors import InputError

WEB = PodTemplate("shop", labels={"app": "web"}, ports=(ContainerPort(8080, "http"),))
DB = PodTemplate("shop", labels={"app": "db"})
AGENT = PodTemplate("shop", labels={"app": "agent"}, host_network=True)
WEBS = tuple(Pod(f"web-{index}", WEB, f"n{index % 2}", (f"10.0.0.{index + 1}",)) for index in range(4))
DB_0 = Pod("db-0", DB, "n0", ("10.0.1.1",))
PODS = (*WEBS, DB_0, Pod("agent", AGENT, "n0"))
FROM_WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
TCP_5432 = {"port": 5432}


def _facts(*policies: Any, pods: tuple[Pod, ...] = PODS) -> PolicyFacts:
    return PolicyFacts(
        Cluster(
            nodes=(Node("n0", ("192.168.0.1",)), Node("n1", ("192.168.0.2",))),
            pods=pods,
            namespaces=(Namespace("shop"),),
            policies=tuple(policies),
        )
    )


def _policy(app: str, rules: list[Any], name: str = "p", way: str = "ingress") -> Any:
    spec = {"podSelector": {"matchLabels": {"app": app}}, way: rules, "policyTypes": [way.capitalize()]}
    return read_policy({"metadata": {"name": name, "namespace": "shop"}, "spec": spec})


DB_FROM_WEB = _policy("db", [{"from": [FROM_WEB], "ports": [TCP_5432]}])

# ------------------------------------------------------------------------------------------------ Calico


@pytest.mark.parametrize(
    ("rule", "rules", "lines"),
    [
        ({}, 1, 1),
        ({"from": [FROM_WEB]}, 1, 1),
        ({"from": [FROM_WEB, FROM_WEB], "ports": [TCP_5432, {"port": 53, "protocol": "UDP"}]}, 4, 7),
        ({"ports": [{"port": port} for port in range(1, 16)]}, 1, 1),
        ({"ports": [{"port": port} for port in range(1, 17)]}, 1, 1 + 1 + 2),
        ({"ports": [{"port": 10 * port, "endPort": 10 * port + 1} for port in range(1, 9)]}, 1, 1 + 1 + 2),
        ({"ports": [TCP_5432, {"port": "http"}]}, 1, 1 + 1 + 1 + 1),
        ({"ports": [{"port": "http"}]}, 1, 1),
        ({"ports": [TCP_5432, {}]}, 1, 1),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, 1, 1),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}}]}, 1, 1 + 1 + 1 + 2),
    ],
)
def test_calico_rules_and_lines_of_a_policy(rule: Any, rules: int, lines: int) -> None:
    policy = _policy("db", [rule])
    assert len(list(calico_rules(policy.ingress[0]))) == rules
    assert policy_lines(policy, "ingress") == lines


def test_calico_empty_chain_is_one_line() -> None:
    assert policy_lines(_policy("db", []), "ingress") == 1


def test_calico_endpoint_chains() -> None:
    engine = CalicoIptables()
    assert engine.pod_size(_facts(), DB_0).rules == 8 + 10
    assert engine.pod_size(_facts(DB_FROM_WEB), DB_0).rules == 8 + 2 + 2 + 10
    same = [_policy("db", [{}], name) for name in "abc"]
    other = read_policy({"metadata": {"name": "d", "namespace": "shop"}, "spec": {}})
    assert engine.pod_size(_facts(*same, other), DB_0).rules == 8 + 2 + 2 * 2 + 10


ELSEWHERE = 7 + 2 + 4 + 1
"""Lines of Calico in the raw table, in mangle before and behind routing, and the jump to cali-FORWARD."""


def test_calico_first_packet_without_policies() -> None:
    walk = CalicoIptables(vmap_dispatch=True).walk(_facts(), DB_0, "ingress")
    # other tables, cali-FORWARD, vmap, two conntrack lines and the mark, profile: jump, allow, test.
    assert walk == PolicyWalk(rules=ELSEWHERE + 8 + 1 + 3 + 3, map_lookups=1)


def test_calico_first_packet_through_a_policy() -> None:
    engine, facts = CalicoIptables(vmap_dispatch=True), _facts(DB_FROM_WEB)
    head = ELSEWHERE + 8 + 1 + 3
    allowed = engine.walk(facts, DB_0, "ingress", peer=WEBS[1], target=(5432, "TCP"))
    # start of tier, jump, the rule's only line (its return is left out), test of the mark.
    assert allowed == PolicyWalk(rules=head + 4, ipset_lookups=1, port_matches=1, map_lookups=1)
    assert engine.walk(facts, DB_0, "ingress") == allowed, "the mean of one rule is that rule"
    wrong_port = engine.walk(facts, DB_0, "ingress", peer=WEBS[1], target=(80, "TCP"))
    assert wrong_port == PolicyWalk(rules=head + 5, ipset_lookups=1, port_matches=1, map_lookups=1)
    wrong_protocol = engine.walk(facts, DB_0, "ingress", peer=WEBS[1], target=(5432, "UDP"))
    assert wrong_protocol == PolicyWalk(rules=head + 5, map_lookups=1)
    stranger = engine.walk(facts, DB_0, "ingress", peer=Outside("1.2.3.4"), target=(5432, "TCP"))
    assert stranger == PolicyWalk(rules=head + 5, ipset_lookups=1, map_lookups=1)


def test_calico_shares_the_forward_chain_on_one_node() -> None:
    engine, facts = CalicoIptables(vmap_dispatch=True), _facts()
    apart = engine.walk(facts, DB_0, "ingress", peer=WEBS[1], target=(80, "TCP"))
    together = engine.walk(facts, DB_0, "ingress", peer=WEBS[0], target=(80, "TCP"))
    assert apart.rules - together.rules == 8 + ELSEWHERE
    assert engine.walk(facts, DB_0, "ingress", "established", peer=WEBS[0]) == PolicyWalk()


def test_calico_established_packets_meet_the_dispatch_and_one_line() -> None:
    engine, facts = CalicoIptables(), _facts(DB_FROM_WEB)
    rest = dispatch_lines(3) + 1 + ELSEWHERE
    assert engine.walk(facts, DB_0, "ingress", "established").rules == pytest.approx(rest + 4)
    assert engine.walk(facts, DB_0, "egress", "reply").rules == pytest.approx(rest + 3)


@pytest.mark.parametrize("policies", [6, 11])
def test_calico_groups_return_at_strides(policies: int) -> None:
    deny = [_policy("db", [], f"p{index:02}") for index in range(policies - 1)]
    allow = _policy("db", [{}], f"p{policies:02}")
    walk = CalicoIptables(vmap_dispatch=True).walk(
        _facts(*deny, allow), DB_0, "ingress", peer=WEBS[1], target=(1, "TCP")
    )
    # tier, jump to the group; each policy a jump and its line, the tests before every fifth; test of the mark.
    assert walk.rules == ELSEWHERE + 8 + 1 + 3 + 2 + 2 * policies + (policies - 1) // 5 + 1


@pytest.mark.parametrize(("pods", "lines"), [(1, 1.0), (160, (16 + 1) / 2 + (160 / 16 + 1) / 2)])
def test_calico_dispatch(pods: int, lines: float) -> None:
    assert dispatch_lines(pods) == pytest.approx(lines, abs=0.5)


def test_calico_programs_only_where_selected() -> None:
    engine, facts = CalicoIptables(), _facts(DB_FROM_WEB)
    with_db, without = engine.node_size(facts, "n0"), engine.node_size(facts, "n1")
    assert (with_db.ipsets, with_db.ipset_entries) == (1, 4)
    assert without.ipsets == 0
    # forward, dispatch both ways (pods and the last drop), endpoint chains, the policy's line, profiles both ways.
    assert with_db.rules == 8 + 2 * (3 + 1) + 3 * 18 + 4 + 1 + 2
    assert without.rules == 8 + 2 * (2 + 1) + 2 * 18 + 2


def test_calico_ebpf_pays_for_rules_once() -> None:
    engine = CalicoEbpf()
    facts = _facts(_policy("db", [{"from": [{"podSelector": {}}], "ports": [{"port": 1}]}, {"from": [FROM_WEB]}]))
    assert engine.walk(facts, DB_0, "ingress", peer=WEBS[1], target=(2, "TCP")) == PolicyWalk(
        program_rules=2, map_lookups=2
    )
    assert engine.walk(facts, DB_0, "ingress").program_rules == 1.5
    assert engine.walk(facts, DB_0, "ingress", "established") == PolicyWalk()
    assert engine.walk(_facts(), DB_0, "ingress") == PolicyWalk()


# ------------------------------------------------------------------------------------------------ kube-router


def test_kube_router_lines_of_a_node() -> None:
    facts = _facts(DB_FROM_WEB, _policy("web", [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, FROM_WEB]}], "q"))
    size = KubeRouter().node_size(facts, "n0")
    pod = 7 + 1 + 1 + 1 + 1 + 4
    # local pods (each selected by one policy, open one way), policy lines, common, default and the three accepts.
    assert size.rules == 3 * pod + 2 * (1 + 2) + 5 + 1 + 3
    # db: target 1, pods 4; web: target 4, pods 4, block 2 halves.
    assert (size.ipsets, size.ipset_entries, size.largest_ipset) == (5, 1 + 4 + 4 + 4 + 2, 4)
    assert KubeRouter().pod_size(facts, DB_0).rules == pod


def test_kube_router_named_ports_are_sets() -> None:
    size = KubeRouter().node_size(_facts(_policy("web", [{"ports": [{"port": "http"}]}])), "n1")
    assert (size.ipsets, size.ipset_entries) == (2, 4 + 4)


def test_kube_router_walks() -> None:
    engine, facts = KubeRouter(), _facts(DB_FROM_WEB)
    scan, head, tail = 4 * 3 + 1, 1 + 5 + 1 + 1, 4
    allowed = engine.walk(facts, DB_0, "ingress", peer=WEBS[1], target=(5432, "TCP"))
    assert allowed == PolicyWalk(rules=scan + head + 1 + 2 + tail, ipset_lookups=2, port_matches=1)
    denied = engine.walk(facts, DB_0, "ingress", peer=Outside("1.2.3.4"), target=(5432, "TCP"))
    assert denied == PolicyWalk(rules=scan + head + 1 + 2 + 2, ipset_lookups=1)
    near = engine.walk(facts, DB_0, "ingress", peer=WEBS[0], target=(5432, "TCP"))
    assert near.rules == allowed.rules - scan
    assert engine.walk(facts, DB_0, "ingress", "established").rules == 4 * 2 / 2 + 1 + 1 + 2
    # No policy: both defaults are met, the one of this direction marks.
    assert engine.walk(_facts(), DB_0, "ingress").rules == scan + 1 + 5 + 1 + 2 + 1 + tail


def test_kube_router_sets_equal_a_saved_dump() -> None:
    apps = Path(__file__).parents[3].parent / "shared" / "inputs" / "apps"
    if not apps.is_dir():
        pytest.skip("the example inputs are not beside the project")
    pods = []
    for item in yaml.safe_load((apps / "list-kuberouter-pods.yaml").read_text())["items"]:
        meta, status = item["metadata"], item["status"]
        template = PodTemplate(
            meta["namespace"], labels=meta["labels"], host_network=item["spec"].get("hostNetwork", False)
        )
        pods.append(Pod(meta["name"], template, item["spec"]["nodeName"], tuple(ip["ip"] for ip in status["podIPs"])))
    documents = yaml.safe_load((apps / "list-kuberouter-networkpolicy.yaml").read_text())["items"]
    facts = PolicyFacts(Cluster(pods=tuple(pods), policies=tuple(read_policy(item) for item in documents)))
    saved = (apps / "list-kuberouter-expected-ipset-save.txt").read_text().splitlines()
    names = [line.split() for line in saved if "KUBE-SRC-" in line or "KUBE-DST-" in line]
    size = KubeRouter().node_size(facts, "kube-router-vm2")
    assert size.ipsets == sum(words[0] == "create" for words in names)
    assert size.ipset_entries == sum(words[0] == "add" for words in names)


# ------------------------------------------------------------------------------------------------ Cilium


def test_cilium_entries_count_identities_not_pods() -> None:
    engine = Cilium()
    rule = {"from": [{"podSelector": {}}], "ports": [{"port": 1}, {"port": 2}]}
    # two identities (web, db) x two ports; egress is open: one entry.
    assert engine.pod_size(_facts(_policy("db", [rule])), DB_0).map_entries == 4 + 1
    blocks = {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}
    assert engine.pod_size(_facts(_policy("db", [blocks])), DB_0).map_entries == 2 + 1
    ranges = {"ports": [{"port": 1, "endPort": 65535}]}
    assert engine.pod_size(_facts(_policy("db", [ranges])), DB_0).map_entries == 16 + 1
    assert engine.pod_size(_facts(), DB_0).map_entries == 2


@pytest.mark.parametrize(("first", "last"), [(1, 1), (80, 90), (1, 65535), (32768, 65535), (4, 7), (3, 12)])
def test_port_prefixes_cover_exactly(first: int, last: int) -> None:
    covered = [start + offset for start, length in port_prefixes(first, last) for offset in range(1 << (16 - length))]
    assert covered == list(range(first, last + 1))


def test_cilium_looks_up_every_packet_but_replies() -> None:
    engine, facts = Cilium(), _facts(DB_FROM_WEB)
    assert engine.walk(facts, DB_0, "ingress") == PolicyWalk(map_lookups=1)
    assert engine.walk(facts, DB_0, "ingress", "established") == PolicyWalk(map_lookups=1)
    assert engine.walk(facts, DB_0, "egress", "reply") == PolicyWalk()


def test_a_full_map_is_told() -> None:
    ports = [{"port": 2 * index + 1} for index in range(20)]
    facts = _facts(_policy("db", [{"ports": ports}]))
    assert policy_notes(Cilium(), facts) == ()
    (note,) = policy_notes(Cilium(map_limit=20), facts)
    assert note.code == "policy-map-full"


# ------------------------------------------------------------------------------------------------ Antrea


def test_antrea_flows_are_sums() -> None:
    rule = {"from": [FROM_WEB, {"ipBlock": {"cidr": "1.0.0.0/8"}}], "ports": [TCP_5432, {"port": 1}]}
    facts = _facts(_policy("db", [rule]))
    # three pods' own flows, the default drop, and the rule: 1 pod + 4 addresses + 1 block + 2 ports + 1 + 2.
    assert Antrea().node_size(facts, "n0").flows == 3 * 2 + 1 + (1 + 4 + 1 + 2 + 3)
    assert Antrea().node_size(facts, "n1").flows == 2 * 2
    assert Antrea().pod_size(facts, DB_0).flows == 3


def test_antrea_one_upcall_a_node() -> None:
    facts = _facts(DB_FROM_WEB)
    assert Antrea().walk(facts, DB_0, "ingress", peer=WEBS[1]).upcall
    assert not Antrea().walk(facts, DB_0, "ingress", peer=WEBS[0]).upcall
    assert Antrea().walk(facts, DB_0, "ingress", "established") == PolicyWalk()


# ------------------------------------------------------------------------------------------------ all of them


def test_no_engine_says_so() -> None:
    (note,) = policy_notes(NoEngine(), _facts(DB_FROM_WEB))
    assert "no effect" in note.text
    assert policy_notes(NoEngine(), _facts()) == ()


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_answers(name: str) -> None:
    engine, facts = ENGINES[name], _facts(DB_FROM_WEB, _policy("web", [{}], "e", "egress"))
    for pod in PODS:
        ways: tuple[Direction, ...] = ("ingress", "egress")
        for way in ways:
            walk = engine.walk(facts, pod, way)
            later = engine.walk(facts, pod, way, "established")
            assert sum(later) <= sum(walk), "an established packet walks no more than a first one"
            if pod.template.host_network:
                assert sum(walk) == 0
        engine.pod_size(facts, pod)
    assert largest_node(engine, facts) == engine.node_size(facts, "n0").largest(engine.node_size(facts, "n1"))
    assert engine.denial == ("REJECT" if name == "kube-router" else "DROP")


@pytest.mark.parametrize("name", [name for name in ENGINES if name != "none"])
def test_mean_lies_between_the_rules(name: str) -> None:
    facts = _facts(_policy("db", [{"ports": [{"port": port}]} for port in range(1, 6)]))
    engine = ENGINES[name]
    walks = [sum(engine.walk(facts, DB_0, "ingress", peer=WEBS[1], target=(port, "TCP"))) for port in range(1, 6)]
    mean = sum(engine.walk(facts, DB_0, "ingress"))
    assert min(walks) <= mean <= max(walks)
    assert walks == sorted(walks)


def test_verdicts_take_the_answer_of_the_engine() -> None:
    facts = _facts(DB_FROM_WEB)
    asked = (facts.verdicts, Outside("1.2.3.4"), DB_0, (5432, "TCP"))
    assert connection_verdict(NoEngine(), *asked) == ("ALLOW", "")
    verdict, reason = connection_verdict(KubeRouter(), *asked)
    assert verdict == "REJECT"
    assert reason.startswith("ingress of shop/db-0 is closed by shop/p ")
    assert connection_verdict(Cilium(), *asked)[0] == "DROP"
    assert connection_verdict(Cilium(), facts.verdicts, WEBS[0], DB_0, (5432, "TCP")) == ("ALLOW", "")
    snat = connection_verdict(Cilium(), facts.verdicts, WEBS[0], DB_0, (5432, "TCP"), seen_as="192.168.0.2")
    assert snat[0] == "DROP"
    out = _facts(_policy("web", [], "closed", "egress"))
    assert "egress of shop/web-0" in connection_verdict(Cilium(), out.verdicts, WEBS[0], DB_0, (5432, "TCP"))[1]


def test_reading_an_engine() -> None:
    assert read_engine("antrea") == Antrea()
    assert read_engine({"engine": "cilium", "map_limit": 65536}) == Cilium(map_limit=65536)
    assert read_engine({"engine": "calico-iptables", "denial": "REJECT"}).denial == "REJECT"
    for bad in ("romana", {}, {"engine": "cilium", "map_limit": 0}, {"engine": "antrea", "map_limit": 1}):
        with pytest.raises(InputError):
            read_engine(bad)


def test_unplaced_pods_meet_the_mean_node() -> None:
    pod = Pod("new", WEB)
    assert KubeRouter().walk(_facts(pods=(*PODS, pod)), pod, "ingress").rules > 0
    assert PolicySize() == NoEngine().node_size(_facts(), "n0")
