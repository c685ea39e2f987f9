"""Parts of the latency: they add up to it exactly, whatever happens on the way, and recording them changes nothing."""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from netsim.engine.measuring.keeper import Keeper, Kept
from netsim.engine.measuring.parts import Reader, Span
from netsim.engine.measuring.probes import EdgeRecord
from netsim.engine.queueing.burst import Burst, Notice, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Core, CoreCharge
from netsim.engine.queueing.tracing import Job, Part
from netsim.engine.randomness.streams import Streams
from netsim.engine.run import Replication, run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

GOLDEN = yaml.safe_load((Path(__file__).parents[2] / "golden" / "scenarios.yaml").read_text())
SMALL = {"nodes": 4, "pods_per_node": 3, "services": 4, "namespaces": 1}
RUN = {"transactions": 60, "replications": 1}


def run(*, parts: bool = True, **document: Any) -> Replication:
    model, _ = model_of(build({"name": "parts", "run": RUN, **document}))
    return run_replication(model, seed=7, parts=parts)


def one_edge(**keys: Any) -> list[dict[str, Any]]:
    return [{"from": "all", "to": "service-1", "rate": "30/s", **keys}]


def kept_of(found: Replication) -> Kept:
    """Return the parts after checking them: every kept latency adds up to the last bit, and all of it is told."""
    kept = found.kept
    assert kept is not None
    assert len(kept.rows) > 20
    assert (kept.seconds.sum(axis=1) == found.times["latency"][kept.rows]).all()
    assert kept.seconds.min() >= 0.0
    assert not [part for _, part in kept.parts if part.kind in ("other", "")]
    phases = [phase for phase, _ in kept.parts]
    for own in ("dns", "connect"):
        inside = kept.seconds[:, [phase == own for phase in phases]].sum(axis=1)
        assert (inside == np.nan_to_num(found.times[own][kept.rows])).all()
    return kept


def seconds(kept: Kept, kind: str, name: str = "", phase: str = "") -> float:
    """Return the sum over all kept transactions of parts of a kind."""
    chosen = [
        (not phase or phase == own) and kind == part.kind and name in ("", part.name) for own, part in kept.parts
    ]
    return float(kept.seconds[:, chosen].sum())


@pytest.mark.parametrize("name", GOLDEN)
def test_parts_of_reference_scenarios_add_up_exactly(name: str) -> None:
    kept = kept_of(run(**GOLDEN[name]))
    for kind in ("work", "wait", "wake-up", "transmission", "propagation"):
        assert seconds(kept, kind) > 0.0


@pytest.mark.parametrize(
    ("plugin", "proxy"),
    [("kubenet", "iptables"), ("calico-ipip", "ipvs"), ("cilium-native", "ebpf"), ("antrea-geneve", "nftables")],
)
@pytest.mark.parametrize("connection", ["per-request", "keep-alive"])
def test_parts_add_up_under_any_plugin(plugin: str, proxy: str, connection: str) -> None:
    traffic = one_edge(connection=connection, response="200KiB", work="50us")
    found = run(cluster={"synthetic": SMALL}, network={"plugin": plugin, "proxy": proxy}, traffic=traffic)
    kept = kept_of(found)
    assert seconds(kept, "work", "application") == pytest.approx(50e-6 * len(kept.rows), rel=1e-6)
    assert seconds(kept, "window", "ACK") > 0.0  # the response takes several windows


def test_recording_changes_no_sample() -> None:
    with_parts, without = run(**GOLDEN["tunnelled"]), run(parts=False, **GOLDEN["tunnelled"])
    assert without.kept is None
    for metric, values in with_parts.times.items():
        assert np.array_equal(values, without.times[metric], equal_nan=True)
    assert with_parts.scalars == without.scalars
    assert with_parts.events == without.events


def test_lost_queries_are_waits_for_the_resolvers_timer() -> None:
    found = run(cluster={"synthetic": SMALL}, dns={"loss": 0.05}, traffic=one_edge())
    kept = kept_of(found)
    stalled = found.times["dns"][kept.rows] > 4.9
    assert stalled.any()
    assert seconds(kept, "timer", "DNS timeout") == pytest.approx(5.0 * stalled.sum(), rel=0.3)
    assert seconds(kept, "upstream") == 0.0


def test_full_conntrack_tables_cost_the_syns_timer() -> None:
    found = run(cluster={"synthetic": SMALL}, network={"conntrack_max": 40_000}, dns={"lookups": "none"},
                traffic=one_edge(rate="60/s"))  # fmt: skip
    kept = kept_of(found)
    slow = found.times["connect"][kept.rows] > 0.9
    assert slow.any()
    assert seconds(kept, "timer", "SYN retry", "connect") >= 0.99 * slow.sum()


def test_losses_at_a_shallow_buffer_show_as_timers_and_repeated_ways() -> None:
    found = run(
        cluster={"synthetic": SMALL, "fabric": {"buffer": "8KiB"}}, network={"plugin": "flannel-host-gw"},
        traffic=[{"from": "app-2", "to": "service-1", "closed": {"concurrency": 16, "think": "1ms"},
                  "response": "1MiB"}],
    )  # fmt: skip
    kept = kept_of(found)
    assert seconds(kept, "timer", "RTO") + seconds(kept, "timer", "tail loss probe") > 0.01
    assert seconds(kept, "wait", "client-downlink") > 0.0


def test_calls_of_a_server_are_a_phase_of_their_own() -> None:
    nested = {"to": "service-2", "work": "300us", "then": [{"to": "service-3", "count": 2, "parallel": True}]}
    found = run(cluster={"synthetic": SMALL}, traffic=one_edge(work="100us", then=[nested]))
    kept = kept_of(found)
    users = np.isin(found.edge[kept.rows], [i for i, edge in enumerate(found.edges) if edge.top])
    calls = kept.seconds[users][:, [phase == "calls" for phase, _ in kept.parts]].sum()
    own = kept.seconds[users][:, [key[0] == "request" and key[1].name == "application" for key in kept.parts]].sum()
    assert own == pytest.approx(100e-6 * users.sum(), rel=1e-6)
    assert calls > 300e-6 * users.sum()


def test_waiting_for_a_connection_of_the_pool_is_told() -> None:
    traffic = [{"from": "app-2", "to": "service-1", "closed": {"concurrency": 12, "think": "100us"}, "work": "1ms",
                "connection": "keep-alive", "pool": 2}]  # fmt: skip
    assert seconds(kept_of(run(cluster={"synthetic": SMALL}, traffic=traffic)), "wait", "connection pool") > 0.0


JOB, WAITING = Job("work", "queue"), Part("wait", "queue")


def test_waiting_agrees_with_theory() -> None:
    """M/M/1 at a load of a half: every wait as Lindley's recursion has it, in the mean one service time."""
    clock, core, reader, streams = Clock(), Core("core"), Reader(), Streams(3)
    clock.origin = [None, None, 0.0]
    gap, service = streams.exponential("gaps", 2e-3), streams.exponential("services", 1e-3)
    waits: list[float] = []
    lindley: list[float] = []
    free = 0.0

    def arrive(now: float) -> None:
        nonlocal free
        clock.trace = origin = clock.origin
        work = service()
        lindley.append(max(free - now, 0.0))
        free = max(free, now) + work

        def served(at: float) -> None:
            assert clock.trace is not None
            found = reader.read(Span(now, nan, nan, at), origin, clock.trace)
            waits.append(found.get(reader.columns.of(WAITING) + 2, 0.0))

        Burst(clock, (core.thread, deliver), (CoreCharge(work), JOB), 0, served)
        if len(lindley) < 40_000:
            Notice(clock, now + gap(), arrive)

    Notice(clock, 0.0, arrive)
    clock.run()
    assert waits == lindley
    assert np.mean(waits) == pytest.approx(1e-3, rel=0.06)


def test_the_sample_stays_small_and_its_weights_speak_for_all() -> None:
    """Latencies 1, 2, 3 ... in random order: the weighted mean is theirs, and the slowest percent is all there."""
    record, draw = EdgeRecord("edge"), Streams(5).uniform("draw")
    keeper = Keeper(record, Reader(), draw)
    count = 40_000
    for latency in np.random.default_rng(1).permutation(count) + 1.0:
        record.done(0.0, nan, nan, latency)
        keeper.offer(Span(0.0, nan, nan, latency), [None, None, 0.0], [None, None, 0.0, latency])
    rows, weights = np.array(keeper.rows), np.array(keeper.weights)
    latencies = np.array(record.latency)[rows]
    assert len(rows) < 5000
    assert weights.sum() == pytest.approx(count, rel=0.05)
    assert np.average(latencies, weights=weights) == pytest.approx(count / 2, rel=0.05)
    assert (latencies > 0.985 * count).sum() >= 0.95 * 0.015 * count


@pytest.mark.parametrize("connection", ["per-request", "keep-alive"])
def test_parts_add_up_over_faults_in_flight(connection: str) -> None:
    """Only the last stretch of a burst that a fault takes away is not accounted for."""
    found = run(
        cluster={"synthetic": SMALL, "machine": {"nic": "1Gbit/s"}}, run={"duration": "2s", "replications": 1},
        faults=[{"at": "300ms", "kind": "link-down", "node": "node-1", "for": "200ms"}],
        traffic=one_edge(connection=connection, response="256KiB"),
    )  # fmt: skip
    kept = found.kept
    assert kept is not None
    assert (kept.seconds.sum(axis=1) == found.times["latency"][kept.rows]).all()
    assert seconds(kept, "timer") > 0.0
    assert seconds(kept, "other") < 0.01 * seconds(kept, "timer")


@pytest.mark.parametrize("qdisc", ["unlimited", "pfifo_fast", "fq_codel"])
def test_waiting_for_room_is_told(qdisc: str) -> None:
    """Uploads of 4 MiB at 1 Gbit/s whose server reads at 400 Mbit/s: small queues, send buffers, the window."""
    cluster = {
        "synthetic": {"nodes": 2, "pods_per_node": 2, "services": 1, "namespaces": 1, "endpoints_per_service": 1},
        "machine": {"cores": 4, "nic": "1Gbit/s", "qdisc": qdisc},
    }  # fmt: skip
    upload = {"request": "4MiB", "connection": "keep-alive", "closed": {"concurrency": 1}}
    slow = {**upload, "reads": {"request": "400Mbit/s"}}
    traffic = [{"from": "client-1", "to": "service-1", "name": str(number), **each} for number, each in
               enumerate((upload, slow, {"request": "1KiB", "rate": "100/s"}))]  # fmt: skip
    network = {"plugin": "cilium-native", "tcp": {"receive_window": "1MiB", "send_buffer": "256KiB"}}
    kept = kept_of(run(cluster=cluster, network=network, traffic=traffic, dns={"lookups": "none"},
                       run={"replications": 1, "duration": "700ms", "warmup": "0s"}))  # fmt: skip
    assert seconds(kept, "window", "small queue") > 0.0
    assert seconds(kept, "window", "receiver") > 0.0
    assert seconds(kept, "work", "reading") > 0.0
