"""Placement: constraints, spread, and what is told when nothing fits."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from netsim.cluster.objects import ContainerPort, Node, Pod, PodTemplate
from netsim.cluster.placement import Placer
from netsim.cluster.scheduling import NodeRequirement, NodeTerm, Taint, Toleration, tolerates
from netsim.errors import InputError


def _nodes(count: int, **more: object) -> list[Node]:
    return [Node(f"n{index}", **more) for index in range(count)]  # type: ignore[arg-type]


def _template(name: str = "a", **more: object) -> PodTemplate:
    return PodTemplate("shop", "Deployment", name, **more)  # type: ignore[arg-type]


def _names(count: int) -> list[str]:
    return [f"p{index}" for index in range(count)]


def test_spreads_a_workload_first_then_balances_nodes() -> None:
    placer = Placer(_nodes(3), [Pod("old", _template("b"), "n0")])
    assert placer.place(_template(), _names(4)) == ["n1", "n2", "n0", "n1"]
    assert placer.place(_template("b"), _names(2)) == ["n2", "n1"]  # n0 has a pod of b already
    assert placer.place(_template("b"), _names(1)) == ["n0"]


@pytest.mark.parametrize(
    ("toleration", "yes"),
    [
        (Toleration("k", "Equal", "v", "NoSchedule"), True),
        (Toleration("k", "Equal", "x", "NoSchedule"), False),
        (Toleration("k", "Exists"), True),
        (Toleration("", "Exists"), True),
        (Toleration("k", "Exists", "", "NoExecute"), False),
        (Toleration("other", "Exists"), False),
    ],
)
def test_tolerations(toleration: Toleration, yes: bool) -> None:
    assert tolerates([toleration], Taint("k", "v", "NoSchedule")) is yes


def test_selector_taints_readiness() -> None:
    nodes = [
        Node("plain"),
        Node("ssd", labels={"disk": "ssd"}),
        Node("tainted", labels={"disk": "ssd"}, taints=(Taint("gpu"),)),
        Node("down", labels={"disk": "ssd"}, ready=False),
        Node("soft", labels={"disk": "ssd"}, taints=(Taint("slow", effect="PreferNoSchedule"),)),
    ]
    assert Placer(nodes).place(_template(node_selector={"disk": "ssd"}), _names(2)) == ["ssd", "soft"]
    tolerant = _template(node_selector={"disk": "ssd"}, tolerations=(Toleration("gpu", "Exists"),))
    assert sorted(Placer(nodes).place(tolerant, _names(3))) == ["soft", "ssd", "tainted"]


def test_refusal_counts_nodes_by_reason() -> None:
    nodes = [
        *_nodes(3, max_pods=1),
        *(Node(f"t{index}", taints=(Taint("gpu", "yes"),)) for index in range(2)),
        Node("small", cpu_millis=100),
        Node("tight", memory_bytes=10),
    ]
    placer = Placer(nodes, [Pod(f"old{index}", _template("b"), f"n{index}") for index in range(3)])
    with pytest.raises(InputError) as caught:
        placer.place(_template(cpu_millis=500, memory_bytes=100), ["web-0"])
    assert str(caught.value) == (
        "no node fits pod shop/web-0: 3 nodes: too many pods; 2 nodes: taint gpu=yes; "
        "1 node: insufficient cpu; 1 node: insufficient memory"
    )


def test_requests_and_host_ports_are_counted() -> None:
    nodes = [Node("a", cpu_millis=1000), Node("b", cpu_millis=3000)]
    assert Counter(Placer(nodes).place(_template(cpu_millis=1000), _names(4))) == {"a": 1, "b": 3}
    port = _template("port", ports=(ContainerPort(80, host_port=80),))
    with pytest.raises(InputError, match="2 nodes: host port in use"):
        Placer(nodes).place(port, _names(3))
    other = _template("other", ports=(ContainerPort(80, "", "UDP", 80),))
    placer = Placer(nodes)
    assert len(placer.place(port, _names(2)) + placer.place(other, _names(2))) == 4


def test_a_node_short_for_one_workload_is_still_there_for_the_next() -> None:
    nodes = [Node("a", cpu_millis=1000), Node("b", cpu_millis=8000)]
    placer = Placer(nodes)
    assert placer.place(_template("large", cpu_millis=4000), _names(2)) == ["b", "b"]
    assert placer.place(_template("small", cpu_millis=500), _names(2)) == ["a", "a"]


def test_different_constraints_see_the_same_load() -> None:
    nodes = [Node("a", labels={"x": "y"}), Node("b"), Node("c")]
    placer = Placer(nodes)
    placer.place(_template("one", node_selector={"x": "y"}), _names(5))
    assert Counter(placer.place(_template("two"), _names(2))) == {"b": 1, "c": 1}


def test_many_pods_on_many_nodes_are_placed_evenly_and_quickly() -> None:
    placer = Placer(_nodes(5000))
    started = time.perf_counter()
    counts = Counter(
        node for index in range(3000) for node in placer.place(_template(f"w{index}"), _names(1 + index % 99))
    )
    assert sum(counts.values()) > 140_000
    assert max(counts.values()) - min(counts.values()) <= 1
    assert time.perf_counter() - started < 10.0  # half a second on an idle machine


# ------------------------------------------------------------------------------------------------ stated places


def test_a_named_node_is_taken_past_taints_and_readiness() -> None:
    nodes = [Node("a"), Node("b", taints=(Taint("gpu"),), ready=False, max_pods=2)]
    assert Placer(nodes).place(_template(node_name="b"), _names(2)) == ["b", "b"]
    with pytest.raises(InputError, match="1 node: not b, which the pod names; 1 node: too many pods"):
        Placer(nodes).place(_template(node_name="b"), _names(3))


@pytest.mark.parametrize(
    ("operator", "values", "chosen"),
    [
        ("In", ("ssd", "nvme"), ["ssd"]),
        ("NotIn", ("ssd",), ["hdd", "none"]),
        ("Exists", (), ["ssd", "hdd"]),
        ("DoesNotExist", (), ["none"]),
        ("Gt", ("3",), ["ssd"]),
        ("Lt", ("3",), ["hdd"]),
    ],
)
def test_required_node_affinity(operator: str, values: tuple[str, ...], chosen: list[str]) -> None:
    nodes = [Node("ssd", labels={"disk": "ssd", "gen": "4"}), Node("hdd", labels={"disk": "hdd", "gen": "2"}),
             Node("none", labels={"gen": "3"})]  # fmt: skip
    key = "gen" if operator in ("Gt", "Lt") else "disk"
    term = NodeTerm((NodeRequirement(key, operator, values),))  # type: ignore[arg-type]
    assert sorted(set(Placer(nodes).place(_template(node_terms=(term,)), _names(4)))) == sorted(chosen)


def test_one_term_is_enough_and_an_empty_one_chooses_nothing() -> None:
    nodes = [Node("a", labels={"x": "1"}), Node("b"), Node("c")]
    terms = (
        NodeTerm((NodeRequirement("x", "Exists"),)),
        NodeTerm(fields=(NodeRequirement("metadata.name", "In", ("c",)),)),
    )
    assert sorted(Placer(nodes).place(_template(node_terms=terms), _names(2))) == ["a", "c"]
    with pytest.raises(InputError, match="3 nodes: node affinity does not match"):
        Placer(nodes).place(_template(node_terms=(NodeTerm(),)), _names(1))
