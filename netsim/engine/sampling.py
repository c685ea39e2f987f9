"""How long a replication runs, and which clients it follows.

A run must be long enough for queues, pools and caches to settle and short enough to be waited for. Small clusters are
followed whole. In a large one the wanted number of transactions would pass within microseconds, so the run keeps a
minimum duration and follows a random sample of the clients; the traffic of the others is *background* at the stations
the followed ones touch (`netsim.engine.background`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING

from netsim.engine.streams import mix

if TYPE_CHECKING:
    from netsim.cluster.traffic import Edge
    from netsim.engine.model import Model
    from netsim.engine.streams import Streams

MINIMUM_DURATION_S = 1.0
MAXIMUM_DURATION_S = 3600.0
WARMUP_SHARE = 0.25
"""Share of the planned transactions added for warm-up."""
PATIENCE = 3.0
"""A cluster is followed whole while that takes no more than this many times the wanted transactions."""
FEWEST_CLIENTS = 8
AFTER_FAULTS = 0.1
"""Share of the time until the last news of the last fault that a run goes on after it."""
MOST_BEYOND_WANTED = 20.0
"""The minimum duration may bring so many times the wanted transactions, no more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which clients of each edge are followed, and for how long.

    ``followed`` and ``clients`` are per edge; ``share`` is the part of an edge's clients that is followed.
    """

    duration_s: float
    followed: tuple[Sequence[int], ...]
    share: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Every client is followed: no background."""
        return all(share >= 1.0 for share in self.share)

    def describe(self, edges: Sequence[Edge]) -> str:
        """Say in words what is followed."""
        if self.whole:
            return f"all clients followed for {self.duration_s:.3g} s"
        parts = ", ".join(
            f"{edge.label}: {len(followed)} of {len(edge.clients)}"
            for edge, followed in zip(edges, self.followed, strict=True)
        )
        return f"clients followed for {self.duration_s:.3g} s ({parts}); the others are background traffic"


def edge_rate(edge: Edge) -> float:
    """Return the transactions per second of a whole edge; closed loops count one a millisecond and client."""
    if edge.kind == "stream":
        return 0.0
    count = max(1, len(edge.clients))
    if edge.closed is not None:
        return 1000.0 * edge.closed.concurrency * count / (1.0 + 1000.0 * edge.closed.think.mean)
    return edge.rate_per_s * count


def plan(model: Model, streams: Streams) -> Plan:
    """Choose duration and sample.

    Closed loops and streams are always followed whole: their rate is an answer of the network, not a given.
    """
    run = model.run
    open_rate = sum(edge_rate(edge) for edge in model.edges)
    wanted = run.transactions * (1.0 + WARMUP_SHARE)
    if run.duration == "auto":
        duration = _duration_s(model.edges, open_rate, wanted) if open_rate else 5.0
        duration = max(duration, _faults_s(model))
    else:
        duration = float(run.duration)
    share = 1.0
    if run.clients == "auto" and open_rate * duration > PATIENCE * wanted:
        share = wanted / (open_rate * duration)
    followed = tuple(_sample(edge, run.clients, share, streams) for edge in model.edges)
    shares = tuple(
        len(some) / len(edge.clients) if edge.clients else 1.0 for edge, some in zip(model.edges, followed, strict=True)
    )
    return Plan(duration, followed, shares)


def _faults_s(model: Model) -> float:
    """Return how long the faults of a run, and the news of them, have something to show."""
    longest = model.convergence.longest_s
    ends = (fault.at_s if fault.until_s == inf else fault.until_s for fault in model.faults)
    return min(max(((end + longest) * (1.0 + AFTER_FAULTS) for end in ends), default=0.0), MAXIMUM_DURATION_S)


def _duration_s(edges: Sequence[Edge], rate_per_s: float, wanted: float) -> float:
    """Return how long clients send: until what is wanted has come, and at least until things have settled.

    Where the few clients that are followed at the least send very fast, things settle fast too, and waiting for more
    would only take long.
    """
    fewest = sum(edge_rate(edge) * min(1.0, FEWEST_CLIENTS / max(1, len(edge.clients))) for edge in edges)
    settled = min(MINIMUM_DURATION_S, MOST_BEYOND_WANTED * wanted / fewest)
    return min(max(wanted / rate_per_s, settled), MAXIMUM_DURATION_S)


def _sample(edge: Edge, clients: int | str, share: float, streams: Streams) -> Sequence[int]:
    total = len(edge.clients)
    if clients == "all" or edge.closed is not None or edge.kind == "stream" or not total:
        return edge.clients
    count = min(total, int(clients) if isinstance(clients, int) else max(FEWEST_CLIENTS, ceil(share * total)))
    if count >= total:
        return edge.clients
    salt = streams.hash("sample", edge.label)
    order = sorted(range(total), key=lambda position: mix(salt ^ position))
    return tuple(edge.clients[position] for position in sorted(order[:count]))
