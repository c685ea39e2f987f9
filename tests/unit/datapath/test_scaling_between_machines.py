"""Costs move between machines by stated rules: work with the clock, waiting not at all, mitigations by their calls.

Pairs of published figures, the same benchmark on two machines, are predicted one from the other.
"""

from __future__ import annotations

import pytest

from netsim.datapath.costs import WAITING_US, WORK_US, load_profile, machine_factor

XEON_GHZ, EPYC_GHZ = (3.4, 5.0), (2.8, 3.35)
"""Base and turbo clock of a Xeon E-2278G and an EPYC 7402P (the vendors' data sheets)."""


def work(ghz: float) -> float:
    return load_profile("server").prices().at_clock(ghz)["socket.send.tcp"]


def on_the_other(xeon_us: float, which: int) -> float:
    """Predict the EPYC's round trip from the Xeon's: its work by the clock, its waiting as it is."""
    factor = machine_factor(xeon_us * 1e-6) * work(EPYC_GHZ[which]) / work(XEON_GHZ[which])
    return WAITING_US + factor * WORK_US


@pytest.mark.parametrize(("xeon_us", "epyc_us"), [(2 * 13.1, 2 * 16.6), (2 * 12.4, 2 * 15.4)], ids=["tcp", "udp"])
def test_round_trips_of_two_clocks(xeon_us: float, epyc_us: float) -> None:
    """Kube-OVN's documentation, host network, one byte: half round trips of 13.1 and 16.6 us (TCP), 12.4 and 15.4.

    The clock under load lies between base and turbo, and so does the prediction.
    """
    at_base, at_turbo = on_the_other(xeon_us, 0), on_the_other(xeon_us, 1)
    assert at_base == pytest.approx(epyc_us, rel=0.11)
    assert at_turbo == pytest.approx(epyc_us, rel=0.06)
    assert at_base < epyc_us < at_turbo
    assert abs(xeon_us / epyc_us - 1) > 0.19  # without the rule


def test_small_messages_of_two_clocks() -> None:
    """The same page: messages of one byte, which nothing but system calls limits, 28.2 and 24.8 Mbit/s."""
    assert 28.2 * work(XEON_GHZ[0]) / work(EPYC_GHZ[0]) == pytest.approx(24.8, rel=0.07)


def test_calls_of_two_clocks() -> None:
    """A call through a return trampoline: 8.46 ns at 3.6 GHz (xdp-project, Xeon), 7.40 at 3.23 (EPYC, kernel-steps).

    Processors differ in what a mispredicted return costs by more than their clocks: a figure of mitigations is one of
    a processor, and its range says so.
    """
    figure = load_profile("server").figures["call.retpoline"]
    for found, ghz in ((8.46, 3.6), (7.40, 3.23)):
        assert figure.estimates[0].low <= found * ghz / 3.0 <= figure.estimates[0].high


def test_memory_and_waiting_do_not_go_with_the_clock() -> None:
    slow, fast = (load_profile("server").prices().at_clock(ghz) for ghz in (2.0, 4.0))
    assert slow["route.packet"] == pytest.approx(2 * fast["route.packet"])
    for key in ("socket.receive.byte", "cache.miss", "interrupt.latency", "wakeup.latency", "nic.receive_latency"):
        assert slow[key] == fast[key], key


def test_mitigations_are_fifty_dearer_calls_of_a_pass() -> None:
    """The factor of an old kernel with trampolines follows from the calls of a pass and what each costs more."""
    server, old = load_profile("server"), load_profile("kernel-old")
    calls = 50
    dearer = [server.figures[key].estimates[0].value * 3.0 / 3.6 for key in ("call.retpoline", "call.direct")]
    stated = old.figures["machine.factor"].chosen().value
    assert 1 + calls * (dearer[0] - dearer[1]) / 1868 == pytest.approx(stated, rel=0.02)
    assert old.prices()["route.packet"] / server.prices()["route.packet"] == pytest.approx(1.2)
    assert old.prices()["interrupt.latency"] == server.prices()["interrupt.latency"]
