"""Runs a lookup against servers that answer at once, on a clock that only timeouts move."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from netsim.cluster.dns.records import Response
from netsim.cluster.resolver.machine import Done, Lookup, Query

Network = Callable[[Query], Response | None]
"""Gives the response to a query, or nothing where the query or its answer is lost."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A query as sent: when, in seconds from the start, and its response (``None``: lost)."""

    query: Query
    at_s: float
    response: Response | None


@dataclass(frozen=True, slots=True)
class Walk:
    """A whole lookup: its end, the exchanges in the order sent, and how long it took in seconds."""

    done: Done
    exchanges: tuple[Exchange, ...]
    seconds: float


def walk(lookup: Lookup, network: Network) -> Walk:
    """Drive a lookup to its end."""
    clock = 0.0
    exchanges: list[Exchange] = []
    pending: deque[Exchange] = deque()
    deadlines: dict[int, float] = {}
    while True:
        step = lookup.next()
        if isinstance(step, Done):
            return Walk(step, tuple(exchanges), clock)
        if step is not None:
            if step.timeout_s is not None:
                deadlines[step.round] = clock + step.timeout_s
            sent = [Exchange(query, clock, network(query)) for query in step.queries]
            exchanges += sent
            pending += sent
        elif pending:
            exchange = pending.popleft()
            if exchange.response is not None:
                lookup.answered(exchange.query, exchange.response)
        else:
            round = min(deadlines, key=lambda number: (deadlines[number], number))
            clock = deadlines.pop(round)
            lookup.timed_out(round)
