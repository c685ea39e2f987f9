"""The resolver of glibc (resolv/res_query.c, resolv/res_send.c), as getaddrinfo uses it."""

from __future__ import annotations

from netsim.cluster.dns.records import Record, Response, Result
from netsim.cluster.resolver.config import ResolverConfig
from netsim.cluster.resolver.machine import ADDRESS_TYPES, Lookup, Query, Transport
from netsim.cluster.resolver.plan import glibc_plan

MAX_SERVERS = 3
EDNS_BYTES = 1200
"""Datagram size announced with ``options edns0`` (RESOLV_EDNS_BUFFER_SIZE)."""
_SERVER_FAILURES = frozenset(("SERVFAIL", "NOTIMP", "REFUSED"))


class GlibcLookup(Lookup):
    """A and AAAA leave together for each candidate and both answers are waited for.

    Servers are tried one after another, ``attempts`` times round. Server failures go on to the next server, absent
    names and SERVFAIL to the next candidate, timeouts end the search list. If of a pair only one is answered in time,
    the pair is asked again one after the other, then from a socket each, before one answer has to do.
    """

    def __init__(
        self, config: ResolverConfig, name: str, types: tuple[str, ...] = ADDRESS_TYPES, offset: int = 0
    ) -> None:
        self._plan, self._as_given = glibc_plan(name, config.ndots, config.search)
        self._at, self._server, self._attempt = 0, 0, 0
        self._transport: Transport = "tcp" if config.tcp else "udp"
        self._sequential, self._reopen = config.single_request, config.single_request_reopen
        self._answers: dict[str, Response] = {}
        self._asked: tuple[str, ...] = ()
        self._current = 0
        self._outcomes: dict[int, Result] = {}
        if config.edns0:
            self.udp_limit_bytes = EDNS_BYTES
        if config.no_aaaa and len(types) > 1:
            types = tuple(type for type in types if type != "AAAA")
        super().__init__(config, name, types, offset)

    def _begin(self) -> None:
        self._servers = min(self._servers, MAX_SERVERS)
        if len(self.name) > 255 or not self.name.strip("."):
            self._finish("NXDOMAIN")
        else:
            self._candidate()

    # ---------------------------------------------------------------- one round: a candidate at a server

    def _candidate(self) -> None:
        self._server, self._attempt = 0, 0
        self._transport = "tcp" if self.config.tcp else "udp"
        self._ask()

    def _ask(self) -> None:
        self._answers = {}
        self._asked = self.types[:1] if self._sequential and self._transport == "udp" else self.types
        self._current = self._send(self._plan[self._at], self._asked, self._server, self._timeout_s(), self._transport)

    def _timeout_s(self) -> float:
        """Return res_send.c's timeout: it doubles per server, shared out over their number."""
        seconds = self.config.timeout_s() << self._server
        return max(seconds // self._servers if self._server else seconds, 1)

    def answered(self, query: Query, response: Response) -> None:
        """Take an answer of the current round."""
        if query.round != self._current or query.type in self._answers or self._done is not None:
            return
        if response.truncated and query.transport == "udp":
            self._transport = "tcp"
            self._ask()
            return
        self._answers[query.type] = response
        if self._sequential and response.rcode in _SERVER_FAILURES and query.transport == "udp":
            self._next_server(response.result)
        elif len(self._answers) == len(self.types):
            self._evaluate()
        elif len(self._answers) == len(self._asked):
            following = self.types[len(self._asked) : len(self._asked) + 1]
            self._asked += following
            self._emit(query.name, following, (self._server,), None, "udp")

    def timed_out(self, round: int) -> None:
        """Take the end of the current round's timer."""
        if round != self._current or self._done is not None:
            return
        if not self._answers or self._transport == "tcp":
            self._next_server("TIMEOUT")
        elif not self._sequential:
            self._sequential = True
            self._ask()
        elif not self._reopen:
            self._reopen = True
            self._ask()
        else:
            self._evaluate()

    def _next_server(self, reason: Result) -> None:
        self._server += 1
        if self._server == self._servers:
            self._server, self._attempt = 0, self._attempt + 1
        if self._attempt == self.config.attempts():
            self._decided(reason)
        else:
            self._ask()

    def _evaluate(self) -> None:
        usable = [response for response in self._answers.values() if response.rcode not in _SERVER_FAILURES]
        if not usable:
            first = next(iter(self._answers.values())).result
            self._next_server(first)
        elif any(response.answers for response in usable):
            answers = tuple(record for type in self.types for record in self._records(type))
            found = any(record.type in self.types for record in answers)
            self._finish("ANSWER" if found else "NODATA", answers, self._plan[self._at])
        else:
            absent = any(response.rcode == "NXDOMAIN" for response in usable)
            failed = any(response.rcode not in ("NXDOMAIN", "NOERROR") for response in usable)
            self._decided("NXDOMAIN" if absent else "REFUSED" if failed else "NODATA")

    def _records(self, type: str) -> tuple[Record, ...]:
        response = self._answers.get(type)
        return response.answers if response is not None else ()

    # ---------------------------------------------------------------- the search list

    def _decided(self, result: Result) -> None:
        """Note how the candidate ended and go on to the next one that is still to be tried."""
        self._outcomes[self._at] = result
        stop = result in ("TIMEOUT", "REFUSED") and self._at != self._as_given
        following = self._as_given if stop and self._as_given > self._at else self._at + 1
        if stop and self._as_given < self._at:
            following = len(self._plan)
        if following < len(self._plan):
            self._at = following
            self._candidate()
        else:
            self._finish(self._overall(), name=self._plan[self._at])

    def _overall(self) -> Result:
        """Return what the caller is told: the name as given decides if it came first, else NODATA, else SERVFAIL."""
        outcomes = tuple(self._outcomes.values())
        if self._as_given == 0:
            return self._outcomes[0]
        for result in ("NODATA", "SERVFAIL"):
            if result in outcomes:
                return result
        return outcomes[-1]
