"""Tail loss probe: what was lost at a window's end is noticed by a segment that asks, not by the timer alone.

Nothing comes back of segments that nothing was sent behind. A sender that has heard nothing for two round trips sends
one segment more; its acknowledgement tells what is missing, which is then repeated like any other loss (RFC 8985
section 7; Linux net/ipv4/tcp_output.c `tcp_schedule_loss_probe`, where the probe waits for two ticks besides). One
probe at a time: if it is lost too, the timer remains.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Notice
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.tracing import TAIL_PROBE

if TYPE_CHECKING:
    from netsim.engine.queueing.tracing import Step
    from netsim.engine.transport.half import Half

LEAST_S = on_grid(0.008)
"""Two ticks (``TCP_TIMEOUT_MIN``) of 250 a second, the kernels of most distributions."""


class TailProbe:
    """The probe of one direction of a connection."""

    __slots__ = ("_half", "_waits")

    def __init__(self, half: Half) -> None:
        self._half, self._waits = half, False

    def watch(self, now: float, after: Step | None = None) -> None:
        """Probe as soon as nothing has been heard for long enough, something being lost."""
        half = self._half
        if self._waits or half.rtt_s == 0.0:
            return
        self._waits = True
        Notice(half.clock, max(now, self._due_s), self._probe, TAIL_PROBE, after)

    @property
    def _due_s(self) -> float:
        """When nothing has been heard for long enough, if nothing is until then."""
        return on_grid(self._half.quiet_since_s + 2.0 * self._half.rtt_s + LEAST_S)

    def _probe(self, now: float) -> None:
        half = self._half
        self._waits = False
        if not half.missed:
            return
        if now < self._due_s:
            self.watch(now)
            return
        self._waits = True
        half.way.send(half.way.mss, partial(self._came, now), self._gone)

    def _came(self, sent: float, now: float) -> None:
        self._half.acknowledge_probe(partial(self._told, sent), self._gone)

    def _told(self, sent: float, now: float) -> None:
        self._waits = False
        self._half.repeat_all(sent, now)

    def _gone(self, now: float) -> None:
        self._waits = False
