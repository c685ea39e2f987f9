"""Tables that fill over minutes: conntrack, ephemeral ports, ports of masquerading nodes."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from netsim.datapath.conntrack import TCP_CLOSED_S, UDP_SHORT_S
from netsim.datapath.types import Role, Route, Routes
from netsim.engine.kernel.conntrack import ConntrackTable, Entries
from netsim.engine.kernel.neighbours import wanted
from netsim.engine.run import Replication, run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

BASE: dict[str, Any] = {
    "cluster": {
        "synthetic": {"nodes": 4, "services": 1, "pods_per_node": 4, "namespaces": 1, "endpoints_per_service": 4},
        "machine": {"cores": 4},
    },
    "dns": {"lookups": "none"},
    "run": {"duration": "2s", "clients": "all"},
}
EDGE = {"from": "client-1", "to": "service-1", "rate": "30/s"}


def run(edge: dict[str, Any], **network: Any) -> Replication:
    return run_replication(model_of(build({**BASE, "traffic": [edge], "network": network}))[0])


def share(found: Replication, metric: str) -> float:
    return next(s.value for s in found.scalars if s[:3] == ("scenario", "", metric))


def never() -> float:
    raise AssertionError("nothing is drawn while no background keeps the table full")


def test_entries_of_a_tunnel_live_as_long_as_unanswered_datagrams() -> None:
    route = Route((), 1448, 65000)
    routes = Routes(route, route, route, route, conntrack=(Role.SENDER_CORE, Role.SOFTIRQ_CORE), outer_conntrack=2)
    entries = Entries.of(routes, TCP_CLOSED_S)
    assert entries.sender == entries.receiver == ((120.0, 1), (UDP_SHORT_S, 2))
    assert entries.via == ((UDP_SHORT_S, 2),)
    table = ConntrackTable("node", 1000, {}, 0.0, never)
    assert table.admit(0.0, entries.sender)
    assert [table.occupancy(at) for at in (1.0, 29.9, 30.0, 119.9, 120.0)] == [3, 3, 1, 1, 0]


def test_a_table_starts_as_full_as_littles_law_says_and_stays_so() -> None:
    rate, lifetime_s = 50.0, 60.0
    table = ConntrackTable("node", 10_000, {lifetime_s: rate * lifetime_s}, 0.0, never)
    for number in range(int(rate * 200)):
        assert table.admit(number / rate, ((lifetime_s, 1),))
        assert table.occupancy(number / rate) == pytest.approx(rate * lifetime_s, abs=2.0)


def test_a_table_remembers_only_what_expires_within_the_run() -> None:
    short, long = (ConntrackTable("node", 10_000, {}, 0.0, never, horizon_s=horizon_s) for horizon_s in (40.0, inf))
    for number in range(3000):
        now, present = number / 128.0, number + 1 + 2 * min(1280, number + 1)
        for table in (short, long):
            assert table.admit(now, ((120.0, 1), (10.0, 2)))
        assert short.occupancy(now) == long.occupancy(now) == present
    assert not len(short._live[120.0]._made)
    assert all(len(lived._made) <= 2561 for lived in (*short._live.values(), long._live[10.0]))


def test_a_full_table_lets_in_what_expires() -> None:
    limit, lifetime_s = 600, 60.0
    table = ConntrackTable("node", limit, {lifetime_s: 5000.0}, 0.0, never)
    admitted = sum(table.admit(number / 40.0, ((lifetime_s, 1),)) for number in range(40 * 30))
    assert admitted == pytest.approx(30.0 * limit / lifetime_s, abs=2)
    assert table.dropped == 40 * 30 - admitted


def test_dropped_connections_count_as_loss() -> None:
    found = run({**EDGE, "rate": "200/s"}, conntrack_max=1024)
    drops = next(s.value for s in found.scalars if s.metric == "conntrack_drops")
    assert drops > 0
    assert share(found, "loss") > 0.0


@pytest.mark.parametrize("rate", [8, 20, 40])
def test_a_client_opens_as_many_connections_as_ports_come_free(rate: int) -> None:
    """600 ports, each taken for 60 s: 10 connections a second; the rest fails at once."""
    found = run({**EDGE, "rate": f"{rate}/s"}, local_ports=600)
    expected = max(0.0, 1.0 - 10.0 / rate)
    assert share(found, "failed") == pytest.approx(expected, abs=0.12 if expected else 0.0)
    assert any("(ports)" in note for note in found.notes) is (expected > 0.0)
    assert any("no ephemeral ports" in note for note in found.notes) is (expected > 0.0)
    assert found.times["latency"].max() < 0.1


@pytest.mark.parametrize(("think", "least", "most"), [("20ms", 0.7, 0.85), ("200ms", 0.0, 0.0)])
def test_a_closed_loops_range_is_as_full_as_the_loop_could_leave_it(think: str, least: float, most: float) -> None:
    """600 ports, each taken for 60 s, serve 10 connections a second: a fifth of what a pause of 20 ms allows."""
    found = run({**EDGE, "closed": {"concurrency": 1, "think": think}}, local_ports=600)
    assert least <= share(found, "failed") <= most


@pytest.mark.parametrize(
    ("edge", "network"),
    [
        ({}, {"tcp_tw_reuse": True}),
        ({"connection": "keep-alive"}, {}),
        ({}, {"plugin": "cilium-vxlan", "local_ports": 600}),  # a range for each of four backends
    ],
)
def test_ports_do_not_run_out_where_they_are_free_sooner_or_destinations_are_more(
    edge: dict[str, Any], network: dict[str, Any]
) -> None:
    assert share(run({**EDGE, **edge}, **{"local_ports": 600, **network}), "failed") == 0.0


def test_a_node_masquerades_as_many_connections_as_it_has_ports() -> None:
    edge = {"from": "external", "to": "service-1", "rate": "300/s", "entry": "node-port"}
    plain, short = run(edge), run(edge, snat_ports=500)
    assert share(plain, "loss") == 0.0
    assert share(short, "loss") > 0.0
    assert any("no masquerade ports" in note for note in short.notes)
    late = short.times["connect"] > 0.9
    assert 0.1 < np.mean(late) < 0.9  # a second for the first retry of the handshake


def test_neighbours_wanted_at_a_time_are_those_talked_to_within_five_seconds() -> None:
    generator = np.random.default_rng(1)
    for rate, neighbours in ((1.0, 50), (10.0, 50), (100.0, 50)):
        seen = [len(set(generator.integers(0, neighbours, generator.poisson(5.0 * rate)))) for _ in range(400)]
        assert wanted(rate, neighbours) == pytest.approx(np.mean(seen), rel=0.05)
    assert wanted(5.0, 0) == 0.0


@pytest.mark.parametrize(
    ("plugin", "limit", "late"),
    [
        ("flannel-vxlan", 4, True),  # four pods here, three other nodes
        ("flannel-vxlan", 8, False),
        ("bridge-l2", 8, True),  # four pods here, the pods that talk to them elsewhere
        ("kubenet", 4, False),  # the cloud routes
    ],
)
def test_neighbour_tables_overflow_where_the_plugin_needs_more_entries(plugin: str, limit: int, late: bool) -> None:
    found = run({**EDGE, "rate": "40/s"}, plugin=plugin, neighbours_max=limit)
    assert any("neighbour tables overflow" in note for note in found.notes) is late
    assert bool(np.mean(found.times["connect"] > 0.9) > 0.05) is late
    assert (share(found, "loss") > 0.0) is late
