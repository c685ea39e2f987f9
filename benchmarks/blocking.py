"""The chain with back-pressure: every hop but the first has room for four packets, and one that is full stops the last.

Blocking after service: a packet that is through keeps its server until the next station has a place. On the engine a
station of its own kind (`netsim.engine.queueing.bounded`); the obvious way a process a packet that holds one Resource
until it has got the next one's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from math import inf

import simpy

from benchmarks.workloads import Open
from netsim.engine.queueing.bounded import Bounded
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.clock import Clock

PLACES = 4
"""Packets a station holds, that in service included; the first one holds all that come."""


class _Source:
    """Launches the packets of the chain, one pending event."""

    def __init__(self, clock: Clock, work: Open, out: list[float]) -> None:
        stations = [Bounded(clock, str(number), PLACES if number else inf) for number in range(len(work.service))]
        self.clock, self.births, self.size, self.out = clock, work.births, work.size, out
        self.legs = (*(station.enter for station in stations), deliver)
        self.charges = [(*((row[size],) for row in work.service), None) for size in range(3)]
        self.next = 0

    def advance(self, now: float) -> float | None:
        """Launch a packet."""
        index, self.next = self.next, self.next + 1
        Burst(self.clock, self.legs, self.charges[self.size[index]], 0, partial(self.out.__setitem__, index))
        return self.births[self.next] if self.next < len(self.births) else None


def engine(work: Open) -> Callable[[], list[float]]:
    """Return what gives the departures of the chain on netsim's engine."""
    clock, departures = Clock(), [0.0] * len(work.births)
    source = _Source(clock, work, departures)
    clock.at(work.births[0], source.advance)

    def run() -> list[float]:
        clock.run()
        return departures

    return run


def naive(work: Open) -> Callable[[], list[float]]:
    """Return what gives the departures of the chain the obvious way."""
    by_size = [tuple(row[size] for row in work.service) for size in range(3)]
    return naive_chain(work.births, [by_size[size] for size in work.size], [inf, *[PLACES] * (len(work.service) - 1)])


def naive_chain(
    births: Sequence[float], works: Sequence[Sequence[float]], places: Sequence[float]
) -> Callable[[], list[float]]:
    """Return what gives the departures of any chain, a process a packet; ``works`` are service times by packet."""
    env = simpy.Environment()
    last = len(places) - 1
    servers = [simpy.Resource(env, 1) for _ in places]
    rooms = [simpy.Resource(env, int(min(room, len(births) + 1))) for room in places]
    departures = [0.0] * len(births)

    def packet(index: int) -> Generator[simpy.Event, None, None]:
        room = rooms[0].request()
        yield room
        for station, service_s in enumerate(works[index]):
            turn = servers[station].request()
            yield turn
            yield env.timeout(service_s)
            place = rooms[station + 1].request() if station < last else None
            if place is not None:
                yield place
            servers[station].release(turn)
            rooms[station].release(room)
            if place is not None:
                room = place
        departures[index] = env.now

    def source() -> Generator[simpy.Event, None, None]:
        for index, birth in enumerate(births):
            yield env.timeout(birth - env.now)
            env.process(packet(index))

    env.process(source())

    def run() -> list[float]:
        env.run()
        return departures

    return run
