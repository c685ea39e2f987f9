"""Receive livelock: interrupts before threads on one core, against what is left to the thread."""

from __future__ import annotations

import pytest

from netsim.engine.kernel.sockets import Socket
from netsim.engine.queueing.audit import audit
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Core, CoreCharge
from netsim.engine.randomness.streams import Streams

INTERRUPT_S, ANSWER_S, SPAN_S = 2e-6, 6e-6, 0.15
RING = 256


def answers(rate: float) -> tuple[float, Core]:
    """Return the answers a second of a core that gets so many packets a second, Poisson, and the core."""
    clock, core = Clock(), Core("core")
    socket = Socket(core)
    count = int(rate * SPAN_S)
    gaps = Streams(1).exponential("arrivals", 1.0 / rate).take(count).tolist()
    charges = (CoreCharge(INTERRUPT_S, limit_s=RING * INTERRUPT_S), CoreCharge(ANSWER_S), None)
    done: list[float] = []

    class Feed:
        left = iter(gaps)

        def advance(self, now: float) -> float | None:
            Burst(clock, (core.softirq, socket.read, deliver), charges, 64, done.append)
            gap = next(self.left, None)
            return None if gap is None else now + gap

    clock.at(gaps[0], Feed().advance)
    clock.run(until=SPAN_S)
    audit(clock, [core])
    return len(done) / SPAN_S, core


@pytest.mark.parametrize("rate", [50e3, 120e3, 200e3, 400e3])
def test_the_thread_gets_what_interrupts_leave(rate: float) -> None:
    """Answers are min(λ, (1 - λ s) / t): Mogul and Ramakrishnan 1997 for a core that does nothing else."""
    found, core = answers(rate)
    assert found == pytest.approx(min(rate, (1.0 - rate * INTERRUPT_S) / ANSWER_S), rel=0.05)
    assert (core.unread > 0) is (rate * (INTERRUPT_S + ANSWER_S) > 1.0)
    assert core.unread == core.dropped  # the ring has room while interrupts alone do not fill the core


def test_the_ring_bounds_what_interrupts_take() -> None:
    """What comes faster than the core can take it in is lost at the card, unpaid; nothing is left to the thread."""
    found, core = answers(700e3)
    assert found < 0.02 / ANSWER_S
    assert core.dropped - core.unread == pytest.approx((700e3 - 1.0 / INTERRUPT_S) * SPAN_S, rel=0.02)
