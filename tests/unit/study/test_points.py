from __future__ import annotations

import pytest
from toy_runner import scenario

from netsim.errors import InputError
from netsim.study.points import expand, same_question, single


def test_the_grid_is_in_the_order_written_and_the_last_key_varies_fastest() -> None:
    points = expand(scenario(sweep={"cluster.nodes": [10, 2], "network.plugin": ["kubenet", "cilium-vxlan"]}))
    assert [point.label for point in points] == [
        "cluster.nodes=10 network.plugin=kubenet",
        "cluster.nodes=10 network.plugin=cilium-vxlan",
        "cluster.nodes=2 network.plugin=kubenet",
        "cluster.nodes=2 network.plugin=cilium-vxlan",
    ]
    assert [point.index for point in points] == [0, 1, 2, 3]
    assert points[3].scenario.cluster.nodes == 2


def test_a_scenario_without_a_sweep_is_one_point() -> None:
    (point,) = expand(scenario())
    assert point.levels == {}
    assert point.label == ""


def test_keys_under_traffic_apply_to_every_entry_and_levels_may_be_quantities() -> None:
    points = expand(scenario(sweep={"traffic.rate": ["1/s", "2/s"]}))
    assert [point.scenario.traffic[0].rate.per_pod for point in points] == [1.0, 2.0]


def test_structured_levels_become_json_cells() -> None:
    (point,) = expand(scenario(sweep={"traffic.work": [{"exponential": "1ms"}]}))
    assert point.levels == {"traffic.work": '{"exponential": "1ms"}'}


@pytest.mark.parametrize("sweep", [{"cluster.nodse": [1]}, {"cluster.nodes": ["many"]}, {"cluster.nodes": [2, 2]}])
def test_a_level_that_means_nothing_is_the_users_mistake(sweep: dict[str, list[object]]) -> None:
    with pytest.raises(InputError):
        expand(scenario(sweep=sweep))


def test_budgets_do_not_change_the_question() -> None:
    base = {"name": "a", "run": {"replications": 3, "seed": 1}}
    assert same_question(base, {"name": "a", "run": {"replications": 9, "precision": "5%", "seed": 1}})
    assert not same_question(base, {"name": "a", "run": {"replications": 3, "seed": 2}})


def test_single_drops_the_sweep() -> None:
    assert not single(scenario(sweep={"cluster.nodes": [1, 2]})).sweep
