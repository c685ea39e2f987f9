"""TCP as far as time feels it.

`Connection` does the handshake, small messages and the close. A message that fits the window travels as one burst and
touches neither scoreboard nor timer, which is what makes a request cheap; everything else goes through one direction's
sender and receiver with window, congestion control and loss recovery (`netsim.engine.transport.half`).

Sources: RFC 9293 (handshake, close), RFC 6928 (initial window 10), RFC 6298 with Linux's minimum of 200 ms (timer).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from netsim.engine.queueing.burst import Burst, Notice, Reaction, nobody
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.tracing import RTO, SYN_RETRY
from netsim.engine.transport.backpressure import Stalls
from netsim.engine.transport.congestion import CongestionControl
from netsim.engine.transport.half import Half

if TYPE_CHECKING:
    from netsim.engine.transport.ways import Way


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """Constants of a TCP stack, as Linux has them; times in seconds.

    ``quick_acks`` is how many bursts at the start of a connection are acknowledged at once. ``send_buffer_bytes`` is
    what a send buffer may grow to, ``small_queue_bytes`` the most a connection has below its socket.
    """

    initial_window: int = 10
    receive_window_bytes: int = 3 * 1024 * 1024
    send_buffer_bytes: int = 4 * 1024 * 1024
    small_queue_bytes: int = 1024 * 1024
    minimum_rto_s: float = on_grid(0.2)
    maximum_rto_s: float = 120.0
    syn_timeout_s: float = 1.0
    syn_retries: int = 6
    delayed_ack_s: float = on_grid(0.04)
    quick_acks: int = 8
    congestion: type[CongestionControl] | None = None


class _Message(Burst):
    """A message that fits one burst and the window; repeats itself when its timer fires, with exponential back-off."""

    __slots__ = ("connection", "sent", "tries", "way")

    def __init__(self, connection: Connection, way: Way, size: int, arrived: Reaction) -> None:
        self.connection, self.way, self.sent, self.tries = connection, way, way.clock.now, 0
        following = way.following
        super().__init__(way.clock, way.legs, following.known.get(size) or following.charges(size), size, arrived)

    def lose(self, now: float) -> None:
        """Wait for the timer."""
        settings = self.connection.settings
        wait = min(settings.minimum_rto_s * 2.0**self.tries, settings.maximum_rto_s)
        Notice(self.clock, max(now, self.sent + wait), self._again, RTO, self.trace)

    def _again(self, now: float) -> None:
        if not self.connection.knows(self.way):
            return
        self.tries += 1
        self.sent = now
        self.connection.timeouts += 1
        self.index, self.lag_s, self.seen_s = 0, 0.0, inf
        if self.trace is not None:
            self.trace = [self.clock.trace, self.charges, now]
        later = self.legs[0](self, now, self.charges[0])
        if later is not None:
            self.clock.at(later, self.advance)


class Reads(NamedTuple):
    """How fast applications take in a connection's data, in bits per second; `None`: as soon as it is there."""

    request_bps: float | None = None
    response_bps: float | None = None


READS_AT_ONCE = Reads()


class Connection:
    """A TCP connection between two applications.

    Callers are called back with the time: `connect`, then `request` and `respond` in turn, then `close`. ``reads`` says
    how fast its applications take data in, ``stalls`` is where it books what held its senders back.
    """

    __slots__ = (
        "_back", "_closed", "_established", "_forth", "_sent", "_tries", "back", "failed", "forth", "reads", "settings",
        "stalls", "timeouts",
    )  # fmt: skip

    def __init__(self, forth: Way, back: Way, settings: TcpSettings) -> None:
        self.forth, self.back, self.settings = forth, back, settings
        self._forth: Half | None = None
        self._back: Half | None = None
        self._tries = self.timeouts = 0
        self.failed = False
        self._sent = 0.0
        self._established: Reaction = nobody
        self._closed: Reaction = nobody
        self.reads = READS_AT_ONCE
        self.stalls: Stalls | None = None

    @property
    def outgoing(self) -> Half:
        """The direction from client to server."""
        if self._forth is None:
            self._forth = self.half(self.forth, self.back, self.reads.request_bps)
        return self._forth

    @property
    def incoming(self) -> Half:
        """The direction from server to client."""
        if self._back is None:
            self._back = self.half(self.back, self.forth, self.reads.response_bps)
        return self._back

    def half(self, way: Way, back: Way, reads_bps: float | None) -> Half:
        """Return one direction, made when a message needs it."""
        return Half(way, back, self.settings, reads_bps=reads_bps, stalls=self.stalls)

    def knows(self, way: Way) -> bool:
        """Tell whether the end that sends this way still has the connection."""
        return not self.failed

    def accepts(self, now: float) -> bool:
        """Tell whether somebody listens at the other end."""
        return True

    def connect(self, established: Reaction) -> None:
        """Shake hands; ``established`` is called at the client, also when all tries failed (`failed` is set then)."""
        self._established, self._sent = established, self.forth.clock.now
        self.forth.open(0, self._answer, self._lost)

    def _answer(self, now: float) -> None:
        if self.accepts(now):
            self.back.open(0, self._confirm, self._lost)
        else:
            self.back.send(0, self._refused, self._lost)

    def _refused(self, now: float) -> None:
        self.failed = True
        self._established(now)

    def _confirm(self, now: float) -> None:
        self.forth.confirm()
        self._established(now)

    def _lost(self, now: float) -> None:
        """Try again when the timer ends, or give up."""
        until = max(now, self._sent + self.settings.syn_timeout_s * 2.0**self._tries)
        self._tries += 1
        if self._tries > self.settings.syn_retries:
            self.failed = True
            Notice(self.forth.clock, until, self._established)
        else:
            Notice(self.forth.clock, until, lambda at: self.connect(self._established), SYN_RETRY)

    def request(self, size: int, arrived: Reaction) -> None:
        """Send a message from client to server."""
        if self.reads.request_bps is None and self._fits(self._forth, self.forth, size):
            _Message(self, self.forth, size, arrived)
        else:
            self.outgoing.send(size, arrived)

    def respond(self, size: int, arrived: Reaction) -> None:
        """Send a message from server to client."""
        if self.reads.response_bps is None and self._fits(self._back, self.back, size):
            _Message(self, self.back, size, arrived)
        else:
            self.incoming.send(size, arrived)

    def _fits(self, half: Half | None, way: Way, size: int) -> bool:
        if size > way.burst_bytes or way.swallows(size):
            return False
        return half.fits(size) if half is not None else size <= self.settings.initial_window * way.mss

    def acknowledge_request(self) -> None:
        """Send the quick acknowledgement of the first request."""
        self.back.send(0)

    def acknowledge_response(self) -> None:
        """Send the acknowledgement of a response."""
        self.forth.send(0)

    def close(self, closed: Reaction = nobody) -> None:
        """FIN, FIN with acknowledgement, acknowledgement. Nobody waits for it, but cores and links carry it."""
        self._closed = closed
        self.forth.end(self._finish)

    def _finish(self, now: float) -> None:
        self.back.end(self._last)

    def _last(self, now: float) -> None:
        self.forth.send(0)
        self._closed(now)
