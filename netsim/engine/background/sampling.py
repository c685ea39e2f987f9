"""How long a replication runs, and which clients it follows.

A run must be long enough for queues, pools and caches to settle and short enough to be waited for. Small clusters are
followed whole. In a large one the wanted number of transactions would pass within microseconds, so the run keeps a
minimum duration and follows a random sample of the clients; the traffic of the others is *background* at the stations
the followed ones touch (`netsim.engine.background.background`). Where there are so many edges that a few clients of
each are more than ``run.followed_clients``, a random sample of the edges is followed
(`netsim.engine.background.budget`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, fsum, inf
from typing import TYPE_CHECKING

from netsim.engine.background.budget import TOGETHER, Share, drawn, shares
from netsim.engine.background.load import FEW_PAIRS, PAIRS
from netsim.engine.randomness.streams import mix

if TYPE_CHECKING:
    from netsim.cluster.traffic import Edge
    from netsim.engine.model import Model
    from netsim.engine.randomness.streams import Streams
    from netsim.scenario.spec import RunSpec

MINIMUM_DURATION_S = 1.0
MAXIMUM_DURATION_S = 3600.0
WARMUP_SHARE = 0.25
"""Share of the planned transactions added for warm-up."""
PATIENCE = 3.0
"""A cluster is followed whole while that takes no more than this many times the wanted transactions."""
FEWEST_CLIENTS = TOGETHER
AFTER_FAULTS = 0.1
"""Share of the time until the last news of the last fault that a run goes on after it."""
MOST_FOLLOWED = 1000
"""Clients followed over all edges, by default, before edges are drawn, and at most once they are."""
FEWEST_FOLLOWED = 250
"""Clients followed of drawn edges at least: some thirty edges, so that replications differ by little but chance."""
MOST_BEYOND_WANTED = 20.0
"""The minimum duration may bring so many times the wanted transactions, no more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which clients of each edge are followed, and for how long.

    All but the duration are per edge.

    Parameters
    ----------
    duration_s: for how long clients send.
    followed: the clients that are followed.
    share: the part of the clients that is followed; 0 for an edge nobody follows.
    chance: how likely the edge was to be followed at all; 1 where edges were not drawn.
    counted: the part of its followed transactions that figures over several edges count, so that all edges stand in
        them for their share of the traffic; 1 where edges were not drawn.
    """

    duration_s: float
    followed: tuple[Sequence[int], ...]
    share: tuple[float, ...]
    chance: tuple[float, ...]
    counted: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Every client is followed: no background."""
        return all(share >= 1.0 for share in self.share)

    @property
    def drawn(self) -> bool:
        """Edges were drawn: some are not followed, or might not have been."""
        return any(chance < 1.0 for chance in self.chance)

    @property
    def pairs(self) -> int:
        """How many pairs of client and backend a flow is known from (`netsim.engine.background.load`)."""
        return FEW_PAIRS if self.drawn else PAIRS

    def describe(self, edges: Sequence[Edge]) -> str:
        """Say in words what is followed."""
        if self.whole:
            return f"all clients followed for {self.duration_s:.3g} s"
        if self.drawn:
            return self._describe_draw(edges)
        parts = ", ".join(
            f"{edge.label}: {len(followed)} of {len(edge.clients)}"
            for edge, followed in zip(edges, self.followed, strict=True)
        )
        return f"clients followed for {self.duration_s:.3g} s ({parts}); the others are background traffic"

    def _describe_draw(self, edges: Sequence[Edge]) -> str:
        seen = sum(share > 0.0 for share in self.share)
        clients = sum(len(followed) for followed in self.followed)
        return (
            f"{seen} of {len(edges)} edges drawn and followed for {self.duration_s:.3g} s, with {clients} of "
            f"{sum(len(edge.clients) for edge in edges)} clients (run.followed_clients); the others are background "
            "traffic, and have no figures of their own in this replication"
        )


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
    wanted = run.transactions * (1.0 + WARMUP_SHARE)
    open_edges = [index for index, edge in enumerate(model.edges) if _may_be_sampled(edge)]
    fewest = sum(min(FEWEST_CLIENTS, len(model.edges[index].clients)) for index in open_edges)
    most = MOST_FOLLOWED if run.followed_clients == "auto" else run.followed_clients
    if run.clients == "auto" and fewest > most:
        return _plan_by_draw(model, streams, open_edges, wanted)
    open_rate = sum(edge_rate(edge) for edge in model.edges)
    if run.duration == "auto":
        duration = _duration_s(model.edges, open_rate, wanted) if open_rate else 5.0
        duration = max(duration, _faults_s(model))
    else:
        duration = float(run.duration)
    share = 1.0
    if run.clients == "auto" and open_rate * duration > PATIENCE * wanted:
        share = wanted / (open_rate * duration)
    followed = tuple(_sample(edge, _count(edge, run.clients, share), streams) for edge in model.edges)
    ones = (1.0,) * len(model.edges)
    return Plan(duration, followed, _shares(model.edges, followed), ones, ones)


def _shares(edges: Sequence[Edge], followed: Sequence[Sequence[int]]) -> tuple[float, ...]:
    return tuple(
        len(some) / len(edge.clients) if edge.clients else 1.0 for edge, some in zip(edges, followed, strict=True)
    )


def _plan_by_draw(model: Model, streams: Streams, open_edges: Sequence[int], wanted: float) -> Plan:
    """Draw the edges that are followed, within the budget."""
    edges = model.edges
    some = [edges[index] for index in open_edges]
    planned = shares(
        [len(edge.clients) for edge in some], [edge_rate(edge) for edge in some], _budget(model.run, some, wanted)
    )
    found = drawn(planned, [edge.label for edge in some], streams)
    counts = [len(edge.clients) for edge in edges]
    chance, inclusion = [1.0] * len(edges), [1.0] * len(edges)
    for position, (index, share) in enumerate(zip(open_edges, planned, strict=True)):
        counts[index] = share.clients if position in found else 0
        chance[index], inclusion[index] = share.chance, _inclusion(edges[index], share)
    rarest = min(inclusion)
    counted = tuple(rarest / each for each in inclusion)
    followed = tuple(_sample(edge, count, streams) for edge, count in zip(edges, counts, strict=True))
    duration = _drawn_duration_s(model, inclusion, rarest, wanted)
    return Plan(duration, followed, _shares(edges, followed), tuple(chance), counted)


def _budget(run: RunSpec, edges: Sequence[Edge], wanted: float) -> int:
    """Return how many clients of drawn edges to follow: more than bring what is wanted would only take long."""
    if run.followed_clients != "auto":
        return run.followed_clients
    duration_s = MINIMUM_DURATION_S if run.duration == "auto" else float(run.duration)
    per_client = fsum(edge_rate(edge) for edge in edges) / sum(len(edge.clients) for edge in edges)
    enough = wanted / (per_client * duration_s) if per_client else inf
    return ceil(min(max(enough, FEWEST_FOLLOWED), MOST_FOLLOWED))


def _inclusion(edge: Edge, share: Share) -> float:
    """Return the chance of one client to be followed."""
    return share.chance * share.clients / len(edge.clients)


def _drawn_duration_s(model: Model, inclusion: Sequence[float], rarest: float, wanted: float) -> float:
    """Return how long clients send: until what is wanted has come of counted transactions, and things have settled."""
    if model.run.duration != "auto":
        return float(model.run.duration)
    rates = [edge_rate(edge) for edge in model.edges]
    counted = rarest * sum(rates)
    followed = sum(rate * chance for rate, chance in zip(rates, inclusion, strict=True))
    most = MOST_BEYOND_WANTED * wanted / followed
    return max(min(max(wanted / counted, MINIMUM_DURATION_S), most, MAXIMUM_DURATION_S), _faults_s(model))


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


def _may_be_sampled(edge: Edge) -> bool:
    return edge.closed is None and edge.kind != "stream" and bool(edge.clients)


def _count(edge: Edge, clients: int | str, share: float) -> int:
    """Return how many clients of an edge are followed."""
    total = len(edge.clients)
    if clients == "all" or not _may_be_sampled(edge):
        return total
    return min(total, int(clients) if isinstance(clients, int) else max(FEWEST_CLIENTS, ceil(share * total)))


def _sample(edge: Edge, count: int, streams: Streams) -> Sequence[int]:
    """Return so many of an edge's clients."""
    total = len(edge.clients)
    if count >= total:
        return edge.clients
    salt = streams.hash("sample", edge.label)
    order = sorted(range(total), key=lambda position: mix(salt ^ position))
    return tuple(edge.clients[position] for position in sorted(order[:count]))
