"""Background: every station gets its part of what nobody follows, whatever is shared between stations alike."""

from __future__ import annotations

from math import fsum

import pytest

from netsim.engine.background.backdrop import Backdrop
from netsim.engine.background.sampling import plan
from netsim.engine.network import Network
from netsim.engine.places import Site
from netsim.engine.randomness.streams import Streams
from netsim.engine.workload.dns_client import Lookups
from netsim.scenario import build
from netsim.study.runner import model_of

NODES = 40


@pytest.fixture(scope="module")
def backdrop() -> tuple[Network, Backdrop]:
    model, _ = model_of(
        build({
            "name": "crowd",
            "cluster": {"synthetic": {"nodes": NODES, "pods_per_node": 20, "services": 40}},
            "traffic": [
                {"from": "all", "to": "ns-2/service-12", "rate": "1/s", "response": "8KiB", "work": "20us"},
                {"from": "ns-2/service-12", "to": "ns-1/service-11", "rate": "9/s", "response": "64KiB"},
            ],
            "run": {"transactions": 20},
        })
    )  # fmt: skip
    streams = Streams(1, 0)
    network = Network(model.cluster, model.datapath, streams, tcp=model.tcp)
    return network, Backdrop(network, model, plan(model, streams), Lookups(network, model.dns))


def offered(backdrop: Backdrop, node: int, *kinds: str) -> float:
    """Add up what the ends of flows on a node bring, flow by flow."""
    return fsum(
        flow.rate_at(end) * len(pods) * job.service_s * job.per_transaction
        for flow, end, pods in backdrop.presence.get(node, ())
        for what in kinds
        for job in flow.jobs.get((end, what), ())  # type: ignore[call-overload]
    )


def test_cores_and_links_of_a_node_carry_what_its_pods_bring(backdrop: tuple[Network, Backdrop]) -> None:
    network, made = backdrop
    kinds = set()
    for node in range(NODES):
        cores = network.cluster.nodes[node].machine.cores
        profiles = [made._core(Site("core", node, core)) for core in range(cores)]
        kinds.update(map(id, profiles))
        loads = [(0.0, 0.0) if each is None else each.loads for each in profiles]
        assert fsum(urgent for urgent, _ in loads) == pytest.approx(offered(made, node, "softirq", "steered"), rel=1e-5)
        assert fsum(threads for _, threads in loads) == pytest.approx(offered(made, node, "thread", "host"), rel=1e-5)
        link = made._link(Site("up", node, 0))
        assert (0.0 if link is None else link.load) == pytest.approx(offered(made, node, "up"), rel=1e-5)
    assert 1 < len(kinds) < NODES * cores / 2, "cores alike share what is known of them"


def test_the_ports_of_a_leaf_share_what_its_nodes_bring(backdrop: tuple[Network, Backdrop]) -> None:
    network, made = backdrop
    racks: dict[int, list[int]] = {}
    for node in range(NODES):
        racks.setdefault(network.places.rack(node), []).append(node)
    for rack, nodes in racks.items():
        ports = [made._link(Site("leaf-up", rack, spine)) for spine in range(network.places.spines)]
        total = fsum(0.0 if each is None else each.load for each in ports)
        assert total == pytest.approx(fsum(offered(made, node, "leaf-up") for node in nodes), rel=1e-5)
