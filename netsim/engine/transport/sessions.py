"""Transactions and connections that may break: what clients and servers learn of each other's end.

A process that dies leaves its connections to its kernel, which resets them: the other end learns of it when the reset
arrives. A machine that dies tells nobody: its peers repeat what they sent until it is back and answers with a reset;
who waits for an answer with nothing to repeat waits for ever (Linux probes silent connections after two hours, if at
all: ``net.ipv4.tcp_keepalive_time``).

A client whose own pod stops has lost its transaction at once. Only runs with faults use this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from netsim.engine.queueing.burst import Notice, Reaction, tell
from netsim.engine.queueing.outages import out_at
from netsim.engine.transport.half import Half
from netsim.engine.transport.tcp import Connection

if TYPE_CHECKING:
    from netsim.engine.network import Party
    from netsim.engine.queueing.clock import Clock
    from netsim.engine.queueing.outages import Outage
    from netsim.engine.transport.tcp import TcpSettings
    from netsim.engine.transport.ways import Way
    from netsim.engine.workload.calls import Steps, Wake

RESET, CLIENT_LOST = "reset", "client lost"


class Performs(Protocol):
    """Who performs transactions: books those that broke."""

    def broken(self, source: Party, reason: str) -> float:
        """Count a transaction of a client that broke; returns what a failed exchange returns."""
        ...


class Line:
    """A transaction's wake that can be cut: late bursts and timers then wake nobody.

    ``nested`` tells that the transaction is a step of another one, in one generator with it.
    """

    __slots__ = ("_wake", "nested", "session", "task")

    def __init__(self, wake: Wake, session: Session) -> None:
        self._wake: Wake | None = wake
        self.session, self.nested = session, isinstance(wake, Line)
        self.task: Any = wake.task if isinstance(wake, Line) else wake.__self__  # type: ignore[attr-defined]

    def __call__(self, now: float) -> object:
        """Wake the transaction."""
        return None if self._wake is None else self._wake(now)

    def cut(self) -> None:
        """Wake nobody any more."""
        self._wake = None


class Session:
    """One transaction under way: whose it is, its line, and whom it sent a datagram when (``asked``, ``sent_s``)."""

    __slots__ = ("asked", "began_s", "line", "sent_s", "source")

    def __init__(self, source: Party, wake: Wake, now: float) -> None:
        self.source, self.began_s = source, now
        self.line = Line(wake, self)
        self.asked: Party = None
        self.sent_s = now


class BrokenError(Exception):
    """Thrown into a transaction whose connection or client is gone."""

    def __init__(self, session: Session, reason: str) -> None:
        super().__init__(reason)
        self.session, self.reason = session, reason


class Ended(NamedTuple):
    """A transaction that is over: when it began and ended, and whether it got its answer."""

    began_s: float
    ended_s: float
    answered: bool


class Sessions:
    """The transactions and connections of a run with faults.

    Parameters
    ----------
    clock: the clock.
    stops: the outages of the pods that stop, by pod.
    """

    def __init__(self, clock: Clock, stops: dict[int, Sequence[Outage]]) -> None:
        self.clock, self.stops = clock, stops
        self.live: dict[Session, None] = {}
        self.connections: dict[MortalConnection, None] = {}
        self.log: list[Ended] = []

    def runs(self, party: Party, now: float) -> bool:
        """Tell whether a party is there."""
        return not (isinstance(party, int) and out_at(self.stops.get(party, ()), now))

    def exchange(
        self, performer: Performs, steps: Callable[[Party, Wake, float], Steps], source: Party, wake: Wake, now: float
    ) -> Steps:
        """Do a transaction that may break; a client that does not run starts none."""
        stopped = [outage for outage in self.stops.get(source, ()) if outage.since_s <= now < outage.until_s]
        if stopped:
            if stopped[0].until_s < inf:
                Notice(self.clock, stopped[0].until_s, wake)
            yield
            return -1.0
        session = Session(source, wake, now)
        line = session.line
        self.live[session] = None
        ended = -1.0
        try:
            ended = yield from steps(source, line, now)
        except BrokenError as broken:
            ended = performer.broken(source, broken.reason if broken.session is session else CLIENT_LOST)
            if broken.session is not session:
                raise
        finally:
            line.cut()
            del self.live[session]
            if not line.nested:
                self.log.append(Ended(now, self.clock.now, ended >= 0.0))
        return ended

    def abort(self, session: Session, reason: str) -> None:
        """Let a transaction fail now."""
        if session in self.live:
            session.line.cut()
            try:
                session.line.task.throw(BrokenError(session, reason))
            except StopIteration:
                return

    def ask(self, wake: Wake, target: Party, now: float) -> None:
        """Note that a transaction sends a datagram: if its server stops, the client waits in vain."""
        if isinstance(wake, Line):
            wake.session.asked, wake.session.sent_s = target, now

    # ------------------------------------------------------------------------------------------ what stops

    def stop(self, pods: frozenset[int], now: float, *, silently: bool, timeout_s: float) -> None:
        """Stop pods: their clients' transactions fail, their servers forget what they knew.

        ``silently``: nobody resets their connections. ``timeout_s`` is how long a client waits for a datagram.
        """
        for connection in list(self.connections):
            if connection.target in pods:
                connection.forget(now, silently=silently)
        for session in list(self.live):
            if session.source in pods and not session.line.nested:
                self.abort(session, CLIENT_LOST)
            elif session.asked in pods and session.asked is not None:
                session.line.cut()
                Notice(self.clock, session.sent_s + timeout_s, partial(self._unanswered, session))
        for connection in list(self.connections):
            if connection.source in pods:
                connection.drop()

    def _unanswered(self, session: Session, now: float) -> None:
        self.abort(session, "lost")


class MortalConnection(Connection):
    """A connection whose ends may stop. ``forgotten``: its server's kernel does not know it any more."""

    __slots__ = ("_serving", "_sessions", "_user", "forgotten", "source", "target")

    def __init__(
        self, forth: Way, back: Way, settings: TcpSettings, *, source: Party, target: Party, sessions: Sessions
    ) -> None:
        super().__init__(forth, back, settings)
        self.source, self.target, self._sessions = source, target, sessions
        self._user: Reaction | None = None
        self.forgotten = self._serving = False
        sessions.connections[self] = None

    def knows(self, way: Way) -> bool:
        """Tell whether the end that sends this way still has the connection."""
        return not self.failed and not (self.forgotten and way is self.back)

    def accepts(self, now: float) -> bool:
        """Tell whether somebody listens; a new handshake starts a new connection."""
        there = self._sessions.runs(self.target, now)
        self.forgotten = self.forgotten and not there
        return there

    def half(self, way: Way, back: Way, reads_bps: float | None) -> Half:
        """Return a direction that stops with its sender."""
        return MortalHalf(self, way, back, reads_bps)

    def connect(self, established: Reaction) -> None:
        """As `Connection.connect`."""
        self._user = established
        super().connect(established)

    def request(self, size: int, arrived: Reaction) -> None:
        """As `Connection.request`; a server that has forgotten the connection resets it."""
        self._user = arrived
        super().request(size, partial(self._received, arrived))

    def respond(self, size: int, arrived: Reaction) -> None:
        """As `Connection.respond`."""
        self._serving = False
        super().respond(size, arrived)

    def close(self, closed: Reaction = lambda now: None) -> None:
        """As `Connection.close`."""
        self._sessions.connections.pop(self, None)
        super().close(closed)

    def _received(self, arrived: Reaction, now: float) -> None:
        if self.forgotten:
            self.reset(now)
        else:
            self._serving = True
            tell(arrived, now)

    def forget(self, now: float, *, silently: bool) -> None:
        """The server's end is gone. What it was working on will never be answered."""
        self.forgotten = True
        if self._serving and isinstance(self._user, Line):
            self._user.cut()
        if not silently:
            self.reset(now)

    def drop(self) -> None:
        """The client's end is gone, and the server learns of it."""
        self.failed = self.forgotten = True
        self._sessions.connections.pop(self, None)

    def reset(self, now: float) -> None:
        """Send a reset to the client. A lost one is repeated when the client sends again."""
        self.back.send(0, self._was_reset)

    def _was_reset(self, now: float) -> None:
        if self.failed:
            return
        self.drop()
        user = self._user
        if isinstance(user, Line):
            self._sessions.abort(user.session, RESET)


class MortalHalf(Half):
    """One direction of a connection that may break."""

    __slots__ = ("_connection",)

    def __init__(self, connection: MortalConnection, way: Way, back: Way, reads_bps: float | None) -> None:
        super().__init__(way, back, connection.settings, reads_bps=reads_bps, stalls=connection.stalls)
        self._connection = connection

    def _pump(self, now: float) -> None:
        if self._connection.knows(self.way):
            super()._pump(now)

    def received(self, start: int, size: int, sent: float, now: float, buffers: int = 1) -> None:
        """Take data, if the receiving end still has the connection."""
        connection = self._connection
        if connection.knows(self.back):
            super().received(start, size, sent, now, buffers)
        elif self.way is connection.forth:
            connection.reset(now)
