from __future__ import annotations

import math

import numpy as np
import pytest

from netsim.study.bands import Breakdown, band_limits, part_times
from netsim.study.outcome import Edge, PartKey


@pytest.mark.parametrize(("q", "limits"), [(0.99, (0.985, 0.995)), (0.5, (0.48, 0.52)), (0.999, (0.9985, 0.9995))])
def test_limits_of_bands(q: float, limits: tuple[float, float]) -> None:
    assert band_limits(q) == pytest.approx(limits)


def test_parts_add_up_to_the_latency_in_every_band() -> None:
    rng = np.random.default_rng(4)
    dns, connect, request = rng.exponential(1.0, (3, 4000))
    dns[::3] = math.nan
    latency = np.nan_to_num(dns) + connect + request
    edge = (np.arange(4000) % 2).astype(np.int32)
    edges = (Edge("a->b", "b"), Edge("c->b", "b"))
    times = {"latency": latency, "dns": dns, "connect": connect, "request": request}
    kept = np.flatnonzero(rng.random(4000) < 0.3)
    split = np.stack([np.nan_to_num(dns), connect, 0.25 * request, 0.75 * request], axis=1)[kept]
    keys = (PartKey("dns", "wait", "a"), PartKey("connect", "work", "b"), PartKey("request", "work", "b"),
            PartKey("calls", "work", "b"))  # fmt: skip
    breakdown = Breakdown(keys, kept, split, np.full(len(kept), 1 / 0.3))
    rows = part_times(breakdown, edges=edges, edge=edge, times=times, quantiles=(0.5, 0.99))
    bands = {(row.scope, row.name, row.band) for row in rows}
    assert len(bands) == (1 + 2) * 3
    total = {band: math.fsum(r.seconds for r in rows if (r.scope, r.name, r.band) == band) for band in bands}
    assert total["scenario", "", "all"] == pytest.approx(latency.mean())
    assert total["scenario", "", "p99"] == pytest.approx(np.quantile(latency, 0.99), rel=0.02)
    assert total["edge", "c->b", "p50"] == pytest.approx(np.median(latency[edge == 1]), rel=0.02)
    calls = next(row for row in rows if row[:5] == ("scenario", "", "p99", "calls", "work"))
    request = next(row for row in rows if row[:5] == ("scenario", "", "p99", "request", "work"))
    assert calls.seconds == pytest.approx(3.0 * request.seconds)
    (sampled,) = {row.n_samples for row in rows if row.scope == "scenario" and row.band == "p99"}
    assert 3 < sampled < 30


def test_weights_let_kept_transactions_speak_for_all() -> None:
    latency = np.array([1.0, 1.0, 1.0, 1.0, 9.0])
    keys = PartKey("request", "work", "a"), PartKey("request", "wait", "b")
    kept = Breakdown(keys, np.array([0, 4]), np.array([[1.0, 0.0], [1.0, 8.0]]), np.array([4.0, 1.0]))
    first, second = part_times(
        kept, edges=(Edge("a->b"),), edge=np.zeros(5, np.int32), quantiles=(),
        times={"latency": latency, "request": latency},
    )[:2]  # fmt: skip
    assert (first.key, first.seconds) == (keys[0], pytest.approx(1.0))
    assert (second.key, second.seconds) == (keys[1], pytest.approx(8.0 / 5.0))


def test_a_phase_without_kept_transactions_is_told_apart() -> None:
    """The kept transaction resolved no name, the others did."""
    times = {"latency": np.array([1.0, 2.0]), "dns": np.array([np.nan, 1.0]), "request": np.array([1.0, 1.0])}
    kept = Breakdown((PartKey("request", "work", "a"),), np.array([0]), np.array([[1.0]]), np.array([2.0]))
    rows = part_times(kept, edges=(Edge("a->b"),), edge=np.zeros(2, np.int32), times=times, quantiles=())
    assert [(row.key, row.seconds) for row in rows if row.scope == "scenario"] == [
        (PartKey("dns", "other", "not sampled"), 0.5), (PartKey("request", "work", "a"), 1.0),
    ]  # fmt: skip
