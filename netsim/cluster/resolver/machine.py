"""Resolvers as state machines without I/O: they name the queries to send and take answers and timeouts.

A driver (``walk`` for inspection, the engine's DNS client for simulation) does::

    step = lookup.next()
    # Send: transmit every query, start a timer of ``timeout_s`` for the round (None: the round's timer runs on)
    # Done: finished
    # None: wait; call lookup.answered(query, response) or lookup.timed_out(round), then ask again
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from netsim.cluster.dns.records import Record, Response, Result
from netsim.cluster.names import canonical_address
from netsim.cluster.resolver.config import ResolverConfig

Transport = Literal["udp", "tcp"]
ResolverKind = Literal["glibc", "musl", "go"]
ADDRESS_TYPES = ("A", "AAAA")


@dataclass(frozen=True, slots=True)
class Query:
    """One query on the wire: ``server`` is the index of the nameserver, ``round`` groups what shares a timer."""

    name: str
    type: str
    server: int
    round: int
    transport: Transport = "udp"


@dataclass(frozen=True, slots=True)
class Send:
    """Queries to transmit now, in this order. ``timeout_s`` starts the round's timer, ``None`` leaves it running."""

    queries: tuple[Query, ...]
    round: int
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a lookup.

    ``answers`` are the records it found, CNAMEs included; ``name`` is the candidate that decided, empty where none was
    asked; ``source`` says whether a literal address, the hosts file or DNS gave the answer.
    """

    result: Result
    answers: tuple[Record, ...] = ()
    name: str = ""
    source: Literal["dns", "files", "literal"] = "dns"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses found, IPv4 first."""
        return tuple(r.data for type in ADDRESS_TYPES for r in self.answers if r.type == type)


Step = Send | Done | None


class Lookup(ABC):
    """One lookup of one name by one resolver.

    Parameters
    ----------
    config: the resolv.conf and hosts file it runs under.
    name: as the application gives it; a final dot means it is absolute.
    types: record types, ``("A", "AAAA")`` as getaddrinfo asks.
    offset: index of the server to start at, for ``rotate``.
    """

    udp_limit_bytes = 512
    """Largest datagram the resolver accepts; larger answers come truncated."""

    def __init__(
        self, config: ResolverConfig, name: str, types: tuple[str, ...] = ADDRESS_TYPES, offset: int = 0
    ) -> None:
        self.config, self.name = config, name
        self.types = types
        self._servers = max(len(config.nameservers), 1)
        self._offset = offset % self._servers if config.rotate else 0
        self._outbox: deque[Send] = deque()
        self._done: Done | None = local_answer(config, name, types)
        self._rounds = 0
        if self._done is None:
            self._begin()

    def next(self) -> Step:
        """Return what to do now; ``None`` means wait."""
        return self._outbox.popleft() if self._outbox else self._done

    @abstractmethod
    def _begin(self) -> None:
        """Put the first queries into the outbox, or finish."""

    @abstractmethod
    def answered(self, query: Query, response: Response) -> None:
        """Take an answer; late ones are ignored."""

    @abstractmethod
    def timed_out(self, round: int) -> None:
        """Take the end of a round's timer; finished rounds are ignored."""

    # ---------------------------------------------------------------- for the resolvers

    def _send(self, name: str, types: Iterable[str], server: int, timeout_s: float, transport: Transport) -> int:
        """Start a round of queries to one server; return its number."""
        self._rounds += 1
        self._emit(name, types, (server,), timeout_s, transport)
        return self._rounds

    def _emit(
        self, name: str, types: Iterable[str], servers: Iterable[int], timeout_s: float | None, transport: Transport
    ) -> None:
        """Send queries in the current round."""
        servers = tuple((self._offset + server) % self._servers for server in servers)
        queries = tuple(Query(name, type, s, self._rounds, transport) for type in types for s in servers)
        self._outbox.append(Send(queries, self._rounds, timeout_s))

    def _finish(self, result: Result, answers: tuple[Record, ...] = (), name: str = "") -> None:
        self._done = Done(result, tuple(dict.fromkeys(answers)), name)


def local_answer(config: ResolverConfig, name: str, types: tuple[str, ...]) -> Done | None:
    """Return the answer that needs no query: an address written out, or a name in the hosts file."""
    if not set(types) & set(ADDRESS_TYPES):
        return None
    literal = canonical_address(name)
    found = (literal,) if literal else config.hosts.get(name.removesuffix(".").lower(), ())
    records = tuple(Record(name, "AAAA" if ":" in address else "A", 0, address) for address in found)
    wanted = tuple(record for record in records if record.type in types)
    if wanted:
        return Done("ANSWER", wanted, source="literal" if literal else "files")
    return Done("NODATA", source="literal") if literal else None
