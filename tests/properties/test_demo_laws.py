"""On the demo's own scenario: nothing vanishes, and Little's law holds, whole and sampled."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim import load
from netsim.engine.background.sampling import plan
from netsim.engine.queueing.audit import audit
from netsim.engine.randomness.streams import Streams
from netsim.engine.run import prepare
from netsim.study.runner import model_of

SCENARIO = Path(__file__).parents[2] / "experiments" / "cluster-size" / "scenario.yaml"


@pytest.mark.parametrize(
    ("plugin", "proxy", "nodes"),
    [("kubenet", "iptables", 10), ("cilium-vxlan", "ebpf", 10), ("flannel-vxlan", "ipvs", 60)],
)
def test_conservation_and_littles_law(plugin: str, proxy: str, nodes: int) -> None:
    values = {"network.plugin": plugin, "network.proxy": proxy, "cluster.nodes": nodes, "run.transactions": 200}
    model, _ = model_of(load(SCENARIO, values))
    streams = Streams(1, 0)
    chosen = plan(model, streams)
    assert chosen.whole == (nodes == 10)
    network, traffic = prepare(model, streams, chosen)
    checked = []
    for share in (0.25, 0.5, 1.0):  # also in the middle of everything
        network.clock.run(until=share * chosen.duration_s)
        checked.append(audit(network.clock, network.stations()))
    assert checked[-1] >= 10 * 16  # the cores alone
    traffic.stop(chosen.duration_s)
    network.clock.run(until=chosen.duration_s + 10.0)
    audit(network.clock, network.stations())
    for record, _, _ in traffic.records():
        assert record.started == record.finished + record.failed + record.unfinished
        assert record.unfinished == 0
    assert sum(record.finished for record, _, top in traffic.records() if top) > 150
