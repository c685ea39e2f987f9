from __future__ import annotations

import math

import numpy as np
import pytest

from netsim.study.bands import Breakdown, band_limits, by_phase, part_times
from netsim.study.outcome import Edge


@pytest.mark.parametrize(("q", "limits"), [(0.99, (0.985, 0.995)), (0.5, (0.49, 0.51)), (0.999, (0.9985, 0.9995))])
def test_limits_of_bands(q: float, limits: tuple[float, float]) -> None:
    assert band_limits(q) == pytest.approx(limits)


def test_phases_add_up_to_the_latency_in_every_band() -> None:
    rng = np.random.default_rng(4)
    dns, connect, request = rng.exponential(1.0, (3, 4000))
    dns[::3] = math.nan
    latency = np.nan_to_num(dns) + connect + request
    edge = (np.arange(4000) % 2).astype(np.int32)
    edges = (Edge("a->b", "b"), Edge("c->b", "b"))
    rows = part_times(
        by_phase({"dns": dns, "connect": connect, "request": request}),
        edges=edges, edge=edge, latency_s=latency, quantiles=(0.5, 0.99),
    )  # fmt: skip
    bands = {(row.scope, row.name, row.band) for row in rows}
    assert len(bands) == (1 + 2 + 1) * 3
    total = {band: math.fsum(r.seconds for r in rows if (r.scope, r.name, r.band) == band) for band in bands}
    assert total["scenario", "", "mean"] == pytest.approx(latency.mean())
    assert total["scenario", "", "p99"] == pytest.approx(np.quantile(latency, 0.99), rel=0.02)
    assert total["edge", "c->b", "p50"] == pytest.approx(np.median(latency[edge == 1]), rel=0.02)
    assert {row.n_samples for row in rows if (row.scope, row.band) == ("scenario", "p99")} == {41}


def test_weights_let_kept_transactions_speak_for_all() -> None:
    latency = np.array([1.0, 1.0, 1.0, 1.0, 9.0])
    kept = Breakdown(("work",), np.array([0, 4]), np.array([[1.0], [9.0]]), np.array([4.0, 1.0]))
    (mean, *_) = part_times(
        kept, edges=(Edge("a->b"),), edge=np.zeros(5, np.int32), latency_s=latency, quantiles=()
    )  # fmt: skip
    assert mean.seconds == pytest.approx(latency.mean())
