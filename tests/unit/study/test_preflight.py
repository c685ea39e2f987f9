"""Before anything runs: overload is told for every point of a sweep, not for its first alone."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.errors import InputError
from netsim.scenario import Scenario, build
from netsim.study import preflight


def sweep(levels: dict[str, list[Any]], nodes: int = 3) -> Scenario:
    return build(
        {
            "cluster": {"synthetic": {"nodes": nodes, "pods_per_node": 2, "services": 2}},
            "dns": {"lookups": "none"},
            "traffic": [{"from": "all", "to": "service-1", "rate": "1/s", "work": "1ms"}],
            "sweep": levels,
        }
    )


def test_each_point_that_is_overloaded_is_named() -> None:
    told = preflight.check(sweep({"traffic.rate": ["1/s", "10/s", "5000/s"], "network.proxy": ["iptables", "ipvs"]}))
    overload = [text for text in told if "offered load above capacity: the CPU of" in text]
    assert overload
    for text in overload:
        assert "traffic.rate=5000/s network.proxy=iptables" in text or "network.proxy=ipvs" in text
        assert "rate=1/s" not in text and "rate=10/s" not in text


def test_what_holds_everywhere_is_told_once_without_a_place() -> None:
    told = preflight.check(sweep({"traffic.rate": ["5000/s"], "network.mtu": [1400, 1500]}))
    assert any(text.endswith("grows all the time") for text in told)


def test_large_points_are_left_for_the_run_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "MOST_NODES", 10)
    levels = {"cluster.nodes": [20, 3, 30], "traffic.rate": ["1/s", "5000/s"]}
    told = preflight.check(sweep(levels))
    assert any("cluster.nodes=3 traffic.rate=5000/s" in text for text in told)
    assert told[-1].startswith("4 points of larger clusters")


def test_a_mistake_at_any_point_is_told_before() -> None:
    with pytest.raises(InputError):
        preflight.check(sweep({"network.plugin": ["kubenet", "no-such-plugin"]}))


def test_points_that_cannot_exist_are_no_mistake() -> None:
    assert preflight.check(sweep({"network.plugin": ["kubenet"], "network.proxy": ["ebpf"]})) == ()
