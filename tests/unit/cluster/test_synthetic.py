"""Described clusters: counts, determinism, size."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest

from netsim.cluster.build import build_cluster
from netsim.cluster.synthetic import Synthetic, build_synthetic
from netsim.errors import InputError
from netsim.scenario.spec import ClusterSpec


def test_counts_are_those_asked_for() -> None:
    spec = Synthetic(nodes=7, pods_per_node=11, services=13, policies=5, namespaces=3, zones=2)
    cluster = build_synthetic(spec, complete=False)
    assert len(cluster.nodes) == 7
    assert set(Counter(pod.node for pod in cluster.pods).values()) == {11}
    assert (len(cluster.services), len(cluster.policies), len(cluster.namespaces)) == (13, 5, 3)
    assert sum(len(cluster.endpoints(service.key)) for service in cluster.services) == 77
    assert Counter(node.zone for node in cluster.nodes) == {"zone-1": 4, "zone-2": 3}
    assert build_synthetic(spec, complete=False) == cluster
    assert build_synthetic(replace(spec, seed=2), complete=False).policies != cluster.policies


@pytest.mark.parametrize(("services", "endpoints", "clients"), [(4, 5, 80), (100, 5, 0), (0, None, 100), (3, None, 0)])
def test_endpoints_per_service(services: int, endpoints: int | None, clients: int) -> None:
    spec = Synthetic(nodes=10, pods_per_node=10, services=services, endpoints_per_service=endpoints)
    cluster = build_synthetic(spec, complete=False)
    assert sum(pod.template.owner.startswith("client") for pod in cluster.pods) == clients
    sizes = [len(cluster.endpoints(service.key)) for service in cluster.services]
    if endpoints is not None:
        assert sizes == [endpoints] * services
    elif services:
        assert sum(sizes) == 100
        assert max(sizes) - min(sizes) <= 1


def test_families_and_dns() -> None:
    cluster = build_synthetic(
        Synthetic(nodes=3, pods_per_node=2, services=2, families=("IPv6", "IPv4"), dns_replicas=3)
    )
    assert all([":" in address for address in pod.addresses] == [True, False] for pod in cluster.pods)
    assert len({address for pod in cluster.pods for address in pod.addresses}) == 2 * len(cluster.pods) == 18
    assert len(cluster.endpoints(cluster.dns_service)) == 6
    assert cluster.services_by_key[cluster.dns_service].cluster_ips == ("fd00:10:96::a", "10.96.0.10")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Synthetic(nodes=0), "cluster.synthetic.nodes: too few"),
        (Synthetic(nodes=1, pods_per_node=2, endpoints_per_service=3), "more endpoints than pods"),
        (Synthetic(nodes=1, pods_per_node=300), "more pods than addresses"),
        (Synthetic(nodes=300, cluster_cidrs=("10.0.0.0/20",)), "16 blocks"),
        (Synthetic(services=300, service_cidrs=("10.0.0.0/24",)), "more services than addresses"),
    ],
)
def test_impossible_descriptions(spec: Synthetic, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_synthetic(spec)


def test_five_thousand_nodes() -> None:
    started = time.perf_counter()
    cluster = build_synthetic(Synthetic(nodes=5000, pods_per_node=30, services=10_000, policies=1000))
    assert time.perf_counter() - started < 20.0  # three seconds on an idle machine
    assert len(cluster.pods) == 150_002
    assert len({pod.addresses[0] for pod in cluster.pods}) == 150_002
    assert len({id(pod.template) for pod in cluster.pods}) == 10_001


def test_a_scenario_scales_its_synthetic_cluster() -> None:
    def size(**cluster: object) -> tuple[int, int, int]:
        built = build_cluster(
            ClusterSpec.model_validate({"synthetic": {"nodes": 10, "pods_per_node": 8, "services": 5}, **cluster})
        )
        return len(built.nodes), len(built.pods) - 2, len(built.services) - 1

    assert size() == (10, 80, 5)
    assert size(nodes=20) == (20, 160, 5)
    assert size(nodes=20, scale={"services": "proportional"}) == (20, 160, 10)
    assert size(nodes=20, scale={"replicas": "fixed"}) == (20, 80, 5)
