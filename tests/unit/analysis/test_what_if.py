"""Alternatives: what is tried, what is left out and why, and that the ranking is that of brute force."""

from __future__ import annotations

import json

import pytest
from formula_runner import formula_point, latency_of

import netsim
from netsim.analysis.whatif import Change, standard_changes, stated_changes, what_if
from netsim.scenario import build, with_values


def scenario(**changes: object):
    document: dict[str, object] = {
        "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 4, "services": 1}, "machine": {"cores": 4}},
        "network": {"plugin": "cilium-vxlan", "proxy": "iptables"},
        "traffic": [{"from": "all", "to": "service-1", "rate": "40/s"}],
    }
    return build({**document, **changes})


def test_effects_are_ranked_and_their_intervals_hold_the_truth() -> None:
    asked = scenario(what_if={"network.proxy": ["ipvs", "nftables", "ebpf"], "cluster.machine.mtu": [9000, 1500]})
    found = what_if(asked, ["p50<5ms"], runner=formula_point)
    assert [effect.change.name for effect in found.effects] == [
        "network.proxy=ebpf", "network.proxy=nftables", "network.proxy=ipvs", "cluster.machine.mtu=9000",
    ]  # fmt: skip
    for effect in found.effects:
        truth = latency_of(with_values(asked, effect.change.settings)) / latency_of(asked)
        assert effect.ratio.low * (1 - 1e-9) <= truth <= effect.ratio.high * (1 + 1e-9)
        assert effect.verdict == "better"
    json.dumps(found.to_dict(), allow_nan=False)


def test_common_random_numbers_cancel_luck() -> None:
    """Both sides use the same draws, so the ratio is exact although each figure has an error."""
    asked = scenario(what_if={"network.proxy": ["ipvs"]})
    effect = what_if(asked, ["p50<5ms"], runner=formula_point).effects[0]
    assert effect.ratio.half_width < 1e-12


def test_a_change_without_effect_is_the_same() -> None:
    asked = scenario(what_if={"dns.workers": [8]})
    assert what_if(asked, ["p50<5ms"], runner=formula_point).effects[0].verdict == "same"


def test_figures_that_are_zero_are_compared_by_difference() -> None:
    asked = scenario(what_if={"dns.workers": [8]})
    effect = what_if(asked, ["loss<1%"], runner=formula_point).effects[0]
    assert effect.to_dict()["ratio"] is None and effect.difference.value == 0.0 and effect.verdict == "same"


def test_more_is_better_for_rates() -> None:
    """Where larger is better the ranking and the verdicts turn round."""
    asked = scenario(what_if={"network.proxy": ["ebpf", "ipvs"]})
    found = what_if(asked, ["p50>1ms"], runner=formula_point)
    assert [effect.change.name for effect in found.effects] == ["network.proxy=ipvs", "network.proxy=ebpf"]
    assert {effect.verdict for effect in found.effects} == {"worse"}


def test_every_objective_has_a_ranking_of_its_own() -> None:
    asked = scenario(what_if={"network.proxy": ["ipvs", "ebpf"]})
    found = what_if(asked, ["p50<5ms", "mean<5ms"], runner=formula_point)
    assert [(effect.figure, effect.change.name) for effect in found.effects] == [
        ("latency p50", "network.proxy=ebpf"), ("latency p50", "network.proxy=ipvs"),
        ("latency mean", "network.proxy=ebpf"), ("latency mean", "network.proxy=ipvs"),
    ]  # fmt: skip


def test_what_cannot_exist_is_left_out_with_the_reason() -> None:
    asked = scenario(
        network={"plugin": "flannel-vxlan"},
        what_if={"network.proxy": ["ebpf"], "network.plugin": ["no-such-plugin"], "cluster.node_mask": [99]},
    )
    changes = tuple(Change(f"{key}={level}", {key: level}) for key, (level,) in asked.what_if.items())
    found = what_if(asked, ["p50<5ms"], changes=changes)
    assert not found.effects
    reasons = {each.change.name: each.reason for each in found.left_out}
    assert "eBPF" in reasons["network.proxy=ebpf"]
    assert "no-such-plugin" in reasons["network.plugin=no-such-plugin"]
    assert "99" in reasons["cluster.node_mask=99"]


def test_levels_that_are_there_already_are_no_alternatives() -> None:
    asked = scenario(what_if={"network.proxy": ["iptables", "ipvs"]})
    assert [change.name for change in stated_changes(asked)] == ["network.proxy=ipvs"]


def test_the_standard_list_has_nothing_the_scenario_already_has() -> None:
    names = [change.name for change in standard_changes(scenario())]
    assert len(names) == len(set(names))
    assert {"network.proxy=ebpf", "network.plugin=kubenet", "dns.node_local=true", "dns.fqdn=true", "dns.ndots=1",
            "dns.replicas=4", "traffic.connection=keep-alive", "cluster.machine.mtu=9000",
            "cluster.machine.nic=100Gbit/s", "network.conntrack_max=524288"} <= set(names)  # fmt: skip
    assert "network.proxy=iptables" not in names and "network.plugin=cilium-vxlan" not in names
    bare = scenario(
        dns={"lookups": "none"}, traffic=[{"from": "all", "to": "service-1", "connection": "keep-alive"}]
    )
    assert not [change.name for change in standard_changes(bare) if change.name.startswith(("dns", "traffic"))]


@pytest.mark.slow
def test_the_ranking_is_that_of_runs_one_by_one() -> None:
    levels = {
        "network.proxy": ["nftables", "ebpf"], "network.plugin": ["cilium-native"], "dns.fqdn": [True],
        "traffic.connection": ["keep-alive"],
    }  # fmt: skip
    asked = scenario(
        cluster={"synthetic": {"nodes": 3, "pods_per_node": 4, "services": 500}, "machine": {"cores": 4}},
        run={"replications": 3, "transactions": 400}, what_if=levels,
    )  # fmt: skip
    found = what_if(asked, ["p50<5ms"], replications=3)

    def brute_force(settings: dict[str, object]) -> float:
        result = netsim.run(with_values(asked, settings))
        return result.figure("latency", "p50").estimate.value

    now = brute_force({})
    truth = {f"{key}={json.dumps(level).strip(chr(34))}": brute_force({key: level}) / now
             for key, values in levels.items() for level in values}  # fmt: skip
    ranked = [effect.change.name for effect in found.effects]
    assert ranked == sorted(truth, key=lambda name: truth[name])
    for effect in found.effects:
        assert effect.ratio.value == pytest.approx(truth[effect.change.name], rel=0.03)
