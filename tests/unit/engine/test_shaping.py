"""Bandwidth limits of pods: what the bandwidth plugin and kubenet do with annotations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from netsim.datapath.types import Role
from netsim.engine.kernel.shaping import ASKED_BURST_BYTES, HEADER_BYTES, HTB_BURST_BYTES, Shape, shape_of
from netsim.engine.model import Model
from netsim.engine.run import Replication, run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

RATE = 200e6
BASE: dict[str, Any] = {
    "cluster": {
        "synthetic": {"nodes": 2, "services": 1, "pods_per_node": 1, "namespaces": 1, "endpoints_per_service": 1},
        "machine": {"cores": 4, "nic": "10Gbit/s"},
    },
    "dns": {"lookups": "none"},
    "run": {"duration": "1s", "clients": "all"},
}
EDGE = {"from": "client-1", "to": "service-1"}


def limited(plugin: str, edge: dict[str, Any], *, clients: dict[str, int], servers: dict[str, int]) -> Model:
    document = {**BASE, "network": {"plugin": plugin}, "traffic": [{**EDGE, **edge}]}
    model, _ = model_of(build(document))

    def template(owner: str, template: Any) -> Any:
        return replace(template, **(clients if owner.startswith("client") else servers if "app" in owner else {}))

    pods = tuple(
        replace(pod, template=template(pod.template.owner, pod.template)) if pod.namespace != "kube-system" else pod
        for pod in model.cluster.pods
    )
    cluster = replace(model.cluster, pods=pods)
    datapath = type(model.datapath)(cluster, plugin)  # type: ignore[call-arg, arg-type]
    return replace(model, cluster=cluster, datapath=datapath)


def scalar(found: Replication, scope: str, metric: str, name: str = "") -> float:
    return next(s.value for s in found.scalars if (s.scope, s.metric) == (scope, metric) and name in s.name)


@pytest.mark.parametrize(
    ("clients", "servers"), [({"egress_bps": int(RATE)}, {}), ({}, {"ingress_bps": int(RATE)})]
)
@pytest.mark.parametrize("plugin", ["calico-bgp", "kubenet"])
def test_a_stream_gets_the_rate(plugin: str, clients: dict[str, int], servers: dict[str, int]) -> None:
    found = run_replication(limited(plugin, {"kind": "stream"}, clients=clients, servers=servers))
    payload = 1448 / (1448 + HEADER_BYTES)
    assert scalar(found, "scenario", "goodput") == pytest.approx(RATE * payload, rel=0.1)
    assert scalar(found, "station", "utilization", "-rate") == pytest.approx(1.0, rel=0.2)


def test_plugins_that_do_not_enforce_annotations_ignore_them() -> None:
    limits = {"egress_bps": int(RATE), "ingress_bps": int(RATE)}
    free = run_replication(limited("flannel-vxlan", {"kind": "stream"}, clients=limits, servers=limits))
    assert scalar(free, "scenario", "goodput") > 5 * RATE


def test_a_full_bucket_lets_a_small_load_through_unhindered_and_kubenets_class_does_not() -> None:
    edge = {"rate": "20/s", "request": "256KiB", "connection": "keep-alive"}
    limits = {"egress_bps": int(RATE)}
    medians = {
        plugin: float(np.median(run_replication(limited(plugin, edge, clients=limits, servers={})).times["latency"]))
        for plugin in ("calico-bgp", "kubenet")
    }
    sending_s = 8.0 * 2**18 * (1 + HEADER_BYTES / 1448) / RATE
    assert medians["calico-bgp"] < 0.1 * sending_s
    assert medians["kubenet"] == pytest.approx(sending_s, rel=0.15)


def test_a_stream_leaves_no_bucket_full_for_the_small_requests_beside_it() -> None:
    edges = [{**EDGE, "kind": "stream"}, {**EDGE, "name": "small", "rate": "10/s", "connection": "keep-alive"}]
    alone = limited("calico-bgp", {"kind": "stream"}, clients={}, servers={"ingress_bps": int(RATE)})
    both, _ = model_of(build({**BASE, "network": {"plugin": "calico-bgp"}, "traffic": edges}))
    found = run_replication(replace(alone, edges=both.edges))
    assert scalar(found, "scenario", "goodput") == pytest.approx(RATE, rel=0.1)


def test_what_is_enforced_on_whom() -> None:
    model = limited("kubenet", {"rate": "1/s"}, clients={"egress_bps": 1000, "ingress_bps": 2000}, servers={})
    pod = next(pod for pod in model.cluster.pods if pod.template.egress_bps)
    kubenet, none = model.datapath.plugin, model.datapath.plugin.model_copy(update={"bandwidth": "none"})
    tbf = kubenet.model_copy(update={"bandwidth": "tbf"})
    assert shape_of(kubenet, pod, "egress") == Shape(1000.0, HTB_BURST_BYTES, buffers=1000)
    assert shape_of(tbf, pod, "ingress") == Shape(2000.0, ASKED_BURST_BYTES, 0.025 + 8 * ASKED_BURST_BYTES / 2000.0)
    assert shape_of(none, pod, "egress") is None
    host = replace(pod, template=replace(pod.template, host_network=True))
    assert shape_of(tbf, host, "egress") is None


def test_hops_stay_at_their_stations_behind_a_bucket() -> None:
    limits = {"egress_bps": int(RATE), "ingress_bps": int(RATE)}
    plain = run_replication(limited("calico-bgp", {"rate": "20/s"}, clients={}, servers={}))
    shaped = run_replication(limited("calico-bgp", {"rate": "20/s"}, clients=limits, servers=limits))
    assert {(h.hop, h.station) for h in shaped.hops} == {(h.hop, h.station) for h in plain.hops}
    assert Role.SENDER_SHAPER.name.lower().replace("_", "-") not in {h.station for h in shaped.hops}
