"""Look-ups that lose a datagram: how likely, and what it costs, computed and not waited for.

A lost query or answer is noticed by the resolver's timer alone: 5 s with glibc and Go, 2.5 s with musl. At a loss of
1e-5 a run of some thousand transactions almost never sees one, yet it decides the far tail and moves the mean. How many
datagrams a look-up exchanges is known, so that the probability of a stall is, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from typing import TYPE_CHECKING, NamedTuple

from netsim.engine.measuring.measures import Scalar
from netsim.engine.workload.calls import Performer
from netsim.engine.workload.dns_client import NameResolver, paired
from netsim.engine.workload.dns_server import Dns
from netsim.engine.workload.lookups import LookupCaller

if TYPE_CHECKING:
    from netsim.engine.workload.calls import Client
    from netsim.engine.workload.scripts import LookupScript
    from netsim.engine.workload.traffic import Traffic


class _Looked(NamedTuple):
    """The look-ups of one edge: how many, how many of them to expect to stall, for how long, and how each counts."""

    label: str
    made: int
    stalled: float
    delay_s: float
    counted: float


def stall_figures(traffic: Traffic, counted: Sequence[float]) -> tuple[Scalar, ...]:
    """Return, where datagrams are lost at all, the probability of a stall, and how long it takes.

    1 - (1 - p)^n for a look-up of n datagrams of which each is lost with probability p, times what its pairs of queries
    survive of their races (`netsim.engine.kernel.clashes`); two lost by one look-up count once. Of edges it is that of
    a look-up (``dns``), of the scenario that of a user's transaction (``latency``), calls of servers included.
    ``counted`` is what a transaction of each client counts for there (`netsim.engine.background.sampling.Plan`).
    """
    clients = list(zip(traffic.performers, counted, strict=True))
    performers = [(*each, weight) for client, weight in clients for each in _resolving(client)]
    if not performers:
        return ()
    dns = performers[0][1].dns
    looked = [_looked(label, resolver, weight) for label, resolver, weight in performers if resolver.made]
    if (dns.loss <= 0.0 and not dns.clashes.possible) or not looked:
        return ()
    tops = [(record.started, weight) for client, weight in clients for record, _, top in client.records() if top]
    users = sum(started for started, _ in tops)
    share = fsum(each.stalled * each.counted for each in looked) / (fsum(made * weight for made, weight in tops) or 1.0)
    return (
        Scalar("scenario", "", "latency", "stall_probability", share, "1", users),
        *(Scalar("edge", each.label, "dns", "stall_probability", each.stalled / each.made, "1", each.made)
          for each in looked),
        *(Scalar("edge", each.label, "dns", "stall_time", each.delay_s, "s", each.made) for each in looked),
    )  # fmt: skip


def _resolving(client: Client | Performer) -> Iterator[tuple[str, NameResolver]]:
    """Yield label and resolver of what looks names up: a client's own call, then the calls it causes."""
    if isinstance(client, Performer | LookupCaller) and isinstance(client.resolver, NameResolver):
        yield client.name, client.resolver
    for child in getattr(client, "children", ()):
        yield from _resolving(child)


def _looked(label: str, resolver: NameResolver, counted: float) -> _Looked:
    made = resolver.made
    stalled = fsum(_probability(script, resolver.dns) * times for script, times in made.items())
    return _Looked(label, made.total(), stalled, max(_delay_s(script) for script in made), counted)


def _probability(script: LookupScript, dns: Dns) -> float:
    asks = sum(len(each.asks) for each in script.rounds)
    kept: float = (1.0 - dns.loss) ** (2.0 * asks * (1.0 + dns.relays))
    if dns.clashes.possible:
        pairs = sum(paired(each.asks) for each in script.rounds)
        kept *= (1.0 - dns.clashes.probability(len(dns.backends(None)))) ** pairs
    return 1.0 - kept


def _delay_s(script: LookupScript) -> float:
    return min((each.timeout_s for each in script.rounds), default=0.0)
