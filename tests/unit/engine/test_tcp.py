"""TCP as far as time feels it."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from engine_parts import MSS, Pair, route

from netsim.engine.queueing.burst import Burst
from netsim.engine.transport.congestion import Cubic, Reno
from netsim.engine.transport.tail import LEAST_S
from netsim.engine.transport.tcp import Connection, TcpSettings

RTT = 2 * 50e-6


def opened(pair: Pair) -> Connection:
    connection = pair.connect()
    done: list[float] = []
    connection.connect(done.append)
    pair.clock.run()
    assert len(done) == 1
    assert not connection.failed
    return connection


def test_a_handshake_takes_a_round_trip() -> None:
    pair = Pair()
    done: list[float] = []
    pair.connect().connect(done.append)
    pair.clock.run()
    assert done[0] == pytest.approx(RTT + 6e-6, rel=0.01)
    assert [link.arrived for link in pair.links] == [2, 1]


def test_a_connection_per_request_is_ten_packets() -> None:
    pair = Pair()
    connection = pair.connect()
    answered: list[float] = []

    def served(now: float) -> None:
        connection.acknowledge_request()
        connection.respond(800, finish)

    def finish(now: float) -> None:
        answered.append(now)
        connection.acknowledge_response()
        connection.close()

    connection.connect(lambda now: connection.request(500, served))
    pair.clock.run()
    assert len(answered) == 1
    assert sum(link.arrived for link in pair.links) == 10


def test_a_message_within_the_initial_window_takes_one_way() -> None:
    pair = Pair()
    connection = opened(pair)
    began, there = pair.clock.now, []
    connection.request(10 * MSS, there.append)
    pair.clock.run()
    assert there[0] - began < RTT


@pytest.mark.parametrize(("segments", "round_trips"), [(10, 0), (11, 1), (30, 1), (31, 2), (70, 2), (71, 3)])
def test_slow_start_doubles_the_window_every_round_trip(segments: int, round_trips: int) -> None:
    """10, then 20, then 40 segments a round trip."""
    pair = Pair(route(rate_bps=8e12, latency_s=5e-3, cpu_s=0.0))
    connection = opened(pair)
    began, there = pair.clock.now, []
    connection.request(segments * MSS, there.append)
    pair.clock.run()
    assert there[0] - began == pytest.approx(5e-3 + round_trips * 10e-3, rel=0.02)


def test_the_receive_window_bounds_a_stream() -> None:
    window = 50 * MSS
    pair = Pair(route(latency_s=5e-3), settings=TcpSettings(receive_window_bytes=window))
    connection = opened(pair)
    connection.outgoing.stream()
    pair.clock.run(until=2.0)
    assert connection.outgoing.delivered / 2.0 == pytest.approx(window / 10e-3, rel=0.05)


def test_the_busiest_core_bounds_a_stream() -> None:
    """Receiver core: 20 us a burst of 60 kB and 20 us for its acknowledgement. The sender's buffer is no bound."""
    pair = Pair(route(rate_bps=8e12, cpu_s=20e-6), settings=TcpSettings(send_buffer_bytes=1 << 30))
    connection = opened(pair)
    connection.outgoing.stream()
    pair.clock.run(until=1.0)
    assert connection.outgoing.delivered == pytest.approx(60_000 / 40e-6, rel=0.05)


@pytest.mark.parametrize("congestion", [Reno, Cubic])
def test_loss_is_repaired_and_the_line_stays_used(congestion: type[Reno] | type[Cubic]) -> None:
    pair = Pair(
        route(rate_bps=1e9, latency_s=1e-3), buffer_bytes=200_000, settings=TcpSettings(congestion=congestion)
    )  # fmt: skip
    connection = opened(pair)
    half = connection.outgoing
    half.stream()
    pair.clock.run(until=5.0)
    assert pair.links[0].dropped > 0
    assert half.retransmits > 0
    assert half.delivered * 8 / 5.0 == pytest.approx(1e9, rel=0.1)


def test_all_of_a_message_arrives_in_spite_of_losses() -> None:
    pair = Pair(route(rate_bps=1e9, latency_s=1e-3), buffer_bytes=20_000)
    connection = opened(pair)
    there: list[float] = []
    connection.request(5_000_000, there.append)
    pair.clock.run()
    assert len(there) == 1
    assert connection.outgoing.delivered == 5_000_000
    assert pair.links[0].dropped > 0


def test_streams_share_a_bottleneck_fairly() -> None:
    pair = Pair(route(rate_bps=1e9, latency_s=1e-3, burst=8000), buffer_bytes=250_000)
    halves = [opened(pair).outgoing for _ in range(4)]
    for half in halves:
        half.stream()
    pair.clock.run(until=pair.clock.now + 20.0)
    rates = [half.delivered for half in halves]
    jain = sum(rates) ** 2 / (len(rates) * sum(rate**2 for rate in rates))
    assert jain > 0.9
    assert sum(rates) * 8 / 20.0 > 0.85e9


class Broken:
    """A leg that loses the first bursts it sees."""

    def __init__(self, leg: object, losses: float) -> None:
        self.leg, self.losses = leg, losses

    def __call__(self, burst: Burst, now: float, charge: object) -> float | None:
        if self.losses > 0:
            self.losses -= 1
            burst.lose(now)
            return None
        return self.leg(burst, now, charge)  # type: ignore[operator, no-any-return]


class Unlucky:
    """A leg that loses every so manieth segment of data, evenly."""

    def __init__(self, leg: object, every: int) -> None:
        self.leg, self.every, self.seen = leg, every, 0

    def __call__(self, burst: Burst, now: float, charge: object) -> float | None:
        self.seen += 1
        if self.seen % self.every == 0:
            burst.lose(now)
            return None
        return self.leg(burst, now, charge)  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("every", [100, 400, 1600])
def test_a_stream_with_losses_follows_the_square_root_law(every: int) -> None:
    """Mathis et al. 1997: MSS/RTT times sqrt(3/2 / p) for one loss in 1/p segments, a segment a burst, Reno."""
    pair = Pair(
        route(rate_bps=1e11, latency_s=10e-3, cpu_s=0.0, burst=MSS),
        settings=TcpSettings(congestion=Reno, delayed_ack_s=1e-6),
    )  # fmt: skip
    connection = opened(pair)
    way = connection.forth
    way.legs = (way.legs[0], Unlucky(way.legs[1], every), *way.legs[2:])
    half = connection.outgoing
    half.stream()
    pair.clock.run(until=pair.clock.now + 10.0)  # slow start is over
    began, delivered = pair.clock.now, half.delivered
    pair.clock.run(until=began + 60.0)
    assert half.timeouts == 0
    law = MSS / 20e-3 * (1.5 * every) ** 0.5
    assert (half.delivered - delivered) / 60.0 == pytest.approx(law, rel=0.15)


def broken(connection: Connection, losses: float) -> None:
    way = connection.forth
    way.legs = (way.legs[0], Broken(way.legs[1], losses), *way.legs[2:])
    way._opening_legs = (way._opening_legs[0], Broken(way._opening_legs[1], losses), *way._opening_legs[2:])


@pytest.mark.parametrize(("losses", "after_s"), [(1, 0.2), (2, 0.6), (3, 1.4)])
def test_a_lost_request_is_repeated_after_200_ms_and_twice_that(losses: int, after_s: float) -> None:
    pair = Pair()
    connection = opened(pair)
    broken(connection, losses)
    began, there = pair.clock.now, []
    connection.request(500, there.append)
    pair.clock.run()
    assert there[0] - began == pytest.approx(after_s, rel=0.01)
    assert connection.timeouts == losses


@pytest.mark.parametrize(("losses", "after_s"), [(1, 1.0), (2, 3.0), (3, 7.0)])
def test_a_lost_syn_is_repeated_after_a_second_and_twice_that(losses: int, after_s: float) -> None:
    pair = Pair()
    connection = pair.connect()
    broken(connection, losses)
    done: list[float] = []
    connection.connect(done.append)
    pair.clock.run()
    assert done[0] == pytest.approx(after_s, rel=0.01)


def test_connecting_ends_after_six_retries() -> None:
    pair = Pair()
    connection = pair.connect()
    broken(connection, inf)
    done: list[float] = []
    connection.connect(done.append)
    pair.clock.run()
    assert connection.failed
    assert done[0] == pytest.approx(127.0)


def test_full_sized_segments_vanish_in_a_black_hole() -> None:
    pair = Pair(route(black_hole=True))
    connection = opened(pair)
    small: list[float] = []
    large: list[float] = []
    connection.request(MSS - 1, small.append)
    pair.clock.run(until=1.0)
    connection.request(3 * MSS, large.append)
    pair.clock.run(until=60.0)
    assert len(small) == 1
    assert not large
    assert connection.outgoing.timeouts > 5


def test_a_delayed_acknowledgement_comes_after_40_ms() -> None:
    pair = Pair(settings=TcpSettings(quick_acks=0, initial_window=1))
    connection = opened(pair)
    there: list[float] = []
    began = pair.clock.now
    connection.request(int(1.5 * MSS), there.append)  # one segment, then half of one that has to wait for the window
    pair.clock.run()
    assert there[0] - began == pytest.approx(0.04, rel=0.02)


@pytest.mark.parametrize("probed", [True, False])
def test_what_was_lost_at_a_windows_end_is_asked_for_before_the_timer(probed: bool) -> None:
    """Two round trips and two ticks, not 200 ms; the timer remains where the probe is lost as well."""
    pair = Pair(route(burst=MSS))
    connection = pair.connect()
    done: list[float] = []
    connection.outgoing.send(100 * MSS, done.append)
    pair.clock.run(until=0.01)
    lost = 40 if probed else 41  # the last segments of the second message, and the probe
    way = connection.forth
    count = 0
    leg = way.legs[1]

    def lossy(burst: Burst, now: float, charge: Any) -> float | None:
        nonlocal count
        count += 1
        if 0 < count - 60 <= lost:
            burst.lose(now)
            return None
        return leg(burst, now, charge)

    way.legs = connection.outgoing.legs = (way.legs[0], lossy, *way.legs[2:])
    begun = pair.clock.now
    connection.outgoing.send(100 * MSS, done.append)
    pair.clock.run(until=2.0)
    assert len(done) == 2
    took = done[1] - begun
    if probed:
        assert LEAST_S < took < 0.02
    else:
        assert took > 0.2
    assert connection.outgoing.timeouts == int(not probed)
