"""Bursts of TCP data, and the ranges of bytes that get lost of them.

What a burst loses it loses by segments; neighbours that go on stay one burst.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Burst, Notice
from netsim.engine.transport.backpressure import BUFFER_OVERHEAD_BYTES

if TYPE_CHECKING:
    from netsim.engine.transport.half import Half


class Hole:
    """A range of bytes that was lost and not yet sent again."""

    __slots__ = ("open", "sent", "size", "start")

    def __init__(self, start: int, size: int, sent: float) -> None:
        self.start, self.size, self.sent, self.open = start, size, sent, True


Range = tuple[int, int]
"""First byte and number of bytes."""


class Data(Burst):
    """A burst of a `Half`: knows which bytes it carries."""

    __slots__ = ("_below", "buffers", "half", "ranges", "sent")

    def __init__(self, half: Half, start: int, size: int, now: float) -> None:
        self.half, self.sent, self.buffers = half, now, 1
        self.ranges: Sequence[Range] = ((start, size),)
        way, self._below = half.way, 0
        if half.queue is not None:
            self._below = size + BUFFER_OVERHEAD_BYTES
            half.queue.bytes += self._below
        super().__init__(way.clock, half.legs, half.charges(size), size, arrived=self._through, lost=self._gone)

    def _through(self, now: float) -> None:
        if self.half.polls is not None:
            self.half.polls.reader = self.book.station
        for start, size in self.ranges:
            self.half.received(start, size, self.sent, now, self.buffers)

    def _gone(self, now: float) -> None:
        if self._below:  # lost before it left the node
            self.sent_off(now)
        for start, size in self.ranges:
            self.half.missing(start, size, self.sent, now)

    def sent_off(self, end: float) -> None:
        """Tell the small queue, whose memory is free then."""
        if self.half.queue is not None:
            self.half.queue.leaves(end, self._below, self)
            self._below = 0

    def shrink(self, segments: int, now: float) -> bool:
        """Lose the segments behind the first ``segments``, at once or at a later time."""
        mss = self.half.way.mss
        if segments * mss >= self.size:
            return False
        self._lose(range(segments, -(-self.size // mss)), now)
        return True

    def pierce(self, segments: Sequence[int], now: float) -> bool:
        """Lose some segments, told by their numbers."""
        self._lose(segments, now)
        return True

    def _lose(self, segments: Sequence[int], now: float) -> None:
        kept, lost = parted(self.ranges, segments, self.half.way.mss)
        for start, size in lost:
            if now > self.clock.now:
                Notice(self.clock, now, partial(self.half.missing, start, size, self.sent), after=self.trace)
            else:
                self.half.missing(start, size, self.sent, now, self.trace)
        self.ranges, self.size = kept, sum(size for _, size in kept)
        self.charges = self.half.way.following.charges(self.size)
        if self.trace is not None:
            self.trace = [self.trace, self.charges[self.index :], self.clock.now]


def parted(ranges: Sequence[Range], segments: Sequence[int], mss: int) -> tuple[list[Range], list[Range]]:
    """Part the bytes of a burst into those that go on and those of ``segments``; neighbours stay together."""
    parted: tuple[list[Range], list[Range]] = ([], [])
    number = 0
    for first, size in ranges:
        for start in range(first, first + size, mss):
            into, length = parted[number in segments], min(mss, first + size - start)
            number += 1
            if into and sum(into[-1]) == start:
                into[-1] = into[-1][0], into[-1][1] + length
            else:
                into.append((start, length))
    return parted
