"""How messages leave: windows, and the distance of their bursts at each station."""

from __future__ import annotations

from itertools import pairwise
from math import fsum

import pytest
from engine_parts import Pair, route

from netsim.datapath.types import Role
from netsim.engine.background.background import BackgroundCore
from netsim.engine.background.jobs import Arrivals, Draws, Profile, Source
from netsim.engine.background.pacing import AT_ONCE, DATAGRAMS, Pace, visits
from netsim.engine.pricing import Limits, Tariff
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import on_grid
from netsim.engine.randomness.streams import Streams
from netsim.engine.transport.tcp import TcpSettings

NEW = Pace.of_tcp(TcpSettings(), 400_000, kept=False)
KEPT = Pace.of_tcp(TcpSettings(), 400_000, kept=True)


def tariff(**changes: float) -> Tariff:
    return Tariff(route(**changes), Limits(1e9, 1e9))  # type: ignore[arg-type]


def test_windows_double_and_bursts_fit() -> None:
    windows = list(NEW.windows(tariff(), 1_000_000))
    assert [sum(bursts) for bursts in windows] == [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 370_000]
    assert windows[3] == [60_000, 20_000]
    assert [sum(bursts) for bursts in KEPT.windows(tariff(), 1_000_000)] == [400_000, 400_000, 200_000]
    assert list(DATAGRAMS.windows(tariff(), 70_000)) == [[60_000, 10_000]]


@pytest.mark.parametrize("size", [500, 10_000, 11_000, 200_000, 1_000_000])
def test_the_bursts_are_those_that_tcp_sends(size: int) -> None:
    """The engine's own sender on an empty network: as many bursts there, as many acknowledgements back."""
    pair = Pair(route(rate_bps=8e11, latency_s=5e-3, cpu_s=0.0))
    connection = pair.connect()
    connection.connect(lambda now: None)
    pair.clock.run()
    before = [link.arrived for link in pair.links]
    connection.request(size, lambda now: None)
    pair.clock.run()
    there, back = (link.arrived - known for link, known in zip(pair.links, before, strict=True))
    message, told = visits(NEW, pair.tariff, pair.tariff, size, 0.0)
    assert len(message[Role.RECEIVER_LINK].pieces) == pytest.approx(there, abs=2)
    assert len(told[Role.RECEIVER_LINK].pieces if told else ()) == pytest.approx(back, abs=2)


def test_a_transfer_takes_as_long_as_tcp_needs() -> None:
    """Seven windows, six round trips between them; within a window no faster than the line."""
    line = tariff(latency_s=5e-3, cpu_s=0.0)
    message, _ = visits(NEW, line, line, 1_000_000, 0.0)
    pieces = message[Role.SOFTIRQ_CORE].pieces
    assert pieces[-1][2] == 6
    assert pieces[-1][0] == pytest.approx(6 * 10e-3, rel=0.1)
    burst_s = 60_000 * 8 / 8e9
    for (one, _, window), (other, _, following) in pairwise(pieces):
        assert other - one >= 0.3 * burst_s if window == following else other - one > 5e-3


def source(pieces: tuple[tuple[float, float, int], ...], rate: float) -> Source:
    return Source(Draws(Streams(1)), 0, Profile((Arrivals.of([(pieces, AT_ONCE, rate)]),)))


def test_background_bursts_bring_the_work_of_their_jobs_whatever_is_skipped() -> None:
    pieces = ((0.0, 1e-4, 0), (1e-4, 2e-4, 0), (5e-3, 3e-4, 1))
    rate = 400.0
    for skip in (0.0, 0.02):
        found, seen = source(pieces, rate), []
        for step in range(400):
            begin = step * 0.05
            if skip:
                found.forget(begin + skip)
            seen += [service for _, _, service, _ in found.arrivals(begin + skip, begin + 0.05)]
        assert fsum(seen) == pytest.approx(rate * 6e-4 * 400 * (0.05 - skip), rel=0.05)


def test_the_next_window_waits_for_what_its_acknowledgement_waited() -> None:
    found = source(((0.0, 1e-4, 0), (1e-4, 1e-4, 0), (1e-3, 1e-4, 1)), 1.0)
    arrivals = found.arrivals(0.0, 100.0)
    first, second = next(arrivals), next(arrivals)
    found.waited_s = 0.5
    third = next(arrivals)
    assert second[0] - first[0] == pytest.approx(1e-4)
    assert third[0] - first[0] == pytest.approx(0.5 + 1e-3)


def test_a_burst_under_way_comes_where_no_job_does() -> None:
    pieces = ((0.0, 1e-4, 0), (1e-3, 1e-4, 0))
    time = next(iter(source(pieces, 1.0).arrivals(0.0, 100.0)))[0]
    found = source(pieces, 1.0)
    assert [each[0] for each in found.arrivals(0.0, time + 5e-4)] == [time]
    assert list(found.arrivals(time + 5e-4, time + 9e-4)) == []
    assert [each[0] for each in found.arrivals(time + 9e-4, time + 2e-3)] == [pytest.approx(time + 1e-3)]


def test_a_core_that_background_finds_idle_works_besides() -> None:
    """Played burst by burst, and passed over."""
    rate, service_s, besides_s = 20_000.0, on_grid(10e-6), on_grid(4e-6)
    plain = ((0.0, service_s, 0),)
    used = []
    for setup in (AT_ONCE, (0.0, besides_s)):
        clock = Clock()
        profile = Profile([Arrivals.of([(plain, setup, rate)]), Arrivals.of([])])
        core = BackgroundCore("core", clock, Source(Draws(Streams(3)), 1, profile))
        for step in range(1, 401):
            core.catch_up(on_grid(step * 1e-4))
        played = core.busy_s
        core.catch_up(0.54)
        used.append((played / 0.04, (core.busy_s - played) / 0.5))
    load = rate * service_s
    for before, after in zip(*used, strict=True):
        assert after - before == pytest.approx((1 - load) * rate * besides_s, rel=0.1)
