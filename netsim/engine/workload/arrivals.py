"""When clients start transactions: open Poisson arrivals, or closed loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Notice
from netsim.engine.queueing.grid import on_grid
from netsim.engine.workload.calls import Client, Task, Wake, begin

if TYPE_CHECKING:
    from netsim.engine.network import Party

PAUSE_AFTER_FAILURE_S = on_grid(1e-3)
"""A closed-loop client that was refused would otherwise ask again at the same instant for ever."""


class Until:
    """The time after which no client starts anything; may be moved while the run goes on."""

    __slots__ = ("time",)

    def __init__(self, time: float) -> None:
        self.time = time


class OpenArrivals:
    """Independent Poisson clients of one edge, merged: the sum is Poisson, and each arrival is any client's alike."""

    __slots__ = ("_choose", "_clients", "_gap", "_performer", "_until")

    def __init__(self, performer: Client, clients: Sequence[Party], rate_per_s: float, until: Until) -> None:
        network = performer.network
        clock, streams, name = network.clock, network.streams, performer.name
        self._clients, self._performer, self._until = clients, performer, until
        self._gap = streams.exponential(f"{name}/arrivals", 1.0 / (rate_per_s * len(clients)))
        self._choose = streams.uniform(f"{name}/client")
        clock.at(clock.now + self._gap(), self.advance)

    def advance(self, now: float) -> float | None:
        """Start a transaction."""
        if now >= self._until.time:
            return None
        clients, clock = self._clients, self._performer.network.clock
        clock.trace = clock.origin
        begin(_transaction(self._performer, clients[int(self._choose() * len(clients))], now))
        return now + self._gap()


def _transaction(performer: Client, client: Party, now: float) -> Task:
    wake: Wake = yield
    yield from performer.exchange(client, wake, now)


def closed_loop(performer: Client, client: Party, think: Callable[[], float], until: Until) -> Task:
    """Let a client ask, wait for the answer, think, and ask again, as a task."""
    clock = performer.network.clock
    wake: Wake = yield
    while clock.now < until.time:
        Notice(clock, clock.now + think(), wake)
        now = yield
        clock.trace = clock.origin
        ended = yield from performer.exchange(client, wake, now)
        if ended < 0.0:
            Notice(clock, clock.now + PAUSE_AFTER_FAILURE_S, wake)
            yield
