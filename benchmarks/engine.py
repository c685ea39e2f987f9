"""The workloads on netsim's engine: each function builds one and returns what runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workloads import Closed, Open
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.chains import ClosedClient, Fifo, OpenFeed, Round, Stretch
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
    table = []
    for route in work.routes:
        table += zip(*(stretches.of(route[a:b]) for a, b in work.cuts), strict=True)
    number = [3 * kind + size for kind, size in zip(work.kind, work.size, strict=True)]
    by_source: dict[int, list[int]] = {}
    for index, source in enumerate(work.source):
        by_source.setdefault(source, []).append(index)
    spare: list[Any] = []
    outputs = []
    for mine in by_source.values():
        used = {each: place for place, each in enumerate(dict.fromkeys(number[index] for index in mine))}
        kinds, ways = [used[number[index]] for index in mine], [table[each] for each in used]
        outputs.append((mine, [0.0] * len(mine)))
        OpenFeed(clock, [work.births[index] for index in mine], kinds, ways, outputs[-1][1], spare=spare)

    def run() -> list[float]:
        clock.run()
        departures = [0.0] * len(number)
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
        rounds = [_round(there, back, *work.cuts) for there in pairs for back in pairs]
        kinds = [3 * q + p for q, p in zip(work.request[client], work.response[client], strict=True)]
        trips.append([])
        ClosedClient(clock, work.think[client], kinds, rounds, trips[-1])

    def run() -> list[float]:
        clock.run()
        return [time for times in trips for time in times]

    return run


def _round(there: Stretch, back: Stretch, *cuts: tuple[int, int]) -> Round:
    """Return the round of a request and a response of some sizes; the client is alone in the first and last cut."""
    hops = (*there[:10], *back[10:])
    before, *shared, after = (hops[a:b] for a, b in cuts)
    return Round(sum(service for _, service in before), shared, sum(service for _, service in after))


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
        births = [work.births[index] for index in mine]
        packets = [(legs[work.kind[index]], prices[work.kind[index]][work.size[index]], index) for index in mine]
        clock.at(births[0], _Source(clock, births, packets, departures).advance)

    def run() -> list[float]:
        clock.run()
        return departures

    return run


class _Source:
    """Launches the bursts of one source, one pending event at a time; packets are legs, charges and an index."""

    __slots__ = ("_clock", "_later", "_packets", "_put")

    def __init__(
        self, clock: Clock, births: list[float], packets: list[tuple[Any, Any, int]], out: list[float]
    ) -> None:  # fmt: skip
        self._clock, self._put = clock, out.__setitem__
        self._packets, self._later = iter(packets), iter(births[1:])

    def advance(self, now: float) -> float | None:
        """Launch a burst."""
        legs, prices, index = next(self._packets)
        Burst(self._clock, legs, prices, 0, partial(self._put, index))
        return next(self._later, None)


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
