"""Connection tracking: a table a node, with a limit and lifetimes.

A closed TCP connection stays for 120 s, a short UDP exchange and each flow of a tunnel for 30 s: longer than most runs.
So tables start as full as they would be after hours of the same traffic (Little's law: rate × lifetime); these entries
expire evenly while new ones come. A full table drops the packet that would open a connection (``nf_conntrack: table
full, dropping packet``). What the kernel's garbage collector reclaims of closing connections above 95 % (at most a
twentieth of the table a pass, passes up to a minute apart) is left out.

Lifetimes, limits and their sources are in `netsim.datapath.conntrack`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from math import fsum, inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from netsim.datapath.conntrack import UDP_SHORT_S, usual_limit
from netsim.datapath.types import Role

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.datapath.types import Routes

_AT_SENDER, _AT_RECEIVER = (Role.SENDER_CORE,), (Role.SOFTIRQ_CORE, Role.STEERED_CORE, Role.RECEIVER_CORE)
_VIA = Role.VIA_CORE, Role.VIA_STEERED_CORE
Claim = tuple[tuple[float, int], ...]
"""What a connection wants of one table: (lifetime in seconds, entries)."""


class Entries(NamedTuple):
    """What one connection takes at the nodes of its two ends and at the node it enters by."""

    sender: Claim
    receiver: Claim
    via: Claim

    @staticmethod
    def of(routes: Routes, lifetime_s: float) -> Entries:
        """Count a connection's own entry, which stays for ``lifetime_s``, and those of its tunnel's datagrams."""
        outer: Claim = ((UDP_SHORT_S, routes.outer_conntrack),) if routes.outer_conntrack else ()

        def at(roles: tuple[Role, ...]) -> Claim:
            own: Claim = ((lifetime_s, 1),) if any(role in routes.conntrack for role in roles) else ()
            return own + outer

        return Entries(at(_AT_SENDER), at(_AT_RECEIVER), at(_VIA))


class _Lived:
    """Entries of one lifetime, oldest first.

    Only what will expire within the run is remembered, in sixteen bytes; the rest is counted. ``next_s`` is when the
    oldest expires.
    """

    __slots__ = ("_entries", "_first", "_lifetime_s", "_made", "_until_s", "count", "next_s")

    def __init__(self, lifetime_s: float, horizon_s: float) -> None:
        self._lifetime_s, self._until_s = lifetime_s, horizon_s - lifetime_s
        self._made, self._entries, self._first = array("d"), array("q"), 0
        self.count, self.next_s = 0, inf

    def add(self, now: float, count: int) -> None:
        """Add entries that are made now."""
        self.count += count
        if now <= self._until_s:
            if self.next_s == inf:
                self.next_s = now + self._lifetime_s
            self._made.append(now)
            self._entries.append(count)

    def expire(self, now: float) -> None:
        """Take away what has lived its time."""
        made, entries, first, lifetime_s = self._made, self._entries, self._first, self._lifetime_s
        while first < len(made) and made[first] + lifetime_s <= now:
            self.count -= entries[first]
            first += 1
        self.next_s = made[first] + lifetime_s if first < len(made) else inf
        if 2 * first > len(made):
            del made[:first], entries[:first]
            first = 0
        self._first = first


class ConntrackTable:
    """The table of one node.

    Parameters
    ----------
    name: of the node.
    limit: entries it holds.
    settled: entries the followed traffic has there at the start, by lifetime in seconds.
    background: entries other traffic would have there at any time, if there were room.
    draw: uniform numbers, for what finds room in a table that the background keeps full.
    horizon_s: after this time nobody asks any more.
    """

    __slots__ = (
        "_accepted", "_background", "_draw", "_horizon_s", "_live", "_settled", "dropped", "limit", "most", "name",
    )  # fmt: skip

    def __init__(
        self, name: str, limit: int, settled: Mapping[float, float], background: float, draw: Callable[[], float],
        *, horizon_s: float = inf,
    ) -> None:  # fmt: skip
        self.name, self.limit, self._draw, self._horizon_s = name, limit, draw, horizon_s
        total = fsum(settled.values()) + background
        scale = min(1.0, limit / total) if total else 1.0
        self._settled = tuple((lifetime_s, count * scale) for lifetime_s, count in sorted(settled.items()))
        self._background = background * scale
        self._accepted = scale if background > 0.0 else 1.0
        self._live: dict[float, _Lived] = {}
        self.dropped = 0
        self.most = total * scale

    def occupancy(self, now: float) -> float:
        """Return how many entries there are: what is left of the settled ones, and the new ones."""
        present = self._background
        for lifetime_s, count in self._settled:
            if now < lifetime_s:
                present += count * (1.0 - now / lifetime_s)
        for lived in self._live.values():
            if lived.next_s <= now:
                lived.expire(now)
            present += lived.count
        return present

    def admit(self, now: float, claim: Claim) -> bool:
        """Take the entries of a new connection; False when there is no room."""
        if self._accepted < 1.0:
            # the background takes whatever becomes free: a newcomer is as lucky as any other
            admitted = self._draw() < self._accepted
            self.dropped += not admitted
            return admitted
        present = self.occupancy(now)
        for _, count in claim:
            present += count
        if present > self.limit:
            self.dropped += 1
            return False
        self.most = max(self.most, present)
        for lifetime_s, count in claim:
            lived = self._live.get(lifetime_s)
            if lived is None:
                lived = self._live[lifetime_s] = _Lived(lifetime_s, self._horizon_s)
            lived.add(now, count)
        return True


class Conntrack:
    """The tables of a replication's nodes, made on first use.

    Parameters
    ----------
    cluster: gives the nodes.
    limit: entries a table holds; ``None``: as kube-proxy sets it on a machine of that size.
    draw: uniform numbers.

    ``settled`` and ``background`` tell how full the table of a node would be (`netsim.engine.background.backdrop`);
    ``horizon_s`` is when the run is over.
    """

    def __init__(self, cluster: Cluster, limit: int | None, draw: Callable[[], float]) -> None:
        self._cluster, self._limit, self._draw = cluster, limit, draw
        self.settled: Callable[[int], Mapping[float, float]] = lambda node: {}
        self.background: Callable[[int], Mapping[float, float]] = lambda node: {}
        self.horizon_s = inf
        self.tables: dict[int, ConntrackTable] = {}

    def table(self, node: int) -> ConntrackTable:
        """Return the table of a node."""
        known = self.tables.get(node)
        if known is None:
            each = self._cluster.nodes[node]
            limit = usual_limit(each.machine.cores) if self._limit is None else self._limit
            background = fsum(self.background(node).values())
            known = self.tables[node] = ConntrackTable(
                each.name, limit, self.settled(node), background, self._draw,
                horizon_s=self.horizon_s,
            )  # fmt: skip
        return known

    def gates(self, entries: Entries, sender: int | None, receiver: int | None, via: int | None) -> Gates:
        """Return the tables a connection needs room in, with what it wants of each."""
        if via is None and sender is not None and receiver is not None and sender != receiver:
            tables, (here, there, _) = self.tables, entries
            if here and there:  # the usual case, in a quarter of the time
                one = tables.get(sender) or self.table(sender)
                return (one, here), (tables.get(receiver) or self.table(receiver), there)
        wanted = ((sender, entries.sender), (receiver, entries.receiver), (via, entries.via))
        claims: dict[int, Claim] = {}
        for node, claim in wanted:
            if node is not None and claim:
                # both ends on one node share its entry
                claims[node] = max(claims.get(node, ()), claim)
        return tuple((self.table(node), claim) for node, claim in claims.items())


class Gate(Protocol):
    """Something that must have room for a new connection."""

    def admit(self, now: float, claim: Claim) -> bool:
        """Take what a connection wants; False when there is no room."""
        ...


Gates = tuple[tuple[Gate, Claim], ...]
