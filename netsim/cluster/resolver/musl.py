"""The resolver of musl (src/network/lookup_name.c, src/network/res_msend.c)."""

from __future__ import annotations

from netsim.cluster.dns.records import Response, Result
from netsim.cluster.resolver.config import ResolverConfig
from netsim.cluster.resolver.machine import ADDRESS_TYPES, Lookup, Query
from netsim.cluster.resolver.plan import musl_plan

MAX_SERVERS = 3
MOST_SECONDS, MOST_ATTEMPTS = 60, 10
"""Bounds of ``timeout`` and ``attempts`` (src/network/resolvconf.c)."""


class MuslLookup(Lookup):
    """Every query goes to all servers at once; the first answer that is positive or says NXDOMAIN counts.

    The whole lookup of a candidate takes ``timeout`` at most, with ``attempts`` transmissions spread over it. SERVFAIL
    is asked again at once, twice per query in each transmission; other codes are ignored as if nothing had come.
    NXDOMAIN goes on to the next candidate, anything else ends the search. Truncated answers are taken as they are
    (before 1.2.4; ``retries_tcp`` gives the later behaviour).
    """

    retries_tcp = False

    def __init__(
        self, config: ResolverConfig, name: str, types: tuple[str, ...] = ADDRESS_TYPES, offset: int = 0
    ) -> None:
        addresses = set(types) <= set(ADDRESS_TYPES)  # res_search(3) of musl knows no search list
        self._plan = musl_plan(name, config.ndots if addresses else 0, config.search)
        self._at, self._transmission, self._retries = 0, 0, 0
        self._answers: dict[str, Response] = {}
        self._failed: Result = "TIMEOUT"
        super().__init__(config, name, types, offset)

    def _begin(self) -> None:
        self._servers, self._offset = min(self._servers, MAX_SERVERS), 0  # musl has no rotate
        if self._plan:
            self._candidate()
        else:
            self._finish("NXDOMAIN")

    def _candidate(self) -> None:
        self._answers, self._transmission, self._failed = {}, 0, "TIMEOUT"
        self._transmit()

    def _transmit(self) -> None:
        missing = tuple(type for type in self.types if type not in self._answers)
        self._rounds += 1
        self._transmission += 1
        self._retries = 2 * len(self.types)
        interval = self.config.timeout_s(MOST_SECONDS) / self.config.attempts(MOST_ATTEMPTS)
        self._emit(self._plan[self._at], missing, range(self._servers), interval, "udp")

    def answered(self, query: Query, response: Response) -> None:
        """Take an answer to the current candidate from any server."""
        current = query.name == self._plan[self._at] and self._done is None
        if not current or query.type in self._answers:
            return
        if response.rcode == "SERVFAIL":
            self._failed = "SERVFAIL"
            if self._retries:
                self._retries -= 1
                self._emit(query.name, (query.type,), (query.server,), None, "udp")
            return
        if response.rcode not in ("NOERROR", "NXDOMAIN"):
            self._failed = response.result
            return
        if response.truncated and self.retries_tcp and query.transport == "udp":
            self._emit(query.name, (query.type,), (query.server,), None, "tcp")
            return
        self._answers[query.type] = response
        if len(self._answers) == len(self.types):
            self._evaluate()

    def timed_out(self, round: int) -> None:
        """Transmit what is still unanswered once more, or give up."""
        if round != self._rounds or self._done is not None:
            return
        if self._transmission < self.config.attempts(MOST_ATTEMPTS):
            self._transmit()
        else:
            self._finish(self._failed, name=self._plan[self._at])

    def _evaluate(self) -> None:
        name = self._plan[self._at]
        if any(response.rcode == "NXDOMAIN" for response in self._answers.values()):
            if self._at + 1 < len(self._plan):
                self._at += 1
                self._candidate()
            else:
                self._finish("NXDOMAIN", name=name)
            return
        answers = tuple(record for type in self.types for record in self._answers[type].answers)
        found = any(record.type in self.types for record in answers)
        self._finish("ANSWER" if found else "NODATA", answers, name)
