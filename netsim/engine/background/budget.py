"""Which edges are followed where there are more than a run can follow: a random sample with known chances.

An edge costs about the same whether it matters or not: paths, caches, connections of its own, and at least a few
clients. So clusters with thousands of edges follow a *budget* of clients, and a random sample of the edges. The clients
an edge can expect to have followed are proportional to its rate (three quarters of the budget) and to its number of
clients (one quarter): edges that bring most of the traffic are certain to be there, and no transaction comes to stand
for more than four times what it would in an even sample (a defensive mixture, Hesterberg 1995, "Weighted average
importance sampling and defensive mixture distributions"). An edge that is drawn is followed with a few clients at
once. Drawing is systematic with unequal chances from a random order (Madow 1949; Cochran 1977, section 9A.8): every
edge's chance is exactly what was planned, and the number of drawn edges is fixed but for rounding.

A followed transaction stands for the inverse of its client's chance. Figures over several edges count those of each
edge in proportion to that (`Draw.counted`), so that they speak of the whole cluster's mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, fsum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netsim.engine.randomness.streams import Streams

BY_RATE = 0.75
"""Share of the budget that goes by rate, not by number of clients."""
TOGETHER = 8
"""Clients that are followed of an edge once it is drawn, if it has as many."""
CERTAIN = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Share:
    """What an edge gets of a budget: the clients followed if it is drawn, and the chance that it is."""

    clients: int
    chance: float


def shares(clients: Sequence[int], rates: Sequence[float], budget: int) -> tuple[Share, ...]:
    """Divide a budget of followed clients among edges with so many clients and transactions per second each.

    The expected number of followed clients is the budget, or all clients if there are fewer.
    """
    expected = _expected(clients, _sizes(clients, rates), float(budget))
    found = []
    for count, mean in zip(clients, expected, strict=True):
        together = min(count, max(TOGETHER, ceil(mean * CERTAIN)))
        chance = mean / together
        found.append(Share(together, 1.0 if chance >= CERTAIN or mean > TOGETHER else chance))
    return tuple(found)


def _sizes(clients: Sequence[int], rates: Sequence[float]) -> list[float]:
    all_clients, rate = sum(clients), fsum(rates)
    return [
        (BY_RATE * own / rate if rate else 0.0) + (1.0 - BY_RATE) * count / all_clients
        for count, own in zip(clients, rates, strict=True)
    ]


def _expected(clients: Sequence[int], sizes: Sequence[float], budget: float) -> list[float]:
    """Return followed clients in proportion to sizes, of no edge more than it has; what it cannot use others get."""
    full: set[int] = set()
    while True:
        rest = [index for index in range(len(sizes)) if index not in full]
        left = budget - sum(clients[index] for index in sorted(full))
        total = fsum(sizes[index] for index in rest)
        more = [index for index in rest if left * sizes[index] >= clients[index] * total]
        if not more:
            return [
                float(count) if index in full else left * size / total
                for index, (count, size) in enumerate(zip(clients, sizes, strict=True))
            ]
        full.update(more)


def drawn(planned: Sequence[Share], labels: Sequence[str], streams: Streams) -> frozenset[int]:
    """Return which edges are followed (positions): each with its own chance, about as many as the chances add up to.

    The order is random among edges with as many clients, so that the number of clients varies little, too.
    """
    order = sorted(
        range(len(planned)),
        key=lambda index: (planned[index].clients, streams.hash("edge", labels[index]), index),
    )
    start = streams.hash("edges") * 2.0**-64
    found, passed = set(), 0.0
    for index in order:
        chance = planned[index].chance
        if chance >= 1.0:
            found.add(index)
            continue
        before, passed = passed, passed + chance
        if floor(passed + start) > floor(before + start):
            found.add(index)
    return frozenset(found)
