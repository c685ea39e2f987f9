"""Go's own resolver (net/dnsclient_unix.go), as ``net.Resolver`` uses it without cgo."""

from __future__ import annotations

from dataclasses import dataclass, field

from netsim.cluster.dns.records import Record, Response, Result
from netsim.cluster.resolver.config import ResolverConfig
from netsim.cluster.resolver.machine import ADDRESS_TYPES, Lookup, Query, Transport
from netsim.cluster.resolver.plan import go_plan

UNBOUNDED = 0xFFFFFF
"""``timeout`` and ``attempts`` have no upper bound but that of any number in resolv.conf (net/parse.go: dtoi)."""
EDNS_BYTES = 1232
"""Datagram size Go announces (maxDNSPacketSize)."""


@dataclass(slots=True)
class _Task:
    """The goroutine that asks one record type of one candidate."""

    type: str
    attempt: int = 0
    server: int = 0
    round: int = 0
    transport: Transport = "udp"
    result: Result | None = None
    records: tuple[Record, ...] = field(default=())


class GoLookup(Lookup):
    """A and AAAA of a candidate are asked by a goroutine each, with sockets, timers and retries of their own.

    Servers are tried one after another, ``attempts`` times round; any failure but an absent name goes on to the next
    server, any failure at all to the next candidate.
    """

    udp_limit_bytes = EDNS_BYTES

    def __init__(
        self, config: ResolverConfig, name: str, types: tuple[str, ...] = ADDRESS_TYPES, offset: int = 0
    ) -> None:
        self._plan = go_plan(name, config.ndots, config.search)
        self._at = 0
        self._tasks: list[_Task] = []
        self._last: Result | None = None
        self._nodata = False
        super().__init__(config, name, types, offset)

    def _begin(self) -> None:
        if self._plan:
            self._candidate()
        else:
            self._finish("NXDOMAIN")

    def _candidate(self) -> None:
        self._tasks = [_Task(type, transport="tcp" if self.config.tcp else "udp") for type in self.types]
        for task in self._tasks[:1] if self.config.single_request else self._tasks:
            self._exchange(task)

    def _exchange(self, task: _Task) -> None:
        timeout_s = self.config.timeout_s(UNBOUNDED)
        task.round = self._send(self._plan[self._at], (task.type,), task.server, timeout_s, task.transport)

    def _task(self, round: int) -> _Task | None:
        for task in self._tasks:
            if task.round == round and task.result is None and self._done is None:
                return task
        return None

    def answered(self, query: Query, response: Response) -> None:
        """Take an answer for the goroutine that waits for it."""
        task = self._task(query.round)
        if task is None:
            return
        if response.truncated and task.transport == "udp":
            task.transport = "tcp"
            self._exchange(task)
        elif response.rcode in ("NOERROR", "NXDOMAIN"):
            found = response.of_type(task.type)
            task.records = response.answers if found else ()
            task.result = "ANSWER" if found else "NXDOMAIN" if response.rcode == "NXDOMAIN" else "NODATA"
            self._progress()
        else:
            self._next_server(task, response.result)

    def timed_out(self, round: int) -> None:
        """Take the end of a goroutine's timer."""
        task = self._task(round)
        if task is not None:
            self._next_server(task, "TIMEOUT")

    def _next_server(self, task: _Task, reason: Result) -> None:
        task.transport = "tcp" if self.config.tcp else "udp"
        task.server += 1
        if task.server == self._servers:
            task.server, task.attempt = 0, task.attempt + 1
        if task.attempt == self.config.attempts(UNBOUNDED):
            task.result = reason
            self._progress()
        else:
            self._exchange(task)

    def _progress(self) -> None:
        """Start what waits for its turn; when all is in, decide about the candidate."""
        for task in self._tasks:
            if task.result is None:
                if not task.round:
                    self._exchange(task)
                return
        name = self._plan[self._at]
        answers = tuple(record for task in self._tasks for record in task.records)
        if answers:
            self._finish("ANSWER", answers, name)
            return
        for task in self._tasks:
            self._nodata = self._nodata or task.result == "NODATA"
            if self._last is None or name != f"{self.name}.":
                self._last = task.result
        self._at += 1
        if self._at < len(self._plan):
            self._candidate()
            return
        absent = self._last in ("NXDOMAIN", "NODATA", None)
        self._finish("NODATA" if absent and self._nodata else self._last or "NXDOMAIN", name=name)
