"""A single stream against the published laws: what a window, losses and the round trip leave of a line's rate."""

from __future__ import annotations

from math import sqrt

import pytest
from engine_parts import MSS, Pair, route

from netsim.engine.kernel.bad_cables import BadCable
from netsim.engine.randomness.streams import Streams
from netsim.engine.transport.congestion import CongestionControl, Cubic, Reno
from netsim.engine.transport.tcp import TcpSettings


def throughput(
    congestion: type[CongestionControl], rtt_s: float, p: float, *, random: bool, span_s: float, settle_s: float
) -> tuple[float, int]:
    """Return segments a second of one stream that loses a share of its segments, and how often its timer fired."""
    pair = Pair(
        route(rate_bps=1e11, latency_s=rtt_s / 2.0, cpu_s=0.0),
        settings=TcpSettings(congestion=congestion, receive_window_bytes=10**9),
    )
    connection = pair.connect()
    connection.connect(lambda now: None)
    pair.clock.run()
    draw = Streams(1).uniform("losses")

    def gap() -> float:
        """Independent losses: failures before a success; else one in 1/p."""
        if not random:
            return 1.0 / p - 1.0
        count = 0
        while draw() >= p:
            count += 1
        return float(count)

    way = connection.forth
    way.legs = (way.legs[0], BadCable(way.legs[1], pair.links[0], gap).carry, *way.legs[2:])
    half = connection.outgoing
    half.stream()
    pair.clock.run(until=pair.clock.now + settle_s)  # slow start is over
    began, delivered, timeouts = pair.clock.now, half.delivered, half.timeouts
    pair.clock.run(until=began + span_s)
    return (half.delivered - delivered) / MSS / span_s, half.timeouts - timeouts


@pytest.mark.parametrize("p", [1e-3, 2.5e-4])
def test_periodic_losses_leave_reno_the_square_root_law(p: float) -> None:
    """Mathis, Semke, Mahdavi and Ott 1997: sqrt(3/2) / (RTT sqrt(p)) with an acknowledgement for each segment."""
    found, timeouts = throughput(Reno, 0.02, p, random=False, span_s=60.0, settle_s=20.0)
    assert found == pytest.approx(sqrt(1.5 / p) / 0.02, rel=0.1)
    assert timeouts == 0


@pytest.mark.parametrize("p", [1e-3, 2.5e-4])
def test_independent_losses_leave_reno_a_little_more(p: float) -> None:
    """Ott, Kemperman and Mathis 1996: 1.3098 / (RTT sqrt(p)), the stationary mean of the ideal window."""
    found, _ = throughput(Reno, 0.02, p, random=True, span_s=150.0, settle_s=20.0)
    assert found == pytest.approx(1.3098 / sqrt(p) / 0.02, rel=0.1)


@pytest.mark.parametrize("p", [1e-3, 1e-4])
def test_cubic_follows_its_response_function(p: float) -> None:
    """RFC 9438, 5.1: the mean window is (C (3 + β) / (4 (1 - β)))^¼ RTT^¾ / p^¾ where that exceeds Reno's."""
    rtt_s = 0.2
    window = (Cubic.C * (3.0 + Cubic.BETA) / (4.0 * (1.0 - Cubic.BETA))) ** 0.25 * (rtt_s / p) ** 0.75
    found, _ = throughput(Cubic, rtt_s, p, random=False, span_s=200.0, settle_s=60.0)
    assert found == pytest.approx(max(window, sqrt(1.5 / p)) / rtt_s, rel=0.15)


@pytest.mark.parametrize(("p", "timed_out"), [(0.03, False), (0.2, True)])
def test_timeouts_cost_what_padhye_and_others_say_at_most(p: float, timed_out: bool) -> None:
    """Padhye, Firoiu, Towsley and Kurose 1998: 1 / (RTT sqrt(2p/3) + RTO min(1, 3 sqrt(3p/8)) p (1 + 32 p²)).

    Their losses take the rest of a round with them and their sender knows no selective acknowledgements, so it is a
    lower bound here; without any timeout the law of independent losses is the upper one.
    """
    rtt_s, rto_s = 0.02, 0.2
    lower = 1.0 / (rtt_s * sqrt(2.0 * p / 3.0) + rto_s * min(1.0, 3.0 * sqrt(3.0 * p / 8.0)) * p * (1.0 + 32.0 * p**2))
    found, timeouts = throughput(Reno, rtt_s, p, random=True, span_s=100.0, settle_s=5.0)
    assert (timeouts > 2) is timed_out  # few: a probe notices what is lost at the end of a window
    assert lower < found < 1.1 * 1.3098 / sqrt(p) / rtt_s
