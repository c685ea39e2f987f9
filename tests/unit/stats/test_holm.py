from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.stats.holm import holm_adjusted


def test_holm_by_hand() -> None:
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_keeps_order_and_never_helps(p_values: list[float]) -> None:
    adjusted = holm_adjusted(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    ranked = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert all(adjusted[a] <= adjusted[b] for a, b in pairwise(ranked))


def test_family_wise_rate_of_many_true_nulls() -> None:
    rng = np.random.default_rng(8)
    alarms = sum(min(holm_adjusted(rng.random(40).tolist())) <= 0.05 for _ in range(2000))
    assert 0.035 < alarms / 2000 < 0.065
