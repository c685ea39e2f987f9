"""Verdicts against an evaluator written from the API documentation alone, and mutated policies."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import ContainerPort, Namespace, NetworkPolicy, Node, Pod, PodTemplate
from netsim.cluster.policy import Outside, Verdicts, read_policy
from netsim.errors import InputError

Json = dict[str, Any]
PROTOCOLS = ["TCP", "UDP", "SCTP"]
NAMESPACES: dict[str, dict[str, str]] = {
    "x": {"kubernetes.io/metadata.name": "x", "team": "a"},
    "y": {"kubernetes.io/metadata.name": "y"},
}
NODES = {"n1": "192.168.0.1", "n2": "192.168.0.2"}

# ------------------------------------------------------------------------------------------------ random policies

_values = st.sampled_from(["a", "b", "c"])
_expression = st.one_of(
    st.fixed_dictionaries({
        "key": st.sampled_from(["pod", "tier", "team"]),
        "operator": st.sampled_from(["In", "NotIn"]),
        "values": st.lists(_values, min_size=1, max_size=2),
    }),
    st.fixed_dictionaries({
        "key": st.sampled_from(["pod", "tier", "team"]),
        "operator": st.sampled_from(["Exists", "DoesNotExist"]),
    }),
)  # fmt: skip
_selector = st.fixed_dictionaries({}, optional={
    "matchLabels": st.dictionaries(st.sampled_from(["pod", "tier", "team"]), _values, max_size=1),
    "matchExpressions": st.lists(_expression, max_size=1),
})  # fmt: skip
_block = st.sampled_from([
    {"cidr": "10.0.0.0/8"},
    {"cidr": "10.1.0.0/16", "except": ["10.1.0.2/32", "10.1.0.4/31"]},
    {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]},
    {"cidr": "192.168.0.0/24"},
    {"cidr": "fd00::/8"},
])  # fmt: skip
_peer = st.one_of(
    st.fixed_dictionaries({"podSelector": _selector}),
    st.fixed_dictionaries({"namespaceSelector": _selector}),
    st.fixed_dictionaries({"podSelector": _selector, "namespaceSelector": _selector}),
    st.fixed_dictionaries({"ipBlock": _block}),
)
_port = st.one_of(
    st.fixed_dictionaries(
        {"port": st.sampled_from([80, 81, "web"])}, optional={"protocol": st.sampled_from(PROTOCOLS)}
    ),
    st.fixed_dictionaries({"port": st.just(79), "endPort": st.sampled_from([79, 80, 90])}),
    st.fixed_dictionaries({}, optional={"protocol": st.sampled_from(PROTOCOLS)}),
)


def _rules(peers: str) -> st.SearchStrategy[list[Json]]:
    rule = st.fixed_dictionaries(
        {}, optional={peers: st.lists(_peer, max_size=2), "ports": st.lists(_port, max_size=2)}
    )
    return st.lists(rule, max_size=2)


_spec = st.fixed_dictionaries(
    {"podSelector": _selector},
    optional={
        "ingress": _rules("from"),
        "egress": _rules("to"),
        "policyTypes": st.sampled_from([[], ["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    },
)
_policy = st.builds(
    lambda namespace, spec: {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": spec,
    },
    st.sampled_from(sorted(NAMESPACES)),
    _spec,
)
_pod = st.fixed_dictionaries({
    "namespace": st.sampled_from(sorted(NAMESPACES)),
    "labels": st.dictionaries(st.sampled_from(["pod", "tier"]), _values),
    "ports": st.sampled_from([[], [("web", 80, "TCP")], [("web", 81, "TCP"), ("web", 80, "UDP")]]),
    "node": st.sampled_from(sorted(NODES)),
    "host": st.sampled_from([False, False, False, True]),
})  # fmt: skip

# ------------------------------------------------------------------------------------------------ brute force


def _selects(selector: Json, labels: dict[str, str]) -> bool:
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for item in selector.get("matchExpressions") or []:
        key, operator = item["key"], item["operator"]
        if operator == "In" and labels.get(key) not in item["values"]:
            return False
        if operator == "NotIn" and key in labels and labels[key] in item["values"]:
            return False
        if operator == "Exists" and key not in labels:
            return False
        if operator == "DoesNotExist" and key in labels:
            return False
    return True


def _in_block(block: Json, address: str) -> bool:
    ip = ipaddress.ip_address(address)
    inside = ip in ipaddress.ip_network(block["cidr"])
    return inside and not any(ip in ipaddress.ip_network(hole) for hole in block.get("except", []))


def _is_peer(peer: Json, home: str, end: Json) -> bool:
    if "ipBlock" in peer:
        return _in_block(peer["ipBlock"], end["ip"])
    if not end["pod"]:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], NAMESPACES[end["namespace"]]):
            return False
    elif end["namespace"] != home:
        return False
    return _selects(peer.get("podSelector", {}), end["labels"])


def _is_port(wanted: Json, number: int, protocol: str, destination: Json) -> bool:
    if wanted.get("protocol", "TCP") != protocol:
        return False
    if "port" not in wanted:
        return True
    if isinstance(wanted["port"], str):
        return destination["pod"] and (wanted["port"], number, protocol) in destination["ports"]
    return bool(wanted["port"] <= number <= wanted.get("endPort", wanted["port"]))


def _brute(policies: list[Json], own: Json, other: Json, way: str, port: tuple[int, str]) -> bool:
    """One side: ``way`` is Ingress (``own`` receives) or Egress (``own`` sends)."""
    if not own["pod"]:
        return True
    if not other["pod"] and other["node"] == own["node"]:
        return True
    destination = own if way == "Ingress" else other
    isolated = False
    for policy in policies:
        spec, home = policy["spec"], policy["metadata"]["namespace"]
        types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        if home != own["namespace"] or way not in types or not _selects(spec["podSelector"], own["labels"]):
            continue
        isolated = True
        rules, peers = (spec.get("ingress"), "from") if way == "Ingress" else (spec.get("egress"), "to")
        for rule in rules or []:
            by_port = not rule.get("ports") or any(_is_port(item, *port, destination) for item in rule["ports"])
            by_peer = not rule.get(peers) or any(_is_peer(item, home, other) for item in rule[peers])
            if by_port and by_peer:
                return True
    return not isolated


# ------------------------------------------------------------------------------------------------ the two together


def _cluster(pods: list[Json], policies: list[Json]) -> Cluster:
    made = []
    for index, pod in enumerate(pods):
        ports = tuple(ContainerPort(number, name, protocol) for name, number, protocol in pod["ports"])
        template = PodTemplate(pod["namespace"], labels=pod["labels"], ports=ports, host_network=pod["host"])
        made.append(Pod(f"p{index}", template, pod["node"], (_address(pod, index),)))
    return Cluster(
        nodes=tuple(Node(name, (address,)) for name, address in NODES.items()),
        pods=tuple(made),
        namespaces=tuple(Namespace(name, labels) for name, labels in NAMESPACES.items()),
        policies=tuple(read_policy(policy) for policy in policies),
    )


def _address(pod: Json, index: int) -> str:
    return NODES[pod["node"]] if pod["host"] else f"10.1.0.{index + 1}"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_pod, min_size=2, max_size=5), st.lists(_policy, max_size=4))
def test_verdicts_equal_the_brute_force_evaluator(pods: list[Json], policies: list[Json]) -> None:
    cluster = _cluster(pods, policies)
    verdicts = Verdicts(cluster)
    ends = [
        (cluster.pods[index], {**pod, "pod": not pod["host"], "ip": _address(pod, index)})
        for index, pod in enumerate(pods)
    ]
    outside = (Outside("203.0.113.9"), {"pod": False, "ip": "203.0.113.9", "node": ""})
    for source, sender in [*ends, outside]:
        for destination, receiver in [*ends, outside]:
            for port in ((80, "TCP"), (81, "TCP"), (80, "UDP"), (79, "TCP")):
                egress = _brute(policies, sender, receiver, "Egress", port)
                ingress = _brute(policies, receiver, sender, "Ingress", port)
                assert verdicts.egress_allows(source, destination, *port) == egress
                assert verdicts.ingress_allows(source, destination, *port) == ingress
                assert verdicts.allowed(source, destination, *port) == (egress and ingress)


@settings(max_examples=100, deadline=None)
@given(st.lists(_pod, min_size=2, max_size=4), st.lists(_policy, min_size=1, max_size=3), _policy)
def test_one_more_policy_on_isolated_pods_never_closes(pods: list[Json], policies: list[Json], more: Json) -> None:
    before, after = Verdicts(_cluster(pods, policies)), Verdicts(_cluster(pods, [*policies, more]))
    for source in before.cluster.pods:
        for destination in before.cluster.pods:
            isolated = before.policies_of(source, "egress") and before.policies_of(destination, "ingress")
            if isolated and before.allowed(source, destination, 80):
                assert after.allowed(source, destination, 80)


# ------------------------------------------------------------------------------------------------ mutations

_junk = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 70000), st.floats(allow_nan=True), st.text(max_size=5), st.builds(list),
    st.builds(dict), st.builds(lambda: [None]), st.sampled_from(["TCP", "In", "10.0.0.0/8", "::/0", "Egress"]),
)  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    if isinstance(value, dict):
        found = [(value, key) for key in value]
    elif isinstance(value, list):
        found = [(value, index) for index in range(len(value))]
    else:
        return []
    return found + [place for container, key in found for place in _places(container[key])]


@st.composite
def _mutated(draw: st.DrawFn) -> Json:
    document = copy.deepcopy(draw(_policy))
    for _ in range(draw(st.integers(0, 2))):
        places = _places(document)
        container, key = places[draw(st.integers(0, len(places) - 1))]
        change = draw(st.sampled_from(["replace", "delete", "rename"]))
        if change == "replace":
            container[key] = draw(_junk)
        elif change == "delete":
            del container[key]
        elif isinstance(container, dict):
            container[draw(_junk.filter(lambda name: isinstance(name, str | int | float)))] = container.pop(key)
        if not _places(document):
            break
    return document


def test_mutated_policies_are_read_or_refused() -> None:
    counts = {"read": 0, "refused": 0}

    @settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_mutated())
    def read(document: Json) -> None:
        try:
            policy = read_policy(document)
        except InputError as error:
            assert str(error)
            counts["refused"] += 1
            return
        assert isinstance(policy, NetworkPolicy)
        Verdicts(Cluster(pods=(Pod("a", PodTemplate("x"), addresses=("10.0.0.1",)),), policies=(policy,))).allowed(
            Outside("1.2.3.4"), Pod("a", PodTemplate("x"), addresses=("10.0.0.1",)), 80
        )
        counts["read"] += 1

    read()
    assert counts["read"] >= counts["refused"], counts
