"""Faults of a scenario against its cluster: what they concern, and what is refused with what is allowed."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from netsim.cluster.faults import Fault, faults_of
from netsim.datapath.build import cluster_of
from netsim.errors import InputError
from netsim.scenario import build

CLUSTER = {"synthetic": {"nodes": 3, "pods_per_node": 4, "services": 2, "namespaces": 2}}


def resolved(*faults: dict[str, Any]) -> tuple[Fault, ...]:
    scenario = build({"cluster": CLUSTER, "faults": list(faults)})
    return faults_of(cluster_of(scenario), scenario.faults)


def down(**more: str) -> dict[str, str]:
    return {"at": "2s", "kind": "link-down", "node": "node-3", **more}


def test_a_nodes_fault_concerns_its_pods() -> None:
    (fault,) = resolved(down(**{"for": "1s"}))
    assert (fault.at_s, fault.until_s, fault.node, fault.stops_pods) == (2.0, 3.0, 2, False)
    assert len(fault.pods) == 4
    assert fault.label == "link-down: node-3 at 2 s for 1 s"


def test_a_link_up_ends_the_link_down_before_it() -> None:
    up = {"at": "5s", "kind": "link-up", "node": "node-3"}
    again = {"at": "6s", "kind": "link-down", "node": "node-3"}
    assert [(each.at_s, each.until_s) for each in resolved(again, up, down())] == [(2.0, 5.0), (6.0, inf)]


def test_replicas_crash_in_the_order_of_the_endpoints() -> None:
    crash = {"at": "1s", "kind": "replica-crash", "service": "service-1"}
    (one,), (every,) = resolved(crash), resolved({**crash, "replicas": "all"})
    assert every.pods[:1] == one.pods
    assert len(every.pods) == 6
    assert one.node is None


def test_dns_is_the_clusters_own() -> None:
    (fault,) = resolved({"at": "1s", "kind": "replica-crash", "service": "dns", "replicas": 2})
    assert "kube-system/kube-dns" in fault.label


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        ([{"at": "4s", "kind": "link-up", "node": "node-3"}], "no link is put back"),
        ([down(**{"for": "1s"}), {"at": "4s", "kind": "link-up", "node": "node-3"}], "no link is put back"),
        ([{"at": "4s", "kind": "node-loss", "node": "node-33"}], "faults[0].node: no such node"),
        ([down(), {"at": "5s", "kind": "node-loss", "node": "node-3"}], "faults[1].at: node node-3 is broken already"),
        ([{"at": "4s", "kind": "replica-crash", "service": "service-1", "replicas": 99}], "allowed: at most 6"),
        ([{"at": "4s", "kind": "replica-crash", "service": "servce"}], "faults[0].service: no such service"),
        ([{"at": "4s", "kind": "link-cut", "node": "node-3"}], "no such kind"),
        ([{"at": "4s", "node": "node-3"}], "kind is missing"),
        ([{"at": "4s", "kind": "node-loss", "service": "a"}], "node is missing"),
        ([down(replicas="2")], "allowed: at, for, kind, node"),
        ([down(**{"for": "0s"})], "faults[0].for: too small"),
    ],
)
def test_what_cannot_happen_is_refused(faults: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(InputError) as refused:
        resolved(*faults)
    assert says in str(refused.value)
