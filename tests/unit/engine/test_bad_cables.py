"""Packets damaged on a cable: single segments of a burst, as often as stated."""

from __future__ import annotations

from itertools import cycle, pairwise
from typing import Any

import numpy as np
import pytest
from engine_parts import MSS, Pair, route

from netsim.engine.kernel.bad_cables import BadCable
from netsim.engine.run import run_replication
from netsim.engine.transport.data import parted
from netsim.engine.transport.tcp import Connection
from netsim.scenario import build
from netsim.study.runner import model_of


@pytest.mark.parametrize("seed", range(20))
def test_what_goes_on_and_what_is_lost_are_the_whole(seed: int) -> None:
    draw = np.random.default_rng(seed)
    ranges = [(start * MSS, int(draw.integers(1, 4)) * MSS) for start in range(0, 40, 8)]
    ranges[-1] = ranges[-1][0], ranges[-1][1] + 1  # the last segment may be short
    segments = [start + at for start, size in ranges for at in range(0, size, MSS)]
    lost = sorted(draw.choice(len(segments), 4, replace=False).tolist())
    kept, gone = parted(ranges, lost, MSS)
    assert sorted(at for start, size in gone for at in range(start, start + size, MSS)) == [segments[n] for n in lost]
    assert sum(size for _, size in [*kept, *gone]) == sum(size for _, size in ranges)
    assert all(one[0] + one[1] < other[0] for one, other in pairwise(kept))


def with_losses(pair: Pair, gaps: list[int]) -> Connection:
    """Return an open connection whose data meet a cable with these gaps between losses, again and again."""
    connection = pair.connect()
    connection.connect(lambda now: None)
    pair.clock.run()
    way, numbers = connection.forth, cycle(gaps)
    way.legs = (way.legs[0], BadCable(way.legs[1], pair.links[0], lambda: float(next(numbers))).carry, *way.legs[2:])
    return connection


@pytest.mark.parametrize("gaps", [[0, 30, 700], [5, 0, 0, 400], [59, 60, 61]])
def test_every_lost_segment_is_sent_once_more_and_all_arrive(gaps: list[int]) -> None:
    pair = Pair(route(rate_bps=8e9, latency_s=1e-3))
    connection = with_losses(pair, gaps)
    there: list[float] = []
    connection.request(3_000 * MSS, there.append)
    pair.clock.run()
    half, link = connection.outgoing, pair.links[0]
    assert len(there) == 1
    assert half.delivered == 3_000 * MSS
    assert link.dropped >= half.retransmits > 0
    # some 3,000 segments and those sent again, of which one in (mean gap and one) is lost
    assert link.dropped == pytest.approx((3_000 + link.dropped) / (1 + np.mean(gaps)), abs=len(gaps))


BASE: dict[str, Any] = {
    "cluster": {
        "synthetic": {"nodes": 2, "pods_per_node": 1, "services": 1, "namespaces": 1, "endpoints_per_service": 1},
        "fabric": {"loss": 0.05},
    },
    "dns": {"lookups": "none"},
    "run": {"duration": "20s", "clients": "all"},
}


def test_handshakes_are_repeated_as_often_as_either_of_two_packets_is_lost() -> None:
    edge = {"from": "client-1", "to": "service-1", "rate": "100/s", "response": "1KiB"}
    found = run_replication(model_of(build({**BASE, "traffic": [edge]}))[0])
    late = np.mean(found.times["connect"] > 0.9)
    assert late == pytest.approx(1.0 - 0.95**2, rel=0.25)
    again = found.times["request"] > 0.19  # the request, or the answer
    assert np.mean(again) == pytest.approx(1.0 - 0.95**2, rel=0.25)


def test_datagrams_are_lost_for_good() -> None:
    edge = {"from": "client-1", "to": "kube-system/kube-dns:53", "kind": "udp", "rate": "100/s"}
    found = run_replication(model_of(build({**BASE, "traffic": [edge]}))[0])
    # of two replicas one may be at home
    failed = next(each.value for each in found.scalars if each.metric == "failed" and each.scope == "scenario")
    assert 0.03 < failed < 0.13
