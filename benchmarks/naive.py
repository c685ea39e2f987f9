"""The same workloads the obvious way: a SimPy process a packet, a Resource a hop."""

from __future__ import annotations

from collections.abc import Callable, Generator

import simpy

from benchmarks.workloads import Closed, Open

Steps = Generator[simpy.Event, None, None]


def _carry(env: simpy.Environment, resources: list[simpy.Resource], steps: list[tuple[int, float]]) -> Steps:
    for station, service in steps:
        with resources[station].request() as turn:
            yield turn
            yield env.timeout(service)


def open_loop(work: Open) -> Callable[[], list[float]]:
    """Build the model; return what gives the departures."""
    env = simpy.Environment()
    resources = [simpy.Resource(env, 1) for _ in work.service]
    departures = [0.0] * len(work.births)

    def packet(index: int) -> Steps:
        size = work.size[index]
        route = work.routes[work.kind[index]]
        yield from _carry(env, resources, [(s, work.service[s][size]) for s in route])
        departures[index] = env.now

    def source(mine: list[int]) -> Steps:
        for index in mine:
            yield env.timeout(work.births[index] - env.now)
            env.process(packet(index))

    by_source: dict[int, list[int]] = {}
    for index, where in enumerate(work.source):
        by_source.setdefault(where, []).append(index)
    for mine in by_source.values():
        env.process(source(mine))

    def run() -> list[float]:
        env.run()
        return departures

    return run


def closed_loop(work: Closed) -> Callable[[], list[float]]:
    """Build the model; return what gives the round-trip times, client by client."""
    env = simpy.Environment()
    resources = [simpy.Resource(env, 1) for _ in work.service]
    trips: list[list[float]] = [[] for _ in work.route]

    def client(number: int) -> Steps:
        route, service = work.route[number], work.service
        for think, q, p in zip(work.think[number], work.request[number], work.response[number], strict=True):
            yield env.timeout(think)
            began = env.now
            steps = [(s, service[s][q]) for s in route[:10]] + [(s, service[s][p]) for s in route[10:]]
            yield from _carry(env, resources, steps)
            trips[number].append(env.now - began)

    for number in range(len(work.route)):
        env.process(client(number))

    def run() -> list[float]:
        env.run()
        return [time for times in trips for time in times]

    return run
