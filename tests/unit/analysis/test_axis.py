"""Numeric keys as axes of a search."""

from __future__ import annotations

import pytest

from netsim import InputError
from netsim.analysis.axis import axis_of, moved
from netsim.scenario import build


def scenario(**changes: object):
    document: dict[str, object] = {
        "cluster": {"synthetic": {"nodes": 4, "pods_per_node": 4, "services": 2}, "machine": {"cores": 8}},
        "traffic": [
            {"from": "all", "to": "service-1", "rate": "40/s"},
            {"from": "all", "to": "service-2", "rate": "10/s", "request": "2KiB"},
        ],
    }
    return build({**document, **changes})


def test_rates_of_several_entries_keep_their_proportions() -> None:
    asked = scenario()
    axis = axis_of(asked, "traffic.rate")
    assert axis.present == 25.0 and not axis.whole and axis.loading
    changed = moved(asked, axis, 50.0)
    assert [entry.rate.per_pod for entry in changed.traffic] == [80.0, 20.0]


def test_one_entry_alone() -> None:
    asked = scenario()
    changed = moved(asked, axis_of(asked, "traffic[1].rate"), 30.0)
    assert [entry.rate.per_pod for entry in changed.traffic] == [40.0, 30.0]


def test_rates_that_are_inferred_have_a_key_of_their_own() -> None:
    asked = scenario(traffic=[])
    changed = moved(asked, axis_of(asked, "traffic.rate"), 30.0)
    assert changed.inferred_rate == 30.0


def test_a_rate_for_all_clients_together_stays_one() -> None:
    asked = scenario(traffic=[{"from": "all", "to": "service-1", "rate": {"per_service": "100/s"}}])
    changed = moved(asked, axis_of(asked, "traffic.rate"), 300.0)
    assert changed.traffic[0].rate.per_service == 300.0


def test_loops_and_streams_have_no_rate() -> None:
    asked = scenario(
        traffic=[
            {"from": "all", "to": "service-1", "rate": "40/s"},
            {"from": "all", "to": "service-2", "closed": {"concurrency": 3}},
        ]
    )
    assert [spot.key for spot in axis_of(asked, "traffic.rate").spots] == ["traffic[0].rate"]
    only_loops = scenario(traffic=[{"from": "all", "to": "service-2", "closed": {"concurrency": 3}}])
    with pytest.raises(InputError, match="no traffic has a rate"):
        axis_of(only_loops, "traffic.rate")
    changed = moved(only_loops, axis_of(only_loops, "traffic.closed.concurrency"), 6.0)
    assert changed.traffic[0].closed is not None and changed.traffic[0].closed.concurrency == 6


@pytest.mark.parametrize(
    ("key", "present", "loading"),
    [
        ("cluster.nodes", 4, True),
        ("cluster.synthetic.services", 2, True),
        ("dns.replicas", 2, False),
        ("cluster.machine.queues", 8, False),
        ("network.conntrack_max", 262_144, False),
        ("cluster.machine.nic", 25e9, False),
        ("traffic[1].request", 2048, True),
        ("dns.upstream_latency", 2e-3, True),
    ],
)
def test_values_now_also_of_keys_left_open(key: str, present: float, loading: bool) -> None:
    asked = scenario()
    axis = axis_of(asked, key)
    assert axis.present == pytest.approx(present)
    assert axis.loading is loading
    assert axis.low <= present <= axis.high
    changed = moved(asked, axis, axis.snap(2 * present))
    assert axis_of(changed, key).present == pytest.approx(2 * present)


def test_bounds_of_the_models_bound_the_search() -> None:
    axis = axis_of(scenario(), "cluster.machine.cores")
    assert (axis.low, axis.high) == (1.0, 1024.0)
    assert axis_of(scenario(), "cluster.nodes").high == 5000.0


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("traffic.rat", "no such key"),
        ("cluster.machine.tso", "not a number"),
        ("network.plugin", "not a number"),
        ("traffic[7].rate", "no such key"),
        ("cluster.node_mask", "no present value"),
        ("dns.loss", "above zero"),
    ],
)
def test_what_cannot_be_an_axis(key: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        axis_of(scenario(), key)


def test_a_range_has_two_ends_above_zero() -> None:
    assert axis_of(scenario(), "traffic.rate", (1.0, 60.0)).high == 60.0
    for span in ((5.0, 1.0), (0.0, 1.0), (-1.0, None)):
        with pytest.raises(InputError, match="not a range"):
            axis_of(scenario(), "traffic.rate", span)
