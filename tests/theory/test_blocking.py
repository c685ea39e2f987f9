"""Back-pressure: two stations with a finite buffer between them, blocking after service, against exact results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from test_queues import CONFIDENCE, interval, outside

from benchmarks.blocking import naive_chain
from netsim.engine.queueing.audit import audit
from netsim.engine.queueing.bounded import Bounded
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import array_on_grid
from netsim.engine.randomness.streams import Streams

SEEDS = range(1, 16)
MOST_MISSES = int(stats.binom.ppf(0.999, len(SEEDS), 1.0 - CONFIDENCE))


class Launch:
    """Sends bursts at given times, one pending event."""

    def __init__(
        self, clock: Clock, births: list[float], legs: tuple[object, ...], works: list[tuple[float, ...]],
        arrived: Callable[[int, float], None],
    ) -> None:  # fmt: skip
        self.clock, self.births, self.legs, self.works, self.arrived = clock, births, legs, works, arrived
        self.index = 0
        clock.at(births[0], self.advance)

    def advance(self, now: float) -> float | None:
        index, self.index = self.index, self.index + 1
        charges = (*((work,) for work in self.works[index]), None)
        Burst(self.clock, self.legs, charges, 0, lambda end: self.arrived(index, end))  # type: ignore[arg-type]
        return self.births[self.index] if self.index < len(self.births) else None


def tandem(
    births: np.ndarray, works: np.ndarray, places: tuple[float, ...], until: float | None = None
) -> tuple[list[float], tuple[Bounded, ...], Clock]:
    """Departures of a chain of stations with so many places each."""
    clock = Clock()
    stations = tuple(Bounded(clock, str(number), room) for number, room in enumerate(places))
    ends = [np.nan] * len(births)
    rows = [tuple(row) for row in works.tolist()]
    Launch(clock, births.tolist(), (*(each.enter for each in stations), deliver), rows, ends.__setitem__)
    clock.run(until=until)
    return ends, stations, clock


def draws(seed: int, count: int, rate: float, means: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    streams = Streams(seed)
    births = np.cumsum(streams.exponential("arrivals", 1.0 / rate).take(count))
    works = [streams.exponential(f"work {number}", mean).take(count) for number, mean in enumerate(means)]
    return array_on_grid(births), array_on_grid(np.stack(works, axis=1))


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize("slowness", [1.0, 1.5])
def test_throughput_of_a_saturated_tandem(places: int, slowness: float) -> None:
    """The first station never idles: a birth-death chain over the bursts behind it, the blocked one included.

    Throughput is the second station's rate times its chance to be busy: with r = mean_2 / mean_1 and K places,
    (1 - r^(K+1)) / (1 - r^(K+2)) / mean_1, for equal means (K+1) / (K+2) (Perros 1994, chapter 2).
    """
    r, top = slowness, places + 1
    busy = top / (top + 1.0) if r == 1.0 else (r - r ** (top + 1)) / (1.0 - r ** (top + 1))
    found = []
    for seed in SEEDS:
        births, works = draws(seed, 6_000, 1e9, (1.0, slowness))
        ends, _, _ = tandem(births, works, (np.inf, places))
        found.append(interval(np.diff(ends)))
    assert outside(found, slowness / busy) <= MOST_MISSES


def mean_time(rate: float, places: int) -> float:
    """Mean time in a Poisson-fed tandem of two exponential servers (mean 1), first queue unlimited: the Markov chain.

    States are (bursts at the first station, bursts behind it with the blocked one): solved by truncation.
    """
    most, levels = 60, places + 2
    size = most * levels
    generator = np.zeros((size, size))
    for n in range(most):
        for m in range(levels):
            here = n * levels + m
            blocked = m == levels - 1  # the last is done at the first station, where it still stands
            if n + 1 < most:
                generator[here, here + levels] += rate
            if n > 0 and not blocked:
                generator[here, here - levels + 1] += 1.0
            if m > 0:
                generator[here, here - 1] += 1.0
    generator -= np.diag(generator.sum(axis=1))
    equations = np.vstack([generator.T, np.ones(size)])
    chances = np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)[0]
    present = sum(chances[n * levels + m] * (n + m) for n in range(most) for m in range(levels))
    return float(present / rate)


def test_time_in_a_tandem_with_a_finite_buffer() -> None:
    rate, places = 0.5, 2
    expected = mean_time(rate, places)
    found = []
    for seed in SEEDS:
        births, works = draws(seed, 30_000, rate, (1.0, 1.0))
        ends, _, _ = tandem(births, works, (np.inf, places))
        found.append(interval(np.array(ends) - births))
    assert outside(found, expected) <= MOST_MISSES


@pytest.mark.parametrize("places", [(np.inf, 1, 1, 1), (np.inf, 4, 2, 1)])
def test_the_engine_equals_a_process_a_packet(places: tuple[float, ...]) -> None:
    births, works = draws(3, 2_000, 0.7, (1.0,) * len(places))
    ends, stations, clock = tandem(births, works, places)
    assert ends == naive_chain(births.tolist(), works.tolist(), places)()
    assert stations[0].blocked_s["1"] > 0.0
    assert audit(clock, stations) == len(stations)


def test_books_hold_while_bursts_are_inside() -> None:
    births, works = draws(5, 500, 0.9, (1.0, 1.5))
    ends, stations, clock = tandem(births, works, (np.inf, 1), until=200.0)
    assert np.isnan(ends).any()
    assert audit(clock, stations) == 2


def test_who_waited_first_goes_first() -> None:
    """Two stations before one place: it is given in the order in which they were through."""
    clock = Clock()
    left, right, narrow = Bounded(clock, "left"), Bounded(clock, "right"), Bounded(clock, "narrow", 1)
    order: list[str] = []
    for name, station, work in (("first", left, 1.0), ("third", left, 2.5), ("second", right, 2.0)):
        charges = ((work,), (10.0,), None)
        Burst(clock, (station.enter, narrow.enter, deliver), charges, 0, lambda end, name=name: order.append(name))  # type: ignore[misc]
    clock.run()
    assert order == ["first", "second", "third"]
    assert (left.blocked_s, right.blocked_s) == ({"narrow": 21.0 - 3.5}, {"narrow": 11.0 - 2.0})


def test_nobody_stands_before_the_first_station() -> None:
    clock = Clock()
    narrow = Bounded(clock, "narrow", 1)
    lost: list[float] = []
    for _ in range(2):
        Burst(clock, (narrow.enter, deliver), ((1.0,), None), 7, lost=lost.append)
    clock.run()
    assert (narrow.dropped, narrow.dropped_bytes, lost) == (1, 7, [0.0])
