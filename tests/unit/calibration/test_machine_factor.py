"""The machine factor from a measured time: work and waiting share what the model does not explain."""

from __future__ import annotations

import pytest

from netsim.calibration.published.bench import Cost
from netsim.calibration.published.machine_factor import work_factor

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
