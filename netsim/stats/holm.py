"""Many tests, one false-alarm rate: Holm's step-down procedure."""

from __future__ import annotations

from collections.abc import Sequence


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values, in the order given: reject where one is at most the family-wise level.

    Holm (Scandinavian Journal of Statistics 6, 1979): the k-th smallest of m is multiplied by m - k + 1, and none may
    be smaller than one before it. Valid under any dependence between the tests, which figures of one run have.
    """
    m = len(p_values)
    adjusted = [1.0] * m
    running = 0.0
    for rank, index in enumerate(sorted(range(m), key=lambda i: (p_values[i], i))):
        running = max(running, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
