"""One direction of a TCP connection: window, loss recovery, acknowledgements.

Timers run for what was really lost only (the engine knows at once; the sender learns it at the time its timer or its
duplicate acknowledgements would tell it). A segment that is merely late is therefore never sent twice.

How the window grows and shrinks is `netsim.engine.transport.congestion`'s part, what else holds a sender back that of
`netsim.engine.transport.backpressure`.

Sources: RFC 5681 (fast retransmit), RFC 6298 with Linux's minimum of 200 ms (timer), RFC 1122 4.2.3.2 and Linux's quick
acknowledgements (delayed acknowledgement).
"""

from __future__ import annotations

from collections import deque
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from netsim.datapath.types import Role
from netsim.engine.queueing.burst import Notice, Reaction, tell
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.tracing import (
    DELAYED_ACK,
    READING,
    RECEIVE_WINDOW,
    RTO,
    SEND_BUFFER,
    SMALL_QUEUE,
    WINDOW,
    WINDOW_PROBE,
    Part,
    count_as,
)
from netsim.engine.transport.acknowledging import Acknowledgements, Polls
from netsim.engine.transport.backpressure import (
    Calls,
    Reader,
    SendBuffer,
    SmallQueue,
    Stalls,
    Writer,
    small_queue_bytes,
)
from netsim.engine.transport.congestion import CongestionControl, Cubic
from netsim.engine.transport.data import Data, Hole
from netsim.engine.transport.tail import TailProbe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netsim.engine.queueing.burst import Leg
    from netsim.engine.queueing.clock import Clock
    from netsim.engine.queueing.tracing import Step
    from netsim.engine.transport.tcp import TcpSettings
    from netsim.engine.transport.ways import Way


class Half:
    """One direction of a connection: a sender with its window and the receiver at the other end.

    Parameters
    ----------
    way, back: the way of the data and that of its acknowledgements.
    settings: constants of the stack.
    reads_bps: how fast the receiving application takes data in, if not at once.
    stalls: where to book what held the sender back.
    """

    __slots__ = (
        "_ack_buffers", "_ack_owed", "_ack_timer", "_acks", "_backoff", "_buffer", "_calls", "_edge", "_goal", "_held",
        "_hindrance", "_holes", "_largest", "_last", "_messages", "_next", "_probes", "_probing", "_quick", "_reader",
        "_received", "_recovery", "_resend", "_rtt_spread_s", "_sacked", "_since", "_tail", "_una", "_writer",
        "_written", "back", "clock", "control", "legs", "polls", "queue", "quiet_since_s", "retransmits", "rtt_s",
        "settings", "stalls", "timeouts", "way",
    )  # fmt: skip

    def __init__(
        self, way: Way, back: Way, settings: TcpSettings, *, reads_bps: float | None = None,
        stalls: Stalls | None = None,
    ) -> None:  # fmt: skip
        self.way, self.back, self.settings = way, back, settings
        self.stalls = stalls or Stalls()
        self.clock: Clock = way.clock
        initial = float(settings.initial_window * way.mss)
        self.control: CongestionControl = (settings.congestion or Cubic)(way.mss, initial)
        self._una = self._next = self._written = self._goal = self._received = self._last = 0
        self._messages: deque[tuple[int, Reaction]] = deque()
        self._held: list[tuple[int, int]] = []
        self._holes: list[Hole] = []
        self._resend: deque[Hole] = deque()
        self._recovery = self._sacked = 0
        self.rtt_s = self._rtt_spread_s = 0.0
        self._backoff = 1.0
        self._quick = settings.quick_acks
        self._ack_owed, self._ack_buffers, self._ack_timer = 0, 0, False
        self.retransmits = self.timeouts = 0
        self._buffer = SendBuffer(way.burst_bytes, way.mss, settings.send_buffer_bytes)
        self._writer: Writer | None = None
        self.queue: SmallQueue | None = SmallQueue.of(way, self._pump)
        legs = way.legs if self.queue is None else self.queue.legs
        self.polls = Polls.over(way, legs)
        self.legs: Sequence[Leg] = legs if self.polls is None else self.polls.legs
        self._acks = Acknowledgements(way, back)
        window = settings.receive_window_bytes
        self._reader = None if reads_bps is None else Reader(reads_bps, window, way.mss)
        self._edge = inf if self._reader is None else self._reader.edge
        self._probes, self._probing = 0, False
        self._calls: Calls | None = None
        self._largest = way.burst_bytes
        self._tail, self.quiet_since_s = TailProbe(self), 0.0
        self._hindrance: Part | None = None
        self._since = 0.0

    # ------------------------------------------------------------------------------------------ sender

    @property
    def delivered(self) -> int:
        """Bytes the receiver has in order."""
        return self._received

    @property
    def rto_s(self) -> float:
        """The retransmission timeout (RFC 6298, Linux's bounds), with its back-off."""
        base = max(self.settings.minimum_rto_s, self.rtt_s + 4.0 * self._rtt_spread_s)
        return on_grid(min(base * self._backoff, self.settings.maximum_rto_s))

    def fits(self, size: int) -> bool:
        """Tell whether nothing is under way and a message of this size would leave at once."""
        return self._next == self._goal == self._una and size <= self.control.window

    def send(self, size: int, arrived: Reaction) -> None:
        """Send a message; ``arrived`` is called when its last byte is with the receiving application."""
        self._goal += size
        self._messages.append((self._goal, arrived))
        self._write(self.clock.now)

    def stream(self, calls: Calls | None = None) -> None:
        """Send without end; an application of small ``calls`` fills each buffer by several."""
        self._goal = 1 << 62
        self._calls = calls
        self._largest = self.way.burst_bytes if calls is None else calls.largest(self.way)
        self._write(self.clock.now)

    def charges(self, size: int) -> tuple[Any, ...]:
        """Return what a burst pays at its stations."""
        charges = self.way.following.charges(size)
        if self._calls is None or self.way.following.stops[0] != Role.SENDER_CORE:
            return charges
        return self._calls.paid(charges, size)

    def stop(self) -> None:
        """End a stream: nothing new is sent; what is under way arrives."""
        self._goal = self._written = self._next
        self._hinder(None, self.clock.now)

    def _write(self, now: float) -> None:
        """Let the application write what the send buffer takes; where that is not all, it goes to sleep."""
        self._buffer.grow(self.control.window)
        self._written = max(self._written, min(self._goal, self._una + self._buffer.capacity))
        if self._written < self._goal:
            if self._writer is None:
                self._writer = Writer(self.way, self.back, self._awake)
            self._writer.asleep = True
        self._pump(now)

    def _awake(self, now: float) -> None:
        count_as(self.clock, SEND_BUFFER)
        self._write(now)

    def _pump(self, now: float) -> None:
        """Send what the window allows: lost ranges first, then new data in bursts as large as may be."""
        way, mss = self.way, self.way.mss
        missing = sum(hole.size for hole in self._holes if hole.open)
        pipe = self._next - self._una - missing - self._sacked
        room = min(self.control.window, self.settings.receive_window_bytes) - pipe
        while self._resend:
            hole = self._resend[0]
            size = min(hole.size, way.burst_bytes, max(int(room // mss), int(pipe <= 0)) * mss)
            if size <= 0 or self._held_up(2.0, now):
                return
            start = hole.start
            hole.start, hole.size = start + size, hole.size - size
            if not hole.size:
                hole.open = False
                self._resend.popleft()
            room -= size
            pipe += size
            self.retransmits += 1
            self._emit(start, size, now)
        closed = self.settings.receive_window_bytes < self.control.window
        if self._edge - self._next < room:
            room, closed = self._edge - self._next, True
        hindrance: Part | None = None
        while self._next < self._written:
            size = min(self._written - self._next, self._largest)
            if size > room:
                size = int(room // mss) * mss
                if size <= 0:
                    hindrance = RECEIVE_WINDOW if closed else None
                    break
            if self._held_up(1.0, now):
                hindrance = SMALL_QUEUE
                break
            start, self._next = self._next, self._next + size
            room -= size
            self._last = size
            self._emit(start, size, now)
        else:
            if self._next < self._goal:
                hindrance = SEND_BUFFER
        if hindrance is not self._hindrance:
            self._hinder(hindrance, now)
        if hindrance is RECEIVE_WINDOW and self._next == self._una:
            self._persist(now)

    def _held_up(self, factor: float, now: float) -> bool:
        """Tell whether the small queue is full; a connection always has two buffers under way."""
        queue = self.queue
        if queue is None:
            return False
        control, settings = self.control, self.settings
        limit = factor * small_queue_bytes(
            control.window, control.threshold, self.rtt_s, self.way.burst_bytes, settings.small_queue_bytes
        )
        return queue.holds_up(limit, now) and self._next - self._una > self._last

    def _hinder(self, why: Part | None, now: float) -> None:
        """Book what held the sender back until now, and begin with what does from now on."""
        if self._hindrance is not None:
            self.stalls.add(self._hindrance, now - self._since)
        self._hindrance, self._since = why, now

    def _persist(self, now: float) -> None:
        """Ask by and by, the window closed and nothing under way: what opens it may get lost (RFC 9293 3.8.6.1)."""
        if not self._probing:
            self._probing = True
            wait = min(self.rto_s * 2.0**self._probes, self.settings.maximum_rto_s)
            Notice(self.clock, now + wait, self._probe, WINDOW_PROBE)

    def _probe(self, now: float) -> None:
        self._probing = False
        if self._hindrance is RECEIVE_WINDOW and self._next == self._una and self._reader is not None:
            self._probes += 1
            self.way.send(0, partial(self._tell_window, self._reader))
            self._persist(now)

    def _opened(self, edge: int, now: float) -> None:
        """Learn how far the receiver's window reaches."""
        if edge > self._edge:
            self._edge, self._probes = edge, 0
            count_as(self.clock, RECEIVE_WINDOW)
            self._pump(now)

    def _emit(self, start: int, size: int, now: float) -> None:
        self.quiet_since_s = now
        if self.way.swallows(size):
            Notice(self.clock, now, lambda at: self.missing(start, size, now, at))
        else:
            Data(self, start, size, now)

    def missing(self, start: int, size: int, sent: float, now: float, after: Step | None = None) -> None:
        """Note a lost range; its timer runs from when it was sent. ``after`` is the trace of its burst."""
        hole = Hole(start, size, sent)
        self._holes.append(hole)
        self._tail.watch(now, after)
        Notice(self.clock, max(now, sent + self.rto_s), lambda at: self._timeout(hole, at), RTO, after)

    def _timeout(self, hole: Hole, now: float) -> None:
        self._holes = [each for each in self._holes if each.open]
        if not hole.open or hole in self._resend:
            return
        self.timeouts += 1
        self.control.timed_out(now)
        self._backoff = min(self._backoff * 2.0, 2.0**10)
        self._recovery = self._next
        self._resend = deque(sorted((each for each in self._holes if each.open), key=lambda each: each.start))
        self._pump(now)

    def _acked(self, upto: int, highest: int, sacked: int, sent: float, now: float) -> None:
        """Take an acknowledgement: ``upto`` in order, ``sacked`` bytes beyond up to ``highest``."""
        self._backoff, self.quiet_since_s = 1.0, now
        self._sacked = sacked
        sample = now - sent
        if self.rtt_s == 0.0:
            self.rtt_s, self._rtt_spread_s = sample, sample / 2.0
        else:
            self._rtt_spread_s += (abs(self.rtt_s - sample) - self._rtt_spread_s) / 4.0
            self.rtt_s += (sample - self.rtt_s) / 8.0
        fresh = upto - self._una
        if fresh > 0:
            self._una = upto
            # only a window that was used may grow
            if upto >= self._recovery and self._next - upto + fresh >= self.control.window / 2.0:
                self.control.acked(fresh, now, self.rtt_s)
        self._detect(highest, sent, now)
        self._pump(now)
        if fresh > 0 and self._writer is not None and self._writer.asleep:
            self._buffer.grow(self.control.window)
            if self._buffer.writable(self._written - self._una):
                self._writer.wake()

    def _detect(self, highest: int, sent: float, now: float) -> None:
        """Resend what three segments beyond it prove lost (RFC 5681, selectively); reduce once a window.

        What was sent after the segment acknowledged now may still come (RFC 8985): a repetition that is lost again is
        not known before something later got through.
        """
        proof = highest - 3 * self.way.mss
        for hole in self._holes:
            if hole.open and hole.sent <= sent and hole.start + hole.size <= proof and hole not in self._resend:
                self._repeat(hole, now)

    def _repeat(self, hole: Hole, now: float) -> None:
        """Resend a range that is known to be lost."""
        if hole.start >= self._recovery:
            self.control.lost(now)
            self._recovery = self._next
        self._resend.append(hole)

    @property
    def missed(self) -> bool:
        """Whether something is lost that nobody has noticed."""
        return any(hole.open and hole not in self._resend for hole in self._holes)

    def repeat_all(self, sent: float, now: float) -> None:
        """Learn that all that was sent up to a time and is missing is lost: a later segment came."""
        for hole in self._holes:
            if hole.open and hole.sent <= sent and hole not in self._resend:
                self._repeat(hole, now)
        self.quiet_since_s = now
        self._pump(now)
        if self.missed:
            self._tail.watch(now)

    # ------------------------------------------------------------------------------------------ receiver

    def received(self, start: int, size: int, sent: float, now: float, buffers: int = 1) -> None:
        """Take data that came as so many buffers: deliver what is in order, acknowledge by the rules."""
        end, before = start + size, self._received
        ordered = start <= before
        if ordered:
            self._received = max(before, end)
            while self._held and self._held[0][0] <= self._received:
                self._received = max(self._received, self._held.pop(0)[1])
            if self._reader is not None:
                self._read_later(self._reader, self._received - before, now)
            while self._messages and self._messages[0][0] <= self._received:
                tell(self._messages.popleft()[1], now)
        else:
            self._held.append((start, end))
            self._held.sort()
        self._ack_owed += size
        self._ack_buffers += buffers
        if not ordered or self._held or self._quick > 0 or self._ack_owed >= 2 * self.way.mss:
            self._quick -= 1
            self._acknowledge(end, sent)
        elif not self._ack_timer:
            self._ack_timer = True
            Notice(self.clock, now + self.settings.delayed_ack_s, lambda at: self._ack_due(end, sent), DELAYED_ACK)

    def acknowledge_probe(self, told: Reaction, lost: Reaction) -> None:
        """Answer a probe at once."""
        self._acks.send(0, 1, told, lost)

    def _ack_due(self, end: int, sent: float) -> None:
        self._ack_timer = False
        if self._ack_owed:
            self._acknowledge(end, sent)

    def _acknowledge(self, highest: int, sent: float) -> None:
        size, buffers = self._ack_owed, self._ack_buffers
        self._ack_owed = self._ack_buffers = 0
        upto, sacked = self._received, self._out_of_order
        edge = inf if self._reader is None else self._reader.tell(upto, sacked)
        if self._held:
            highest = self._held[-1][1]

        def told(now: float) -> None:
            self._edge = max(self._edge, edge)
            self._acked(upto, highest, sacked, sent, now)

        def back(now: float) -> None:
            opens = self._hindrance is RECEIVE_WINDOW and edge > self._edge
            count_as(self.clock, RECEIVE_WINDOW if opens else WINDOW)
            told(now)

        def again(now: float) -> None:
            if upto > self._una:  # no later one has told as much
                told(now)

        def lost(now: float) -> None:
            # the sender would time out, repeat the last burst and be told again
            Notice(self.clock, now + self.rto_s, again, RTO)

        self._acks.send(size, buffers, back, lost)

    @property
    def _out_of_order(self) -> int:
        """Bytes the receiver holds behind a gap."""
        return sum(end - start for start, end in self._held)

    def _read_later(self, reader: Reader, size: int, now: float) -> None:
        """Let a slow application read what has come in order; its messages are with it when it has."""
        start, end = reader.take(size, now)
        if start > now:
            reader.unread += size
            Notice(self.clock, start, partial(self._has_read, reader, size), READING)
        while self._messages and self._messages[0][0] <= self._received:
            Notice(self.clock, end, self._messages.popleft()[1], READING)

    def _has_read(self, reader: Reader, size: int, now: float) -> None:
        reader.unread -= size
        if reader.reopens(self._received, self._out_of_order):
            self._tell_window(reader, now)

    def _tell_window(self, reader: Reader, now: float) -> None:
        """Send an acknowledgement that tells nothing but the window. Nobody repeats it: the sender asks (`_probe`)."""
        self.back.send(0, partial(self._opened, reader.tell(self._received, self._out_of_order)))
