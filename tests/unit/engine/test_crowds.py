"""Many background arrivals at once: the same bits as one by one."""

from __future__ import annotations

from math import inf

import pytest

from netsim.engine.background import jobs
from netsim.engine.background.background import BackgroundLink
from netsim.engine.background.jobs import Arrivals, Draws, Profile, Source
from netsim.engine.background.pacing import AT_ONCE
from netsim.engine.queueing.grid import on_grid
from netsim.engine.randomness.streams import Streams

SMALL_S, LARGE_S = on_grid(1e-6), on_grid(7e-6)
VISITS = [0.0005, 0.0021, 0.0022, 0.0022001, 0.004, 0.0102, 0.05]


def states(rate_per_s: float, limit_s: float) -> list[tuple[float, float, int]]:
    """Visit a link at times more and less apart; return its state after each."""
    classes = [(((0.0, SMALL_S, 0),), AT_ONCE, rate_per_s * 0.75), (((0.0, LARGE_S, 0),), AT_ONCE, rate_per_s * 0.25)]
    source = Source(Draws(Streams(5)), 3, Profile([Arrivals.of(classes)]))
    link = BackgroundLink("link", source)
    link._limit_s = limit_s
    found = []
    for now in VISITS:
        link.catch_up(on_grid(now))
        found.append((link.free_s, link.busy_s, source._at))
    return found


@pytest.mark.parametrize("rate_per_s", [50_000.0, 200_000.0, 380_000.0, 450_000.0])
@pytest.mark.parametrize("limit_s", [inf, on_grid(2e-5)])
def test_all_at_once_is_one_by_one(rate_per_s: float, limit_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = states(rate_per_s, limit_s)
    monkeypatch.setattr(jobs, "MANY", inf)
    assert states(rate_per_s, limit_s) == at_once


def test_what_goes_on_is_served_one_by_one() -> None:
    """Jobs of several bursts wait for what becomes of their first one; few arrivals cost less by themselves."""
    whole, parts = ((0.0, SMALL_S, 0),), ((0.0, SMALL_S, 0), (1e-4, SMALL_S, 0))
    for pieces, span_s, crowded in ((whole, 0.01, True), (parts, 0.01, False), (whole, 1e-5, False)):
        source = Source(Draws(Streams(1)), 0, Profile([Arrivals.of([(pieces, AT_ONCE, 100_000.0)])]))
        assert (source.crowd(0.0, span_s) is not None) is crowded
