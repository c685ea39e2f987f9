"""The machine factor from a measured time: work and waiting share what the model does not explain."""

from __future__ import annotations

import pytest

from netsim.calibration.published.machine_factor import slowest_factor, work_factor
from netsim.calibration.published.question import Cost

ROUND_TRIP = Cost(work=12e-6, waiting=9e-6)


def factor(seconds: float, *, surely: bool = True, cost: Cost = ROUND_TRIP) -> float:
    return work_factor(seconds, cost, 1.0, surely=surely)


def test_work_alone_gives_the_factor() -> None:
    assert factor(24e-6, cost=Cost(12e-6)) == pytest.approx(2.0)


def test_a_machine_as_modelled_has_the_factor_of_its_clock() -> None:
    assert factor(21e-6) == pytest.approx(1.0, abs=1e-3)
    assert work_factor(0.5 * 12e-6 + 9e-6, ROUND_TRIP, 0.5, surely=True) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("seconds", [15e-6, 30e-6, 60e-6, 200e-6])
def test_the_rest_is_shared_and_more_of_it_is_waiting_where_the_clock_is_known(seconds: float) -> None:
    all_work = (seconds - ROUND_TRIP.waiting) / ROUND_TRIP.work
    known, unknown = factor(seconds), factor(seconds, surely=False)
    assert abs(known - 1) < abs(unknown - 1) < abs(all_work - 1)
    assert (known > 1) == (seconds > 21e-6)


def test_a_host_three_times_as_slow_saves_power_unless_its_clock_is_stated() -> None:
    """Of two explanations for a long time the likelier is taken: waiting beside a known clock, else a slow clock."""
    assert factor(66e-6) < 1.4
    assert factor(66e-6, surely=False) > 3


def test_no_more_is_work_than_was_measured() -> None:
    for seconds in (12e-6, 18e-6, 25e-6, 50e-6, 100e-6):
        assert factor(seconds) * ROUND_TRIP.work < seconds


def test_a_host_that_is_quick_has_little_waiting_before_it_has_a_clock_that_none_has() -> None:
    assert factor(13e-6, surely=False) > 0.7


PAGES = (Cost(8e-6), Cost(4e-6), Cost(2e-6, 7e-6))
"""Cores of a stream of a file's pages: sender, the card's, and a receiver that copies."""


@pytest.mark.parametrize("slower", [1.6, 2.0, 2.4])
def test_a_stream_whose_sender_copies_nothing_tells_its_work(slower: float) -> None:
    assert slowest_factor(slower * 8e-6, PAGES, 1.0, surely=False) == pytest.approx(slower, rel=0.01)


def test_slow_memory_explains_a_stream_before_a_processor_that_is_known() -> None:
    pages = (*PAGES[:2], Cost(2e-6, 10e-6))
    # twice the sender's work, or more than usual of both at the receiver: a stated clock speaks for memory
    assert slowest_factor(16e-6, pages, 1.0, surely=True) < 1.3
    assert slowest_factor(16e-6, pages, 1.0, surely=False) == pytest.approx(2.0, rel=0.01)


def test_copies_as_modelled_leave_the_factor_as_expected() -> None:
    assert slowest_factor(12e-6, (Cost(2e-6, 10e-6),), 1.0, surely=False) == pytest.approx(1.0, abs=0.02)
