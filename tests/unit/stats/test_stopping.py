from __future__ import annotations

import pytest

from netsim.stats.estimates import Estimate, from_replications
from netsim.stats.stopping import Precision, replications_needed


def test_the_first_round_has_at_least_five_unless_the_budget_forbids() -> None:
    assert Precision(0.05, 200).first(2) == 5
    assert Precision(0.05, 200).first(8) == 8
    assert Precision(0.05, 3).first(8) == 3


def test_narrow_intervals_stop() -> None:
    assert Precision(0.05, 200).more(5, [Estimate(1.0, 0.001, 4)]) == 0
    assert Precision(0.05, 200).more(5, []) == 0


def test_wide_intervals_add_what_is_predicted_at_most_double_within_budget() -> None:
    slightly = Estimate(1.0, 0.05 / 1.05 / 2.776 * 1.1, 4)  # 1.1 times too wide: 1.21 times the replications
    assert Precision(0.05, 200).more(5, [slightly]) == 2
    assert Precision(0.05, 200).more(5, [Estimate(1.0, 1.0, 4)]) == 5
    assert Precision(0.05, 8).more(5, [Estimate(1.0, 1.0, 4)]) == 3
    assert Precision(0.05, 5).more(5, [Estimate(1.0, 1.0, 4)]) == 0


def test_an_unknown_error_asks_for_more() -> None:
    assert Precision(0.05, 200).more(5, [from_replications([1.0])]) == 5


def test_prediction() -> None:
    estimate = from_replications([9.0, 10.0, 11.0, 10.0, 10.0])
    wide = estimate.interval().relative_half_width
    assert replications_needed(estimate, wide / 2) == 20
    with pytest.raises(ValueError, match="interval"):
        replications_needed(from_replications([1.0]), 0.1)
