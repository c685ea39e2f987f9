"""What holds a TCP sender back besides its congestion window: send buffer, small queue, and a reader that is slow.

An application writes until the **send buffer** is full, then sleeps, and is woken when a third of it is free. What
is written waits there for the windows. Below the socket a connection may have so many bytes, no more: its **small
queue**; what the card has sent makes room for the next. At the other end data waits for the **reader**; what is not
read closes the window that the receiver tells, and the sender stands until it opens again.

Sources, all Linux: net/ipv4/tcp.c (`tcp_sendmsg_locked`, `tcp_cleanup_rbuf`), net/ipv4/tcp_input.c
(`tcp_sndbuf_expand`, `tcp_check_space`), net/core/stream.c and include/net/sock.h (`sk_stream_memory_free`,
`sk_stream_is_writeable`), net/ipv4/tcp_output.c (`tcp_small_queue_check`, `tcp_wfree`, `__tcp_select_window`),
Documentation/networking/ip-sysctl.rst (`tcp_wmem`, `tcp_limit_output_bytes`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.datapath.socket import sent_bytes
from netsim.datapath.types import LINK_ROLES, Role
from netsim.engine.queueing.burst import Burst, Notice, Reaction, deliver
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.stations import CoreCharge
from netsim.engine.queueing.tracing import SEND_BUFFER, SMALL_QUEUE, Part

if TYPE_CHECKING:
    from netsim.engine.pricing import Tariff
    from netsim.engine.queueing.burst import Leg
    from netsim.engine.queueing.clock import Clock
    from netsim.engine.transport.ways import Way

BUFFER_OVERHEAD_BYTES = 1280
"""Memory of a socket buffer besides its payload: descriptor (256), and a head of 1 KiB that holds headers (320) and
``skb_shared_info`` (320) and is allocated by powers of two (include/linux/skbuff.h `SKB_TRUESIZE`)."""
_HEAD_BYTES, _DESCRIPTOR_BYTES = 640, 256
_LEAST_SEGMENTS = 10
PACING_SHIFT = 10
"""A small queue holds the bytes of 2^-10 s at the pacing rate (``sk_pacing_shift``)."""
STARTING, STEADY = 2.0, 1.2
"""Pacing rate over window by round trip: in slow start below half the threshold, and afterwards
(``tcp_pacing_ss_ratio``, ``tcp_pacing_ca_ratio``)."""


class Stalls:
    """For how long senders had data and were held back, by what: seconds, as ``ss -i`` tells it of one connection."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds: dict[Part, float] = {}

    def add(self, why: Part, seconds: float) -> None:
        """Book a stall that is over."""
        self.seconds[why] = self.seconds.get(why, 0.0) + seconds


class SendBuffer:
    """The memory in which written data waits until it is acknowledged (``sk_sndbuf``).

    It grows with the congestion window: twice the window in segments, each counted as the memory of a buffer of its
    own, at most ``most_bytes`` (the last figure of ``tcp_wmem``). A buffer more is begun while less than that is taken.

    Parameters
    ----------
    burst_bytes, mss: payload of a socket buffer, and of a segment.
    most_bytes: what it may grow to.
    """

    __slots__ = ("_burst", "_memory", "_most", "_mss", "_segment", "bytes")

    def __init__(self, burst_bytes: int, mss: int, most_bytes: int) -> None:
        self._burst, self._mss, self._most = burst_bytes, mss, most_bytes
        self._memory = burst_bytes + BUFFER_OVERHEAD_BYTES
        self._segment = (1 << (mss + _HEAD_BYTES - 1).bit_length()) + _DESCRIPTOR_BYTES
        self.bytes = 0
        self.grow(0.0)

    def grow(self, window: float) -> None:
        """Follow a congestion window of so many bytes."""
        wanted = 2 * max(_LEAST_SEGMENTS, int(window // self._mss)) * self._segment
        if wanted > self.bytes:
            self.bytes = min(wanted, self._most)

    @property
    def capacity(self) -> int:
        """Payload it takes."""
        return self._burst * -(-self.bytes // self._memory)

    def writable(self, payload: int) -> bool:
        """Tell whether a sleeping writer is woken while so much payload is in it: a third is free."""
        return 3 * payload * self._memory <= 2 * self.bytes * self._burst


class SmallQueue:
    """Bytes of a connection between its socket and the wire: in queueing discipline and ring (``sk_wmem_alloc``).

    Parameters
    ----------
    clock: the clock.
    legs: the connection's legs.
    index: which of them is the node's link.
    resume: called when there is room again for who has had to wait.
    """

    __slots__ = ("_clock", "_due", "_ends", "_leg", "_resume", "bytes", "legs", "waits")

    def __init__(self, clock: Clock, legs: Sequence[Leg], index: int, resume: Reaction) -> None:
        self._clock, self._leg, self._resume = clock, legs[index], resume
        self.legs = (*legs[:index], self.carry, *legs[index + 1 :])
        self.bytes = 0
        self.waits = self._due = False
        self._ends: deque[tuple[float, int]] = deque()

    @staticmethod
    def of(way: Way, resume: Reaction) -> SmallQueue | None:
        """Return that of one direction of a connection, `None` where the kernel cannot tell whose its buffers are."""
        tariff = way.following
        if not tariff.route.accounted or Role.SENDER_LINK not in tariff.stops:
            return None
        return SmallQueue(way.clock, way.legs, tariff.stops.index(Role.SENDER_LINK), resume)

    def carry(self, burst: Burst, now: float, charge: Any) -> float | None:
        """Serve a burst at the link, and note when it has left."""
        out = self._leg(burst, now, charge)
        if out is not None:
            burst.sent_off(burst.station.free_s)
        return out

    def leaves(self, end: float, size: int, burst: Burst) -> None:
        """Learn when the last bit of a burst of so many bytes is on the wire."""
        self._ends.append((end, size))
        if self.waits and not self._due:
            step = burst.trace and [*burst.trace]
            if step and step[-1] != self._clock._now:  # it had to wait for the ring
                step = [step, SMALL_QUEUE, step[-1], self._clock._now]
            self._arm(step)

    def holds_up(self, limit: float, now: float) -> bool:
        """Tell whether more than so many bytes are below the socket; who asked is told when there is room."""
        ends = self._ends
        while ends and ends[0][0] <= now:
            self.bytes -= ends.popleft()[1]
        self.waits = self.bytes > limit
        if self.waits and ends and not self._due:
            self._arm(None)
        return self.waits

    def _arm(self, after: list[Any] | None) -> None:
        self._due = True
        Notice(self._clock, self._ends[0][0], self._completed, SMALL_QUEUE, after)

    def _completed(self, now: float) -> None:
        """The card is through with a buffer: whoever waits may try again (``tcp_wfree``)."""
        self._due = False
        if self.waits:
            self._resume(now)


def small_queue_bytes(window: float, threshold: float, rtt_s: float, burst_bytes: int, most: float) -> float:
    """Return how much a connection may have below its socket: two buffers or a millisecond at its pacing rate."""
    limit = 2.0 * (burst_bytes + BUFFER_OVERHEAD_BYTES)
    if rtt_s > 0.0:
        ratio = STARTING if window < threshold / 2.0 else STEADY
        limit = max(limit, ratio * window / rtt_s / (1 << PACING_SHIFT))
    return min(limit, most)


class Calls(NamedTuple):
    """How an application hands its data over: so many bytes a call, each but a buffer's first taking ``append_s``.

    A call that fills one buffer and begins the next counts for each by its share.
    """

    bytes: int
    append_s: float

    def paid(self, charges: tuple[Any, ...], size: int) -> tuple[Any, ...]:
        """Return the charges of a burst with the calls that have filled it, all of them on the sender's core."""
        (service, *rest), *others = charges
        appended = max(0.0, size / self.bytes - 1.0)
        return (service + on_grid(appended * self.append_s), *rest), *others

    def largest(self, way: Way) -> int:
        """Return the payload of the buffers that they become."""
        stays = LINK_ROLES.isdisjoint(way.following.stops)
        return sent_bytes(self.bytes, way.mss, way.burst_bytes, stays=stays)


class Writer:
    """The application at the sending end, asleep because the send buffer is full.

    Parameters
    ----------
    way, back: the way of the data, on whose first core it runs, and of the acknowledgements.
    """

    __slots__ = ("_charges", "_clock", "_legs", "_wakes", "asleep")

    def __init__(self, way: Way, back: Way, wakes: Reaction) -> None:
        self._clock, self._wakes, self.asleep = way.clock, wakes, True
        on_core = way.following.stops[0] == Role.SENDER_CORE
        self._legs: tuple[Leg, ...] = (way.legs[0], deliver) if on_core else ()
        setup_s, idle_s = _wake_up_s(back.following)
        self._charges = (0.0, setup_s, 0.0, float("inf"), idle_s), None

    def wake(self) -> None:
        """Let it go on as soon as it gets its core."""
        self.asleep = False
        if self._legs:
            Burst(self._clock, self._legs, self._charges, 0, self._wakes)
        else:
            Notice(self._clock, self._clock._now, self._wakes, SEND_BUFFER)


def _wake_up_s(tariff: Tariff) -> tuple[float, float]:
    """Return what waking a thread at the end of a route takes when its core is idle, and its work besides."""
    for stop, charge in zip(tariff.stops, tariff.named(0), strict=False):
        if stop == Role.RECEIVER_CORE and isinstance(charge, CoreCharge):
            return charge.setup_s, charge.idle_s
    return 0.0, 0.0


class Reader:
    """The application at the receiving end that takes data in at a rate of its own (a disk, a parser, a slow client).

    It reads what has come as one piece, works on it, and reads again. Out of the way of who reads at once: such a
    connection has none.

    Parameters
    ----------
    rate_bps: how fast it takes data in.
    buffer_bytes: what the receive buffer holds.
    mss: payload of a segment.
    """

    __slots__ = ("_buffer", "_free_s", "_mss", "_rate_bps", "edge", "unread")

    def __init__(self, rate_bps: float, buffer_bytes: int, mss: int) -> None:
        self._rate_bps, self._buffer, self._mss = rate_bps, buffer_bytes, mss
        self._free_s = 0.0
        self.edge, self.unread = buffer_bytes, 0

    def take(self, size: int, now: float) -> tuple[float, float]:
        """Return when it reads a piece that has just come, and when it has worked on it."""
        start = max(now, self._free_s)
        self._free_s = end = start + on_grid(8.0 * size / self._rate_bps)
        return start, end

    def tell(self, received: int, held: int) -> int:
        """Return the right edge of the window that an acknowledgement tells; it never moves back.

        ``held`` are bytes that came out of order. A window that is nearly closed is told as closed
        (``__tcp_select_window``: less than a sixteenth of the buffer, or than a segment).
        """
        self.edge = max(self.edge, received + self._window(held))
        return self.edge

    def reopens(self, received: int, held: int) -> bool:
        """Tell whether a read made so much room that the sender is told at once: at least twice what it knows of."""
        known = self.edge - received
        window = self._window(held)
        return 2 * known <= self._buffer and 0 < window >= 2 * known

    def _window(self, held: int) -> int:
        free = self._buffer - self.unread - held
        return 0 if free < self._buffer / 2.0 and (free < self._buffer / 16.0 or free < self._mss) else free
