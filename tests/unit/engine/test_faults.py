"""Faults in whole replications: who notices what when."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from netsim.engine.model import Model
from netsim.engine.run import Replication, run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

BASE: dict[str, Any] = {
    "cluster": {
        "synthetic": {"nodes": 3, "services": 3, "pods_per_node": 4, "namespaces": 1},
        "machine": {"cores": 8, "nic": "1Gbit/s"},
    },
    "network": {"plugin": "flannel-vxlan"},
    "dns": {"lookups": "none"},
    "run": {"clients": "all", "duration": "4s", "seed": 3},
}
EDGE = {"from": "app-2", "to": "service-1", "rate": "40/s", "response": "8KiB", "work": "300us", "name": "edge"}
SHORT = {**BASE["run"], "duration": "0.45s"}
NEVER = {"at": "10000s", "kind": "node-loss", "node": "node-1"}


def model(*faults: dict[str, Any], edge: dict[str, Any] | None = None, **changes: Any) -> Model:
    document = {**BASE, "traffic": [{**EDGE, **(edge or {})}], "faults": list(faults), **changes}
    return model_of(build(document))[0]


@lru_cache(maxsize=1)
def without_faults(kind: str) -> Replication:
    return run_replication(model(edge=EDGES[kind], run=SHORT, dns={}))


def scalar(found: Replication, metric: str) -> float:
    return next(each.value for each in found.scalars if each.metric == metric)


def failures(found: Replication) -> str:
    return "; ".join(note for note in found.notes if "failed" in note or "unfinished" in note)


def spans(found: Replication) -> tuple[np.ndarray, np.ndarray]:
    return found.start_s, found.start_s + found.times["latency"]


EDGES: dict[str, dict[str, Any]] = {
    "per request": {},
    "kept": {"connection": "keep-alive"},
    "udp": {"kind": "udp", "to": "kube-system/kube-dns:53"},
    "large": {"response": "1MiB", "rate": "4/s"},
    "closed": {"closed": {"concurrency": 2, "think": "20ms"}},
    "nested": {"then": [{"to": "service-3", "count": 2, "parallel": True}, {"to": "service-3", "parallel": True}]},
    "stream": {"kind": "stream", "rate": "1/s"},
}


@pytest.mark.parametrize("kind", EDGES)
def test_a_fault_after_the_run_changes_nothing(kind: str) -> None:
    """What may break is guarded, watched and computed by other code, and comes to the same bits."""
    plain = without_faults(kind)
    armed = run_replication(model(NEVER, {**NEVER, "node": "node-2"}, edge=EDGES[kind], run=SHORT, dns={}))
    assert np.array_equal(plain.start_s, armed.start_s)
    for name, values in plain.times.items():
        assert np.array_equal(values, armed.times[name], equal_nan=True)
    assert plain.scalars == tuple(each for each in armed.scalars if each.scope != "fault")
    assert plain.events == armed.events > 0


@pytest.mark.parametrize("kind", EDGES)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "link-down", "node": "node-1", "for": "300ms"},
        {"kind": "node-loss", "node": "node-2", "for": "200ms"},
        {"kind": "node-loss", "node": "node-3"},
        {"kind": "replica-crash", "service": "service-1", "replicas": "all", "for": "200ms"},
        {"kind": "replica-crash", "service": "service-2"},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('node', fault.get('service'))}",
)
def test_until_the_fault_everything_is_as_without_it(kind: str, fault: dict[str, Any]) -> None:
    """Also every run with a fault passes the audit: nothing vanishes but what is booked as lost."""
    at_s = 0.21803
    plain = without_faults(kind)
    broken = run_replication(model({"at": f"{at_s}s", **fault}, edge=EDGES[kind], run=SHORT, dns={}))
    assert broken.events > 0
    (started, ended), (begun, over) = spans(plain), spans(broken)
    assert np.array_equal(started[ended < at_s], begun[over < at_s])
    assert np.array_equal(ended[ended < at_s], over[over < at_s])


def test_requests_on_a_dead_link_are_repeated_with_back_off() -> None:
    """RFC 6298 with Linux's 200 ms: what is lost when the cable goes is sent again 0.2, 0.6, 1.4 s later."""
    down = {"at": "1.0s", "kind": "link-down", "node": "node-2", "for": "1.0s"}
    kept = {"connection": "keep-alive", "pool": 64, "closed": {"concurrency": 16, "think": "100ms"}}
    found = run_replication(model(down, edge=kept))
    assert "failed" not in failures(found)
    late = found.times["request"][found.times["request"] > 0.1]
    fit = np.min(np.abs(late[:, None] - np.array([0.2, 0.6, 1.4])), axis=1)
    assert len(late) > 10
    assert np.median(fit) < 2e-3
    assert scalar(found, "recovery") == pytest.approx(1.4, abs=0.02)


def test_handshakes_with_a_lost_node_are_tried_again_until_it_is_back() -> None:
    loss = {"at": "0.9s", "kind": "node-loss", "node": "node-1", "for": "1.5s"}
    found = run_replication(model(loss))
    waits = found.times["connect"][found.times["connect"] > 0.5]
    assert len(waits) > 3
    assert np.min(np.abs(waits[:, None] - np.array([1.0, 3.0, 7.0])), axis=1).max() < 0.01


def test_a_crash_resets_what_was_under_way_and_refuses_what_comes_until_nodes_know() -> None:
    crash = {"at": "1.0s", "kind": "replica-crash", "service": "service-1", "replicas": 1, "for": "2.0s"}
    pace = {"container_check": "0s", "propagation": "0.3s", "min_sync": "0s", "sync": "0.2s", "readiness_period": "0s"}
    edge = {"work": "2ms", "closed": {"concurrency": 4, "think": "5ms"}}
    found = run_replication(model(crash, edge=edge, convergence=pace))
    assert "(reset)" in failures(found)
    assert "(connect)" in failures(found)
    assert scalar(found, "convergence") == pytest.approx(0.5, abs=1e-9)
    assert 0.4 < scalar(found, "recovery") <= 0.501
    # a refusal takes a round trip, not a timeout
    assert not (found.times["connect"] > 0.5).any()


def test_a_lost_node_tells_nobody_so_who_waits_for_its_answer_hangs() -> None:
    loss = {"at": "1.0s", "kind": "node-loss", "node": "node-1"}
    found = run_replication(model(loss, edge={"work": "20ms", "connection": "keep-alive"}))
    assert "unfinished" in failures(found)
    assert any("still wait for an answer" in note for note in found.notes)
    assert any("no recovery" in note for note in found.notes)


def test_clients_on_a_lost_node_start_nothing_and_lose_what_they_had_begun() -> None:
    loss = {"at": "1.0s", "kind": "node-loss", "node": "node-2", "for": "1.0s"}
    edge = {"from": "all"}
    plain, found = run_replication(model(edge=edge)), run_replication(model(loss, edge=edge))
    started = [next(s.n_samples for s in each.scalars if s.metric == "failed") for each in (plain, found)]
    # a third of the clients rests for a quarter of the time
    assert started[1] / started[0] == pytest.approx(1 - 1 / 12, abs=0.02)
    busy = {"from": "all", "work": "5ms", "closed": {"concurrency": 4, "think": "1ms"}}
    assert "(client lost)" in failures(run_replication(model(loss, edge=busy)))


def test_a_dns_server_that_crashes_costs_the_resolvers_timeout_and_its_cache() -> None:
    crash = {"at": "0.5s", "kind": "replica-crash", "service": "dns", "for": "1.0s"}
    found = run_replication(model(crash, dns={"resolver": "musl"}, edge={"rate": "200/s"}))
    slow = found.times["dns"][found.times["dns"] > 1.0]
    assert len(slow)
    assert np.median(slow) == pytest.approx(2.5, rel=0.01)


def test_each_node_acts_on_its_own_view() -> None:
    """Refused connections of a node end when that node has programmed the change, not before and not later."""
    crash = {"at": "0.5s", "kind": "replica-crash", "service": "service-1", "replicas": 2}
    pace = {"container_check": "0s", "propagation": "0.2s", "min_sync": "2.0s", "sync": "0.1s"}
    found = model(crash, edge={"from": "all", "rate": "100/s"}, convergence=pace)
    from netsim.engine.background.sampling import plan
    from netsim.engine.randomness.streams import Streams
    from netsim.engine.run import prepare

    streams = Streams(1, 0)
    network, _ = prepare(found, streams, plan(found, streams))
    assert network.faults is not None
    views, fault = network.faults.views, found.faults[0]
    service = network.cluster.services_by_key["ns-1/service-1"]
    news = (0.5, float("inf"))
    known = [views.absence(fault, news, node).since_s for node in range(3)]
    assert len(set(known)) == 3
    assert all(0.8 <= time < 2.8 for time in known)
    for time in (0.0, 0.79, *(t + d for t in known for d in (-1e-6, 1e-6))):
        if time > network.clock.now:
            network.clock.run(until=time)
        for node in range(3):
            seen = views.of(service, service.ports[0].name, node)
            assert set(fault.pods).isdisjoint(seen) == (network.clock.now >= known[node])
    assert set(fault.pods) <= set(views.of(service, service.ports[0].name, None))


def test_sampled_runs_with_faults_keep_their_background() -> None:
    loss = {"at": "0.3s", "kind": "node-loss", "node": "node-1", "for": "0.3s"}
    cluster = {"synthetic": {"nodes": 6, "services": 6, "pods_per_node": 20, "namespaces": 1}}
    edge = {"from": "all", "rate": "60/s"}
    run = {"clients": 20, "duration": "1s", "seed": 2}
    found = run_replication(model(loss, cluster=cluster, edge=edge, run=run))
    assert any("background traffic stays away" in note for note in found.notes)
    # the lost node's background is gone for three tenths of the second, so its busiest core has that much less to do
    whole = run_replication(model(cluster=cluster, edge=edge, run=run))
    busy = [
        sum(each.value for each in one.scalars if each.metric == "utilization" and each.name.startswith("node-1/"))
        for one in (whole, found)
    ]
    assert found.events > 0
    assert busy[1] < 0.9 * busy[0]


def recoveries(*faults: dict[str, Any], **changes: Any) -> list[float]:
    found = run_replication(model(*faults, **changes))
    return [each.value for each in found.scalars if each.metric == "recovery"]


def test_a_late_end_is_put_down_to_the_fault_that_was_first() -> None:
    """What the first outage lost comes again after 1 s, and the second one a moment before does not get the blame."""
    first = {"at": "1.0s", "kind": "link-down", "node": "node-2", "for": "100ms"}
    second = {"at": "1.9s", "kind": "link-down", "node": "node-3", "for": "1ms"}
    (alone,) = recoveries(first)
    both = recoveries(first, second)
    assert alone == pytest.approx(1.1, abs=0.12)  # a SYN that was lost as the cable came back
    assert both[0] == pytest.approx(alone)
    assert both[1] < 0.3 or both[1] == pytest.approx(1.0, abs=0.1)  # its own losses, if there were any


def test_what_never_ends_counts_by_its_beginning() -> None:
    """Clients go on finding the dead machine until their views are without it, not until the run ends."""
    loss = {"at": "1.0s", "kind": "node-loss", "node": "node-1"}
    pace = {"node_grace": "1s", "node_check": "0s", "lease_renewal": "0s", "propagation": "0s", "min_sync": "0s"}
    found = run_replication(model(loss, convergence={**pace, "sync": "0s"}, edge={"rate": "100/s"}))
    assert any("still wait" in note for note in found.notes) or "unfinished" in failures(found)
    assert scalar(found, "convergence") == pytest.approx(1.0)
    assert 0.8 < scalar(found, "recovery") <= 1.01
