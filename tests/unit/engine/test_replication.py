"""Whole replications of small scenarios."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from netsim.engine.model import Model
from netsim.engine.run import Replication, run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

BASE: dict[str, Any] = {
    "cluster": {"synthetic": {"nodes": 6, "services": 6, "pods_per_node": 8}, "machine": {"cores": 4}},
    "network": {"plugin": "flannel-vxlan", "conntrack_max": 10_000_000},
    "run": {"transactions": 400, "clients": "all", "duration": "300ms"},
}
EDGE = {"from": "all", "to": "ns-1/service-1", "rate": "60/s", "response": "8KiB"}


def model(**changes: Any) -> Model:
    document = {**BASE, "traffic": [EDGE], **changes}
    found, _ = model_of(build(document))
    return found


def same(one: Replication, other: Replication) -> bool:
    return all(
        np.array_equal(one.times[name], other.times[name], equal_nan=True) for name in one.times
    ) and np.array_equal(one.start_s, other.start_s)


def test_the_same_seed_gives_the_same_samples() -> None:
    one, again = run_replication(model(), seed=3), run_replication(model(), seed=3)
    assert same(one, again)
    assert one.scalars == again.scalars
    assert not same(one, run_replication(model(), seed=4))
    assert not same(one, run_replication(model(), seed=3, replication=1))


def test_latency_is_made_of_its_phases() -> None:
    found = run_replication(model())
    times = found.times
    assert np.allclose(times["dns"] + times["connect"] + times["request"], times["latency"], atol=1e-11)
    assert (times["latency"] > 50e-6).all()


def test_another_edge_leaves_the_draws_of_the_first_alone() -> None:
    alone = run_replication(model())
    other = {"from": "all", "to": "ns-2/service-2", "rate": "5/s", "name": "other"}
    both = run_replication(model(traffic=[EDGE, other]))
    assert np.array_equal(alone.start_s, both.start_s[both.edge == 0])


def test_followed_and_background_clients_see_the_same_network() -> None:
    run = {"transactions": 400, "duration": "600ms"}
    whole = [run_replication(model(run={**run, "clients": "all"}), replication=r) for r in range(4)]
    some = [run_replication(model(run={**run, "clients": 36}), replication=r) for r in range(4)]
    assert any("background" in note for note in some[0].notes)
    means = [np.mean([each.times["latency"].mean() for each in runs]) for runs in (whole, some)]
    assert means[1] == pytest.approx(means[0], rel=0.03)
    busiest = [
        np.mean([max(s.value for s in each.scalars if s.metric == "utilization") for each in runs])
        for runs in (whole, some)
    ]
    assert busiest[1] == pytest.approx(busiest[0], rel=0.15)


@pytest.mark.parametrize("connection", ["per-request", "keep-alive"])
def test_large_transfers_that_nobody_follows_come_at_tcps_pace(connection: str) -> None:
    """One lump a transfer would overflow switch buffers that the full run leaves half empty."""
    edge = {**EDGE, "rate": "20/s", "response": "1MiB", "connection": connection}
    run = {"transactions": 400, "duration": "250ms"}
    found = {}
    for clients in ("all", 32):
        asked = model(traffic=[edge], run={**run, "clients": clients})
        runs = [run_replication(asked, replication=r) for r in range(3)]
        latency = [np.quantile(each.times["latency"], (0.5, 0.9)) for each in runs]
        links = [s.value for each in runs for s in each.scalars if s[:4] == ("scenario", "link", "utilization", "max")]
        loss = [s.value for each in runs for s in each.scalars if s[:4] == ("scenario", "", "loss", "mean")]
        found[clients] = np.mean(latency, axis=0), np.mean(links), np.mean(loss)
    (whole, used, lost), (some, also_used, also_lost) = found["all"], found[32]
    assert some == pytest.approx(whole, rel=0.2)
    assert also_used == pytest.approx(used, rel=0.25)
    assert also_lost <= 2.0 * lost + 1e-4


@pytest.mark.parametrize("local", [False, True])
def test_lookups_of_clients_nobody_follows_keep_the_servers_busy(local: bool) -> None:
    """Traffic of kind dns is background, too: servers have as much to do whether all clients are followed or a few."""
    edge = {"from": "all", "to": "service-2.ns-1", "kind": "dns", "rate": "100/s"}
    busy = []
    for clients in ("all", 8):
        run = {**BASE["run"], "clients": clients}
        found = run_replication(model(traffic=[edge], dns={"node_local": local}, run=run))
        pools = [each.value for each in found.scalars if each[:3] == ("scenario", "pool", "utilization")]
        busy.append(pools[0])
    assert busy[1] == pytest.approx(busy[0], rel=0.25)


def test_a_lost_datagram_costs_the_resolvers_timeout() -> None:
    for resolver, pause in (("glibc", 5.0), ("musl", 2.5)):
        found = run_replication(model(dns={"loss": 0.02, "resolver": resolver}))
        slow = found.times["dns"][found.times["dns"] > 1.0]
        assert 0.02 < len(slow) / len(found.edge) < 0.3
        assert np.median(slow) == pytest.approx(pause, rel=0.01)


@pytest.mark.parametrize(
    ("dns", "network", "share"),
    [
        ({"clash": "dropped"}, {}, 0.2),
        ({"clash": "same-backend"}, {}, 0.1),  # two replicas: the pair draws the same one half of the time
        ({"clash": "dropped", "resolver": "musl"}, {}, 0.2),
        ({"clash": "resolved"}, {}, 0.0),
        ({"clash": "dropped", "resolver": "go"}, {}, 0.0),  # sockets of their own
        ({"clash": "dropped", "node_local": True}, {}, 0.0),  # not tracked
        ({"clash": "dropped"}, {"plugin": "cilium-vxlan"}, 0.0),  # translated at the socket
    ],
)
def test_pairs_of_queries_race_through_the_translation(
    dns: dict[str, Any], network: dict[str, Any], share: float
) -> None:
    asked = model(dns={"racing": 0.2, "replicas": 2, "fqdn": True, **dns}, network={**BASE["network"], **network})
    found = run_replication(asked)
    lookups = found.times["dns"]
    told = [s.value for s in found.scalars if s[:4] == ("scenario", "", "latency", "stall_probability")]
    assert sum(told) == pytest.approx(share)
    slow = lookups[lookups > 1.0]
    assert len(slow) / len(lookups) == pytest.approx(share, abs=0.05 if share else 0.0)
    assert (slow > 2.4).all()


def test_full_conntrack_tables_drop_new_connections() -> None:
    full = replace(model(), conntrack_max=1024)
    found = run_replication(full)
    assert any("conntrack tables full" in note for note in found.notes)
    top = found.times["latency"][found.edge == 0]
    assert len(top) < 0.9 * len(run_replication(model()).edge) or top.max() > 1.0


def test_keep_alive_opens_few_connections() -> None:
    found = run_replication(model(traffic=[{**EDGE, "connection": "keep-alive", "pool": 2}]))
    opened = np.isfinite(found.times["connect"])
    assert 0 < opened.sum() <= 2 * 48
    assert found.times["latency"][~opened].mean() < 0.6 * found.times["latency"][opened].mean()


def test_nested_calls_are_inside_their_callers_time() -> None:
    edge = {**EDGE, "then": [{"to": "ns-2/service-2", "work": "100us"}, {"to": "ns-3/service-3", "parallel": True}]}
    found = run_replication(model(traffic=[edge]))
    assert [each.top for each in found.edges] == [True, False, False]
    counts = np.bincount(found.edge)
    assert counts[0] == counts[1] == counts[2]
    assert found.times["latency"][found.edge == 0].mean() > found.times["latency"][found.edge == 1].mean()


@pytest.mark.parametrize("kind", ["udp", "stream", "dns"])
def test_other_kinds_of_traffic(kind: str) -> None:
    targets = {"udp": "kube-system/kube-dns:53", "stream": EDGE["to"], "dns": "service-1.ns-1.svc"}
    edge = {"from": "all", "to": targets[kind], "kind": kind, "rate": "20/s"}
    found = run_replication(model(traffic=[edge]))
    assert len(found.edge) > 0
    assert (found.times["latency"] > 0.0).all()


def test_closed_loops_wait_for_their_answers() -> None:
    edge = {**EDGE, "closed": {"concurrency": 1, "think": "2ms"}}
    found = run_replication(model(traffic=[edge]))
    rate = len(found.edge) / 0.3 / 48
    cycle = 2e-3 + found.times["latency"].mean()
    assert rate == pytest.approx(1.0 / cycle, rel=0.05)


def test_clients_from_outside_enter_by_a_node() -> None:
    document = {**BASE, "traffic": [{"from": "external", "to": "ns-1/service-1", "rate": "300/s"}]}
    found = run_replication(model_of(build(document))[0])
    assert found.times["latency"].mean() > 0.0


def test_a_service_without_endpoints_refuses() -> None:
    base = model()
    service = base.edges[0].call
    assert service is not None
    empty = replace(base.cluster, slices={service.service.key: ()})
    found = run_replication(replace(base, cluster=empty))
    assert not len(found.edge)
    assert any("refused" in note for note in found.notes)


def test_hops_add_up_to_the_work_of_a_transaction() -> None:
    found = run_replication(model())
    assert {"socket.send", "encap", "decap"} <= {hop.hop for hop in found.hops}
    assert all(hop.seconds >= 0.0 for hop in found.hops)


def test_background_clients_use_the_cache_of_their_node() -> None:
    """A cache that half of its capacity's queries come to is as busy, whoever is followed."""
    edge = {**EDGE, "rate": "1200/s", "connection": "per-request", "response": "100B"}
    dns, cluster = {"node_local": True, "fqdn": True}, {**BASE["cluster"], "machine": {"cores": 16}}
    found = {}
    for clients in ("all", 12):
        run = {"transactions": 400, "duration": "40ms", "clients": clients}
        asked = model(traffic=[edge], dns=dns, run=run, cluster=cluster)
        runs = [run_replication(asked, replication=r) for r in (0, 1)]
        busy = [s.value for each in runs for s in each.scalars if s[:4] == ("scenario", "pool", "utilization", "max")]
        found[clients] = np.mean(busy), np.mean([np.median(each.times["dns"]) for each in runs])
    assert found["all"][0] > 0.3
    assert found[12][0] == pytest.approx(found["all"][0], rel=0.25)
    assert found[12][1] == pytest.approx(found["all"][1], rel=0.15)
