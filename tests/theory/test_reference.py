"""The engine against a process per packet on the same time grid and with the same tie rule: equal to the last bit.

The reference is the obvious SimPy program: a generator a burst, a `Resource` a station. Its timeouts carry the burst's
number as their serial, which is the tie rule of `netsim.engine.queueing.clock`.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from heapq import heappush

import numpy as np
import pytest
import simpy
from brute_force import preemptive

from netsim.engine.queueing import chains
from netsim.engine.queueing.burst import Burst, Notice, deliver
from netsim.engine.queueing.chains import ClosedClient, Fifo, OpenFeed, Round
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import TICK_S, on_grid
from netsim.engine.queueing.stations import Core, CoreCharge
from netsim.engine.queueing.vector import lindley, merged


class Reference(simpy.Environment):
    """Timeouts with a serial of their own."""

    def pause(self, delay: float, serial: int) -> simpy.Event:
        event = simpy.Event(self)
        event._ok, event._value = True, None
        heappush(self._queue, (self.now + delay, 1, serial, event))
        return event


def carried(
    env: Reference, stations: list[simpy.Resource], route: list[tuple[int, float]], serial: int
) -> Generator[simpy.Event, None, None]:
    for station, service in route:
        with stations[station].request() as turn:
            yield turn
            yield env.pause(service, serial)


SINKS = range(6, 9)
SERVICES = {station: on_grid(1e-6 * (1.0 + 0.37 * station)) for station in range(9)}


def routes(seed: int, count: int) -> list[tuple[float, list[list[tuple[int, float]]]]]:
    """Bursts of three sources (0 to 2 and 3 to 5 their private stations) to three sinks that all share."""
    rng = random.Random(seed)
    now, found = 0.0, []
    for _ in range(count):
        now += on_grid(rng.expovariate(0.35e6))
        source, sink = rng.randrange(3), rng.choice(SINKS)
        scale = rng.choice((0.5, 1.0, 2.0))
        steps = [(station, on_grid(SERVICES[station] * scale)) for station in (source, source + 3, sink)]
        found.append((now, [steps[:2], steps[2:]]))
    return found


@pytest.mark.parametrize(("seed", "block"), [(0, 8192), (1, 8192), (2, 8192), (3, 7), (4, 1)])
def test_merging_streams(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "BLOCK", block)
    bursts = routes(seed, 3000)
    env = Reference()
    resources = [simpy.Resource(env) for _ in SERVICES]
    left = [0.0] * len(bursts)

    def burst(index: int) -> Generator[simpy.Event, None, None]:
        born, way = bursts[index]
        yield env.pause(born, index)
        yield from carried(env, resources, [step for stretch in way for step in stretch], index)
        left[index] = env.now

    for index in range(len(bursts)):
        env.process(burst(index))
    env.run()

    clock = Clock()
    stations = {station: Fifo(str(station)) for station in SERVICES}
    found = [0.0] * len(bursts)
    outputs = []
    for source in range(3):
        mine = [index for index, (_, way) in enumerate(bursts) if way[0][0][0] == source]
        ways = [[[(stations[s], service) for s, service in stretch] for stretch in bursts[index][1]] for index in mine]
        outputs.append((mine, [0.0] * len(mine)))
        OpenFeed(clock, [bursts[index][0] for index in mine], range(len(mine)), ways, outputs[-1][1])
    clock.run()
    for mine, times in outputs:
        for index, time in zip(mine, times, strict=True):
            found[index] = time
    assert found == left

    times = np.array([born for born, _ in bursts])
    for part in range(2):
        stretches = [way[part] for _, way in bursts]
        first = np.array([stretch[0][0] for stretch in stretches])
        times = merged(times, first, np.array([[service for _, service in stretch] for stretch in stretches]))
    assert times.tolist() == left


def test_a_stream_whose_ways_differ_in_length() -> None:
    """What ends before the first merge leaves when its head says; the others go on; waits are those of both."""
    clock, first, second = Clock(), Fifo("first"), Fifo("second")
    ways = [[[(first, 2.0)]], [[(first, 2.0)], [(second, 3.0)]]]
    left = [0.0] * 4
    OpenFeed(clock, [0.0, 1.0, 1.5, 9.0], [0, 1, 1, 0], ways, left)
    clock.run()
    assert left == [2.0, 7.0, 10.0, 11.0]
    assert (first.waited_s, second.waited_s) == (1.0 + 2.5, 1.0)


def test_a_stream_owns_the_stations_it_begins_with() -> None:
    ways = [[[(Fifo("one"), 1.0)]], [[(Fifo("other"), 1.0)]]]
    with pytest.raises(ValueError, match="same stations"):
        OpenFeed(Clock(), [0.0], [0], ways, [0.0])


def test_closed_loop() -> None:
    rng = random.Random(7)
    clients, trips = 6, 300
    thinks = [[on_grid(rng.expovariate(2e5)) for _ in range(trips)] for _ in range(clients)]
    works = [[on_grid(rng.uniform(0.5e-6, 3e-6)) for _ in range(trips)] for _ in range(clients)]
    env = Reference()
    shared = simpy.Resource(env)
    expected: list[list[float]] = [[] for _ in range(clients)]

    def client(number: int) -> Generator[simpy.Event, None, None]:
        for think, work in zip(thinks[number], works[number], strict=True):
            yield env.pause(think, number)
            began = env.now
            yield from carried(env, [shared], [(0, work)], number)
            expected[number].append(env.now - began)

    for number in range(clients):
        env.process(client(number))
    env.run()
    clock, station = Clock(), Fifo("shared")
    found: list[list[float]] = [[] for _ in range(clients)]
    for number in range(clients):
        rounds = [Round(0.0, [((station, work),)]) for work in works[number]]
        ClosedClient(clock, thinks[number], range(trips), rounds, found[number])
    clock.run()
    assert found == expected


@pytest.mark.parametrize("seed", range(8))
def test_interrupts_preempt_threads(seed: int) -> None:
    rng = random.Random(seed)
    now, jobs = TICK_S, []
    for _ in range(250):
        now += on_grid(rng.expovariate(0.45e6))
        jobs.append((now, rng.random() < 0.5, on_grid(rng.choice((0.5e-6, 1e-6, 6e-6)))))
    clock, core = Clock(), Core("core")
    found = [0.0] * len(jobs)

    def launch(index: int, urgent: bool, work: float) -> None:
        leg = core.softirq if urgent else core.thread
        Burst(clock, (leg, deliver), (CoreCharge(work), None), 0, lambda at: found.__setitem__(index, at))

    for index, (born, urgent, work) in enumerate(jobs):
        Notice(clock, born, lambda at, i=index, u=urgent, w=work: launch(i, u, w))
    clock.run()
    assert found == preemptive(jobs)
    assert core.sojourn_s == core.occupancy_s
    assert core.busy_s == sum(work for _, _, work in jobs)


def test_recursion_in_blocks_equals_the_whole() -> None:
    rng = np.random.default_rng(3)
    arrivals = np.cumsum(np.floor(rng.exponential(1.2, 1000) * 2**20) / 2**20)
    services = np.floor(rng.exponential(1.0, 1000) * 2**20) / 2**20
    whole = lindley(arrivals, services)
    head = lindley(arrivals[:400], services[:400])
    assert np.array_equal(np.concatenate([head, lindley(arrivals[400:], services[400:], float(head[-1]))]), whole)
