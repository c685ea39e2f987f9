"""Receive packet steering: many flows spread over cores, one flow stays on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netsim.datapath.build import datapath_of
from netsim.datapath.types import Role
from netsim.engine.background.load import LoadModel
from netsim.engine.kernel.conntrack import Entries
from netsim.engine.network import Network
from netsim.engine.pricing import Limits, Tariff
from netsim.engine.randomness.streams import Streams
from netsim.engine.run import run_replication
from netsim.engine.workload.dns_client import Lookups
from netsim.scenario import Scenario, build
from netsim.study.runner import model_of

CLOSED = {"connection": "keep-alive", "pool": 4, "closed": {"concurrency": 4}, "request": "100B", "response": "100B"}


def asked(folder: Path, pods: int, edge: dict[str, Any] = CLOSED, **machine: Any) -> Scenario:
    """Return a scenario of clients on one node and servers on another."""
    documents = [f"{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}}}" for name in ("one", "other")]
    documents += [
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: {app}-{number}, labels: {{app: {app}}}}}, "
        f"spec: {{nodeName: {node}, containers: [{{name: c, image: x}}]}}}}"
        for app, node in (("client", "one"), ("server", "other"))
        for number in range(pods)
    ]
    documents += [
        f"{{apiVersion: v1, kind: Service, metadata: {{name: {app}}}, "
        f"spec: {{selector: {{app: {app}}}, "
        f"ports: [{{name: t, port: 80}}, {{name: u, protocol: UDP, port: 81}}]}}}}"
        for app in ("client", "server")
    ]
    (folder / "app.yaml").write_text("\n---\n".join(documents), encoding="utf-8")
    document = {
        "cluster": {"manifests": "app.yaml", "machine": {"cores": 32, "queues": 1, "nic": "100Gbit/s", **machine}},
        "network": {"plugin": "flannel-vxlan"},
        "dns": {"lookups": "none"},
        "traffic": [{"from": "client", "to": "server", **edge}],
        "run": {"duration": "4ms", "warmup": "1ms", "clients": "all"},
    }
    return build(document, directory=folder)


def answered(scenario: Scenario) -> int:
    return len(run_replication(model_of(scenario)[0]).start_s)


def test_many_flows_behind_one_queue_spread_over_the_cores(tmp_path: Path) -> None:
    crowded, steered = answered(asked(tmp_path, 16)), answered(asked(tmp_path, 16, rps=True))
    queues = answered(asked(tmp_path, 16, queues=32))
    assert steered > 3 * crowded
    assert 0.8 * queues < steered < 1.1 * queues


@pytest.mark.parametrize(
    ("edge", "least", "most"),
    [({**CLOSED, "pool": 1, "closed": {"concurrency": 1}}, 0.85, 1.02), ({"kind": "stream"}, 1.0, 2.0)],
)  # fmt: skip
def test_one_flow_gains_what_leaves_the_cards_core_alone(
    tmp_path: Path, edge: dict[str, Any], least: float, most: float
) -> None:
    rates = []
    for steered in (False, True):
        found = run_replication(model_of(asked(tmp_path, 1, edge, rps=steered))[0])
        rates.append(next(scalar.value for scalar in found.scalars if scalar.metric == "goodput"))
    assert least < rates[1] / rates[0] < most


@pytest.mark.parametrize("tunnel", [True, False])
def test_the_rest_of_the_way_moves_to_the_other_core(tmp_path: Path, tunnel: bool) -> None:
    """Every hop keeps its work; behind the driver and its GRO two are added, and the core changes."""
    plain, steered = (
        datapath_of(asked(tmp_path, 1, tunnel=tunnel, rps=rps)).routes(0, 1).forward for rps in (False, True)
    )
    added = {"rps.steer", "rps.backlog"}
    kept = [(name, bill) for name, _, bill in steered.hops if name not in added]
    assert kept == [(name, bill) for name, _, bill in plain.hops]
    where = [(name, steered.passes[index].role) for name, index, _ in steered.hops]
    change = where.index(("rps.backlog", Role.STEERED_CORE))
    assert where[change - 1] == ("rps.steer", Role.SOFTIRQ_CORE)
    assert where[change - 2][0] == ("nic.gro" if tunnel else "nic.receive")
    behind = [role for _, role in where[change:]]
    assert behind == [Role.STEERED_CORE] * (len(behind) - 1) + [Role.RECEIVER_CORE]


@pytest.mark.parametrize(("tunnel", "buffers"), [(True, 1), (False, 3)])
def test_the_backlog_counts_buffers(tmp_path: Path, tunnel: bool, buffers: int) -> None:
    route = datapath_of(asked(tmp_path, 1, tunnel=tunnel, rps=True)).routes(0, 1).forward
    tariff = Tariff(route, Limits(ring=512, backlog=40))
    size = 3 * route.mss_bytes
    charge = dict(zip(tariff.stops, tariff.named(size), strict=True))[Role.STEERED_CORE]
    assert charge.limit_s == pytest.approx(40 * charge.service_s / buffers)


def test_a_full_backlog_loses_datagrams(tmp_path: Path) -> None:
    """Cores with time to spare lose what comes together when one packet may wait, and nothing when many may."""
    edge = {"kind": "udp", "connection": "keep-alive", "rate": "30000/s", "request": "100B", "response": "100B"}
    lost = []
    for backlog in (1, 1000):
        found = run_replication(model_of(asked(tmp_path, 16, edge, rps=True, backlog=backlog))[0])
        assert not [s for s in found.scalars if s.metric == "utilization" and s.value > 0.9]
        lost.append(sum(s.value for s in found.scalars if s.metric == "loss"))
    assert lost[0] > 0.0 == lost[1]


def test_connections_are_tracked_as_before(tmp_path: Path) -> None:
    plain, steered = (
        Entries.of(datapath_of(asked(tmp_path, 1, rps=rps)).routes(0, 1), 120.0) for rps in (False, True)
    )
    assert steered == plain


def test_offered_load_knows_the_other_core(tmp_path: Path) -> None:
    """What leaves the queue's core arrives at the other, and the hand-over's two hops besides."""
    work = []
    edge = {"connection": "keep-alive", "rate": "10/s"}
    for rps in (False, True):
        model, _ = model_of(asked(tmp_path, 4, edge, rps=rps))
        network = Network(model.cluster, model.datapath, Streams(1, 0), tcp=model.tcp)
        (flow,) = LoadModel(network, Lookups(network, model.dns)).flows(model.edges[0], model.edges[0].clients)
        work.append({
            what: sum(job.service_s * job.per_transaction for job in jobs)
            for (end, what), jobs in flow.jobs.items() if end == "target"
        })  # fmt: skip
    plain, steered = work
    assert "steered" not in plain
    assert steered["softirq"] < 0.3 * plain["softirq"]
    assert steered["softirq"] + steered["steered"] == pytest.approx(plain["softirq"] + 240e-9, rel=0.02)


def test_flows_steered_by_the_card_spread_with_their_programs(tmp_path: Path) -> None:
    crowded, steered = answered(asked(tmp_path, 16)), answered(asked(tmp_path, 16, interrupts="steered"))
    assert steered > 3 * crowded


def test_a_remote_card_makes_each_answer_later(tmp_path: Path) -> None:
    near, far = (answered(asked(tmp_path, 1, queues=32, interrupts=where)) for where in ("hashed", "remote"))
    assert far < near
