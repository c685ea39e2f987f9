"""One set of mechanisms: an ordinary run of a published testbed gives what `netsim validate` has the model say of it.

Both at the profile's own prices, without baseline rows and with no source left out.
"""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from netsim.calibration.published import testbed
from netsim.calibration.published.bench import Bench
from netsim.calibration.published.bulk import Bulk
from netsim.calibration.published.case import Row, load_case
from netsim.calibration.published.transport import RoundTrip, host_cpu
from netsim.datapath.costs import load_profile
from netsim.engine.run import Replication, run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

CASE = replace(load_case("cni-100g"), sources=())
PROFILE = load_profile("server")
BENCH = Bench(CASE, CASE.hardware, testbed.Testbed(CASE.hardware, PROFILE.clock_ghz), PROFILE, ())
ROWS = {row.id: row for row in CASE.rows}
ROUND_TRIPS, STREAMS = ("D-011", "D-012", "D-013", "D-014", "D-015"), ("D-001", "D-002", "D-003", "D-004", "D-005")

ASKS = {"request": "1B", "response": "1B", "connection": "keep-alive", "pool": 1, "closed": {"concurrency": 1}}


def manifests(on_host: bool, same_node: bool = False) -> str:
    """Return two nodes with a client and a server, and a headless Service: nothing is translated."""
    host = str(on_host).lower()
    documents = [f"{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}}}" for name in "ab"]
    documents += [
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: {app}, labels: {{app: {app}}}}}, "
        f"spec: {{nodeName: {node}, hostNetwork: {host}, containers: [{{name: c, image: x}}]}}}}"
        for app, node in (("client", "a"), ("server", "a" if same_node else "b"))
    ]
    documents += [
        "{apiVersion: v1, kind: Service, metadata: {name: server}, "
        "spec: {clusterIP: None, selector: {app: server}, ports: [{port: 8080}]}}"
    ]
    return "\n---\n".join(documents)


def ran(folder: Path, row: Row, traffic: dict[str, Any], **run: Any) -> Replication:
    """Run a row's testbed as a scenario."""
    subject, hardware = BENCH.subject(row.setting), CASE.hardware
    (folder / "bed.yaml").write_text(
        manifests(subject.source == "host", subject.same_node), encoding="utf-8"
    )
    special = resources.files("netsim") / "data" / "published" / "plugins" / f"{subject.plugin.name}.yaml"
    document = {
        "cluster": {
            "manifests": "bed.yaml",
            "machine": {"cores": hardware.cores, "nic": "100Gbit/s", "mtu": hardware.mtu, "ring": 8192},
            "fabric": {"link_latency": f"{hardware.one_way_s * 5e8:g}ns"},
        },
        "network": {
            "plugin": str(special) if special.is_file() else subject.plugin.name,
            **({} if subject.bare else {"proxy": subject.proxy}),
        },
        "dns": {"lookups": "none"},
        "traffic": [{"from": "client", "to": "server:8080", **traffic}],
        "run": run,
    }
    return run_replication(model_of(build(document, directory=folder))[0])


def modelled_s(question: Bulk | RoundTrip, row: Row) -> float:
    return math.fsum(question.cost(BENCH, row.setting))


@pytest.mark.parametrize("row", ROUND_TRIPS)
def test_a_round_trip_takes_what_the_validation_has_it_take(tmp_path: Path, row: str) -> None:
    found = ran(tmp_path, ROWS[row], ASKS, duration="2ms", warmup="0s")
    latency = float(found.times["latency"][1:].mean())
    assert latency == pytest.approx(modelled_s(RoundTrip(), ROWS[row]), rel=0.01)


@pytest.mark.parametrize("row", STREAMS)
def test_a_stream_carries_what_its_busiest_core_lets_through(tmp_path: Path, row: str) -> None:
    """Without losses: the ring holds a window, and what a slow start overshoots."""
    found = ran(tmp_path, ROWS[row], {"kind": "stream", "writes": "16KiB"}, duration="15ms", warmup="10ms")
    rate = next(scalar.value for scalar in found.scalars if scalar.metric == "goodput")
    bits = 8.0 * BENCH.ways(ROWS[row].setting).burst_bytes
    assert rate == pytest.approx(bits / modelled_s(Bulk(), ROWS[row]), rel=0.04)


def test_small_messages_slow_both_alike(tmp_path: Path) -> None:
    row = ROWS["D-001"]
    found = ran(tmp_path, row, {"kind": "stream", "writes": "1000B"}, duration="10ms", warmup="5ms")
    rate = next(scalar.value for scalar in found.scalars if scalar.metric == "goodput")
    bits = 8.0 * BENCH.ways(row.setting).burst_bytes
    expected = math.fsum(Bulk().cost(BENCH, row.setting.but(msg_bytes="1000")))
    assert rate == pytest.approx(bits / expected, rel=0.06)


@pytest.mark.parametrize("writes", [1000, 4096, 16384])
def test_calls_leave_one_by_one_within_a_node_in_both(tmp_path: Path, writes: int) -> None:
    """Beside whole bursts: a run has all acknowledgements on the sender's core, the validation shares them."""

    def rates(each: int) -> tuple[float, float]:
        setting = ROWS["D-004"].setting.but(path="pod-pod-same-node", msg_bytes=str(each))
        row = replace(ROWS["D-004"], setting=setting)
        found = ran(tmp_path, row, {"kind": "stream", "writes": f"{each}B"}, duration="6ms", warmup="3ms")
        rate = next(scalar.value for scalar in found.scalars if scalar.metric == "goodput")
        return rate, 8.0 * BENCH.ways(setting).burst_bytes / modelled_s(Bulk(), row)

    (run, modelled), (whole_run, whole_modelled) = rates(writes), rates(131072)
    assert run / whole_run == pytest.approx(modelled / whole_modelled, rel=0.2)


@pytest.mark.parametrize("row", ROUND_TRIPS)
@pytest.mark.parametrize(("side", "node"), [("client", "a"), ("server", "b")])
def test_hosts_work_as_long_for_a_round_trip(tmp_path: Path, row: str, side: str, node: str) -> None:
    """Setting polling up, and pods that fall asleep, included."""
    found = ran(tmp_path, ROWS[row], ASKS, duration="4ms", warmup="2ms")
    used = math.fsum(
        scalar.value
        for scalar in found.scalars
        if scalar.metric == "utilization" and scalar.scope == "station" and scalar.name.startswith(f"{node}/core")
    )
    latency = float(found.times["latency"][1:].mean())
    modelled = math.fsum(host_cpu(BENCH, ROWS[row].setting, "round-trip", side))
    assert used * latency == pytest.approx(modelled, rel=0.02)
