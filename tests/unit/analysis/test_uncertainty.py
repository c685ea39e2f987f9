"""Draws of costs, intervals and the costs that matter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from netsim.analysis.uncertainty import draws_of, influences, interval, latin_hypercube, quantile_of, uncertain
from netsim.datapath.costs import Estimate, Figure, load_profile


def figure(low: float, value: float, high: float) -> Figure:
    return Figure(meaning="m", estimates=(Estimate(source="s", value=value, low=low, high=high),))


def test_quantiles_of_a_range() -> None:
    assert quantile_of(10, 20, 80, 0.05) == 10
    assert quantile_of(10, 20, 80, 0.5) == 20
    assert quantile_of(10, 20, 80, 0.95) == pytest.approx(80)
    assert quantile_of(10, 20, 80, 0.725) == pytest.approx(40)
    assert quantile_of(0, 20, 80, 0.275) == pytest.approx(10)


def test_every_share_of_a_range_is_drawn_once() -> None:
    table = latin_hypercube({"a": figure(1, 2, 3), "b": figure(5, 5, 5), "c": figure(1, 4, 9)}, 50, seed=3)
    assert table.keys == ("a", "c")
    for column in table.unit.T:
        assert sorted((column * 50).astype(int)) == list(range(50))


def test_draws_depend_on_the_seed_alone() -> None:
    figures = {"a": figure(1, 2, 3)}
    one, other, third = (latin_hypercube(figures, 8, seed=seed).values for seed in (1, 1, 2))
    assert (one == other).all()
    assert (one != third).any()


def test_a_further_figure_moves_no_other() -> None:
    few = {"a": figure(1, 2, 3), "c": figure(1, 4, 9)}
    one, other = (next(latin_hypercube(each, 8).draws()) for each in (few, {"b": figure(2, 3, 4), **few}))
    assert {key: other[key] for key in one} == one


def test_a_profile_can_be_drawn_and_priced() -> None:
    profile = load_profile("server")
    for draw in draws_of(profile, 3).draws():
        prices = profile.prices(overrides=draw)
        assert prices["veth.packet"] > 0


def test_excluded_sources_are_not_drawn() -> None:
    both = Figure(
        meaning="m",
        estimates=(Estimate(source="a", value=1, low=1, high=1), Estimate(source="b", value=5, low=4, high=6)),
    )
    assert latin_hypercube({"x": both}, 4).keys == ()
    assert latin_hypercube({"x": both}, 4, excluded=("a",)).values.min() >= 4


def test_interval_of_samples() -> None:
    found = interval(5.0, [float(number) for number in range(101)])
    assert (found.low, found.high) == pytest.approx((5.0, 95.0))


def test_the_cost_that_decides_is_named_first() -> None:
    table = latin_hypercube({"a": figure(1, 2, 3), "b": figure(1, 2, 3), "c": figure(1, 2, 3)}, 200)
    answers = np.log(table.values[:, 1] ** 2 * table.values[:, 0] ** 0.1)
    answers -= np.median(answers)
    first, second, _ = influences(table, answers)
    assert first.figure == "b"
    assert first.share > 0.9
    assert second.share < 0.1
    assert first.low < 0 < first.high


def test_any_answer_has_an_interval() -> None:
    profile = load_profile("server")

    def veth(values: Mapping[str, float]) -> float:
        return profile.prices(overrides=values)["veth.packet"]

    found, (first, *_) = uncertain(profile, veth, draws=100)
    assert found.low < found.value < found.high
    assert first.figure in ("veth.packet", "regime.closed_loop")
