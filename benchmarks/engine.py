"""The workloads on netsim's engine: each function builds one and returns what runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workloads import Closed, Open
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.chains import ClosedClient, Fifo, OpenFeed, Stretch
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Core, CoreCharge
from netsim.engine.queueing.vector import merged, tandem


def _stations(service: list[list[float]]) -> list[Fifo]:
    return [Fifo(str(number)) for number in range(len(service))]


class _Stretches:
    """Stretches by their stations and size class, made once."""

    def __init__(self, stations: list[Fifo], service: list[list[float]]) -> None:
        self._stations, self._service = stations, service
        self._known: dict[int, list[Stretch]] = {}

    def of(self, route: tuple[int, ...]) -> list[Stretch]:
        """Return the stretch along ``route`` for each size class."""
        known = self._known.get(route[0])
        if known is None:
            known = self._known[route[0]] = [
                tuple((self._stations[s], self._service[s][z]) for s in route) for z in range(3)
            ]
        return known


Run = Callable[[], list[float]]


def open_loop(work: Open) -> Run:
    """Return what gives the departures, with an event only where streams merge."""
    clock = Clock()
    stretches = _Stretches(_stations(work.service), work.service)
    table = [tuple(zip(*(stretches.of(route[a:b]) for a, b in work.cuts), strict=True)) for route in work.routes]
    ways = [table[kind][size] for kind, size in zip(work.kind, work.size, strict=True)]
    by_source: dict[int, list[int]] = {}
    for index, source in enumerate(work.source):
        by_source.setdefault(source, []).append(index)
    spare: list[Any] = []
    outputs = []
    for mine in by_source.values():
        own = [ways[index] for index in mine]
        outputs.append((mine, [0.0] * len(mine)))
        OpenFeed(clock, [work.births[index] for index in mine], own.__getitem__, outputs[-1][1], spare)

    def run() -> list[float]:
        clock.run()
        departures = [0.0] * len(ways)
        for mine, times in outputs:
            for index, time in zip(mine, times, strict=True):
                departures[index] = time
        return departures

    return run


def closed_loop(work: Closed) -> Run:
    """Return what gives the round-trip times, client by client."""
    clock = Clock()
    stations = _stations(work.service)
    trips: list[list[float]] = []
    for client, route in enumerate(work.route):
        pairs = [[(stations[s], work.service[s][z]) for s in route] for z in range(3)]
        (a, b), (_, c), (_, d) = work.cuts
        ways = [
            [(tuple(pairs[q][a:b]), tuple(pairs[q][b:c]), tuple(pairs[q][c:10] + pairs[p][10:d])) for p in range(3)]
            for q in range(3)
        ]
        own = [ways[q][p] for q, p in zip(work.request[client], work.response[client], strict=True)]
        trips.append([])
        ClosedClient(clock, work.think[client], own.__getitem__, trips[-1])

    def run() -> list[float]:
        clock.run()
        return [time for times in trips for time in times]

    return run


def every_hop(work: Open) -> Run:
    """Return what gives the departures, with an event at every hop: on cores, whose threads can be preempted."""
    clock = Clock()
    cores = [Core(str(number)) for number in range(len(work.service))]
    legs = [(*(cores[s].thread for s in route), deliver) for route in work.routes]
    charges = [[tuple(CoreCharge(each)) for each in row] for row in work.service]
    prices = [[(*(charges[s][size] for s in route), None) for size in range(3)] for route in work.routes]
    by_source: dict[int, list[int]] = {}
    for index, where in enumerate(work.source):
        by_source.setdefault(where, []).append(index)
    departures = [0.0] * len(work.births)
    for mine in by_source.values():
        source = _Source(clock, work, mine, legs=legs, prices=prices, out=departures)
        clock.at(work.births[mine[0]], source.advance)

    def run() -> list[float]:
        clock.run()
        return departures

    return run


class _Source:
    """Launches the bursts of one source, one pending event at a time."""

    def __init__(
        self, clock: Clock, work: Open, mine: list[int], *, legs: list[Any], prices: list[Any], out: list[float]
    ) -> None:  # fmt: skip
        self.clock, self.work, self.mine, self.legs, self.prices, self.out = clock, work, mine, legs, prices, out
        self.next = 0

    def advance(self, now: float) -> float | None:
        """Launch a burst."""
        work, index = self.work, self.mine[self.next]
        kind = work.kind[index]
        prices = self.prices[kind][work.size[index]]
        Burst(self.clock, self.legs[kind], prices, 0, partial(self.out.__setitem__, index))
        self.next += 1
        return work.births[self.mine[self.next]] if self.next < len(self.mine) else None


def vectorised(work: Open) -> Run:
    """Return what gives the departures by the recursion in numpy."""
    service = np.array(work.service)
    size, routes = np.array(work.size), np.array(work.routes)[np.array(work.kind)]
    births = np.array(work.births)

    def run() -> list[float]:
        times = births
        if len(work.cuts) == 1:
            return tandem(times, [service[station][size] for station in work.routes[0]]).tolist()  # type: ignore[no-any-return]
        for low, high in work.cuts:
            times = merged(times, routes[:, low], service[routes[:, low:high], size[:, None]])
        return times.tolist()  # type: ignore[no-any-return]

    return run
