"""Congestion control: how a sender's window grows without loss and shrinks with it.

Sources: RFC 5681 (slow start, congestion avoidance), RFC 9438 (CUBIC).
"""

from __future__ import annotations

from math import inf
from typing import Protocol


class CongestionControl(Protocol):
    """How the window grows without loss and shrinks with it. Windows in bytes."""

    window: float
    threshold: float

    def __init__(self, mss: int, initial: float) -> None: ...

    def acked(self, size: int, now: float, rtt_s: float) -> None:
        """Learn that ``size`` bytes got through."""
        ...

    def lost(self, now: float) -> None:
        """Learn of a loss by duplicate acknowledgements, once a window."""
        ...

    def timed_out(self, now: float) -> None:
        """Learn of a loss by timeout."""
        ...


class Reno:
    """RFC 5681: slow start to the threshold, then one segment a round trip; halve on loss."""

    __slots__ = ("mss", "threshold", "window")

    def __init__(self, mss: int, initial: float) -> None:
        self.mss, self.window, self.threshold = mss, initial, inf

    def acked(self, size: int, now: float, rtt_s: float) -> None:
        """Grow."""
        if self.window < self.threshold:
            self.window += size
        else:
            self.window += self.mss * size / self.window

    def lost(self, now: float) -> None:
        """Halve."""
        self.threshold = self.window = max(self.window / 2.0, 2.0 * self.mss)

    def timed_out(self, now: float) -> None:
        """Start over from one segment."""
        self.threshold = max(self.window / 2.0, 2.0 * self.mss)
        self.window = float(self.mss)


class Cubic:
    """RFC 9438: the window is a cubic function of the time since the last loss; C = 0.4, β = 0.7."""

    __slots__ = ("_epoch", "_origin", "_peak", "_plateau", "_reno", "mss", "threshold", "window")

    C, BETA = 0.4, 0.7

    def __init__(self, mss: int, initial: float) -> None:
        self.mss, self.window, self.threshold = mss, initial, inf
        self._peak = self._origin = self._plateau = self._reno = 0.0
        self._epoch: float | None = None

    def acked(self, size: int, now: float, rtt_s: float) -> None:
        """Grow towards the cubic's value one round trip ahead, at least as fast as Reno would."""
        if self.window < self.threshold:
            self.window += size
            return
        if self._epoch is None:
            self._epoch, self._reno = now, self.window
            self._origin = max(self._peak, self.window)
            missing = (self._origin - self.window) / self.mss / self.C
            self._plateau = _cube_root(missing)
        target = self._origin + self.C * self.mss * (now + rtt_s - self._epoch - self._plateau) ** 3
        target = min(max(target, self.window), 1.5 * self.window)
        self._reno += 3.0 * (1.0 - self.BETA) / (1.0 + self.BETA) * self.mss * size / self.window
        self.window = max(self.window + (target - self.window) * size / self.window, self._reno)

    def lost(self, now: float) -> None:
        """Remember the peak, keep 70 %."""
        shrinking = self.window < self._peak
        self._peak = self.window * (1.0 + self.BETA) / 2.0 if shrinking else self.window
        self.threshold = self.window = max(self.window * self.BETA, 2.0 * self.mss)
        self._epoch = None

    def timed_out(self, now: float) -> None:
        """As `lost`, and start over from one segment."""
        self.lost(now)
        self.window = float(self.mss)


def _cube_root(x: float) -> float:
    """Cube root of a non-negative number by Newton's steps (basic operations only, so the same on every machine)."""
    if x <= 0.0:
        return 0.0
    root = max(x, 1.0)
    for _ in range(64):
        smaller = (2.0 * root + x / (root * root)) / 3.0
        if smaller >= root:
            break
        root = smaller
    return root
