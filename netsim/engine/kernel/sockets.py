"""UDP sockets: what waits for the reading thread, and what the buffer has no room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.engine.queueing.stations import Core

if TYPE_CHECKING:
    from netsim.engine.queueing.burst import Burst
    from netsim.engine.queueing.stations import CoreCharge, Station

BUFFER_BYTES = 212_992
"""Default receive buffer of a socket (Linux ``net.core.rmem_default``)."""
TRUESIZE_BYTES = 768
"""What a small datagram takes of it: a 512-byte data area and the sk_buff (Linux ``SKB_TRUESIZE``)."""
DATAGRAMS = BUFFER_BYTES // TRUESIZE_BYTES


class Socket:
    """The receive queue of one socket, read by a thread on one core.

    Only datagrams of this socket count against its buffer: other work of the core makes them wait, it does not fill
    the buffer.
    """

    __slots__ = ("_core", "_reads", "_thread")

    def __init__(self, core: Station) -> None:
        assert isinstance(core, Core)
        self._core, self._thread = core, core.thread
        self._reads: list[float] = []  # a few hundred at most: cheaper than a deque to make and to shift

    def read(self, burst: Burst, now: float, charge: CoreCharge) -> float | None:
        """Queue a datagram for the thread; refuse it when the buffer is full."""
        reads = self._reads
        while reads and reads[0] <= now:
            del reads[0]
        if len(reads) >= DATAGRAMS:
            self._core.unread += 1
            self._core.refuse(burst, now)
            return None
        end = self._thread(burst, now, charge)
        if end is not None:
            reads.append(end)
        return end
