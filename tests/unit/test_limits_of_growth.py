"""``inspect limits``: the size at which a limit is reached is that of the scenario's own rules of growth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netsim import inspect
from netsim.datapath.limitgrowth import probe_sizes
from netsim.datapath.limits import LimitUse
from netsim.scenario import Scenario, build, with_values

SHOP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 40
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: main}, {name: side, image: side}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Scenario:
    (tmp_path / "shop.yaml").write_text(SHOP)
    document: dict[str, Any] = {
        "cluster": {"manifests": ["shop.yaml"], "nodes": 10, "scale": {"base_nodes": 10}},
        "network": {"plugin": "calico-bgp", "proxy": "iptables"},
        "traffic": [{"from": "default/web", "to": "default/web", "rate": "10/s"}],
    }
    return build(document, directory=tmp_path)


def use_of(scenario: Scenario, name: str, *, growth: bool = False) -> LimitUse:
    return next(use for use in inspect.limits(scenario, growth=growth).uses if use.id == name)


CASES = [
    ("proportional replicas", {}, "endpoints_object", 250),
    ("proportional replicas", {}, "neighbour_table", 1020),
    ("repeated applications", {"cluster.scale.services": "proportional"}, "endpoints_object", 16000),
    ("fixed replicas", {"cluster.scale.replicas": "fixed"}, "endpoints_per_service", 4000),
    ("the DNS Service does not grow", {"cluster.scale.replicas": "fixed", "cluster.scale.dns": "fixed"},
     "endpoints_per_service", None),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "settings", "limit", "expected"), CASES, ids=[f"{c[0]}: {c[2]}" for c in CASES])
def test_reached_at_by_hand(shop: Scenario, rule: str, settings: dict[str, str], limit: str, expected: int) -> None:
    assert use_of(with_values(shop, settings), limit, growth=True).reached_at == expected


@pytest.mark.parametrize("present", [10, 37, 300])
@pytest.mark.parametrize("settings", [{}, {"cluster.scale.services": "proportional"}], ids=["replicas", "applications"])
def test_reached_at_agrees_with_clusters_built_there(shop: Scenario, present: int, settings: dict[str, str]) -> None:
    scenario = with_values(shop, {"cluster.nodes": present, **settings})
    checked = 0
    for use in inspect.limits(scenario).uses:
        if use.id in ("neighbour_table", "endpoints_object", "endpoints_per_service", "ipvs_advice") and use.reached_at:
            if use.reached_at > 1100:
                continue
            checked += 1
            below, above = (round(use.reached_at * factor) for factor in (0.98, 1.02))
            assert use_of(with_values(scenario, {"cluster.nodes": below}), use.id).used <= use.limit
            assert use_of(with_values(scenario, {"cluster.nodes": above}), use.id).used > use.limit
    assert checked >= 1


def test_queries_of_a_replica_grow_only_where_replicas_do_not(shop: Scenario) -> None:
    grown = use_of(shop, "dns_queries", growth=True)
    assert grown.reached_at is None
    kept = use_of(with_values(shop, {"cluster.scale.dns": "fixed"}), "dns_queries", growth=True)
    assert kept.reached_at is not None
    # queries follow the pods, 40 at 10 nodes, shared by two replicas
    assert kept.reached_at == pytest.approx(33669 * 10 / kept.used, rel=0.01)


def test_probes_are_multiples_of_the_base_and_cheap() -> None:
    assert probe_sizes(10, 10, 3.0) == (40, 160, 640, 2560)
    assert probe_sizes(5000, 10, 3.0) == (10, 40, 160, 640)
    assert probe_sizes(5000, 5000, 30.0) == (312, 1250)
    assert probe_sizes(1, 1, 1e6) == (4, 16, 64)
