"""The clock: SimPy's environment with light events in its heap.

This is the only module that touches SimPy's private attributes (``_queue``, ``_eid``, ``_now``, ``_ok``, ``_value``);
``pyproject.toml`` pins SimPy because of it.

A *light* event is one reusable object that is asked, when its time comes, for the next time it wants to be asked again.
It costs one heap operation and one call; a SimPy `Timeout` costs an allocation, a callback list and a process switch
on top. Light events and ordinary SimPy events live in the same heap and happen in the same order, so ordinary
processes may be mixed in freely.

Tie rule: what falls on the same instant happens in the order of SimPy's priorities, then of *birth*: a light event
keeps the serial number it got when it was created, an ordinary event the one it got when it was scheduled. The order
therefore does not depend on how many events a burst needed to get here.
"""

from __future__ import annotations

from heapq import heappop, heappush, heappushpop
from typing import Any

import simpy
from simpy.core import EmptySchedule, StopSimulation

NORMAL = 1
"""SimPy's priority of ordinary events; light events share it."""


class Light:
    """Something with a time of its own in the heap. Subclasses define `advance` and must set ``serial`` at birth."""

    __slots__ = ("serial",)

    serial: int

    def advance(self, now: float) -> float | None:
        """Act at ``now``; return when to be asked again (not before ``now``), or `None` for never."""
        raise NotImplementedError


class Clock(simpy.Environment):
    """`simpy.Environment` whose ``run`` and ``step`` also drain light events."""

    def __init__(self, initial_time: float = 0.0) -> None:
        super().__init__(initial_time)
        self._heap: list[Any] = self._queue

    def birth(self) -> int:
        """Return the next serial number; a light event takes one when it is created or reused."""
        return next(self._eid)

    def at(self, time: float, event: Light) -> None:
        """Ask a light event at ``time``. It must not be waiting in the heap already."""
        heappush(self._heap, (time, NORMAL, event.serial, event))

    def pending(self) -> list[tuple[float, Light]]:
        """Return the light events that wait, with their times, in no particular order (for checks after a run)."""
        return [(item[0], item[3]) for item in self._heap if isinstance(item[3], Light)]

    def step(self) -> None:
        """Process the next event, light or not. Raises `simpy.core.EmptySchedule` when there is none."""
        if not self._heap:
            raise EmptySchedule
        event: Any = self._heap[0][3]
        if not isinstance(event, Light):
            super().step()
            return
        self._now = heappop(self._heap)[0]
        later = event.advance(self._now)
        if later is not None:
            self.at(later, event)

    def run(self, until: float | simpy.Event | None = None) -> Any:
        """Run as `simpy.Environment.run` does: to exhaustion, up to a time, or until an event has happened.

        Raises `ValueError` for a time that is not in the future, `RuntimeError` when an awaited event never happens,
        and whatever a failed event that nobody waits for carries.
        """
        if until is not None:
            if not isinstance(until, simpy.Event):
                if until <= self._now:
                    raise ValueError(f"until ({until}) must be greater than the current simulation time")
                at, until = float(until), simpy.Event(self)
                until._ok, until._value = True, None
                heappush(self._heap, (at, 0, next(self._eid), until))
            elif until.processed:
                return until.value
            until.callbacks.append(StopSimulation.callback)
        try:
            self._drain()
        except StopSimulation as stop:
            return stop.args[0]
        if until is not None:
            raise RuntimeError(f'no scheduled events left but "until" event was not triggered: {until}')
        return None

    def _drain(self) -> None:
        queue = self._heap
        while queue:
            item = heappop(queue)
            event = item[3]
            while isinstance(event, Light):
                self._now = now = item[0]
                later = event.advance(now)
                if later is None:
                    break
                item = heappushpop(queue, (later, 1, event.serial, event))
                event = item[3]
            else:
                heappush(queue, item)
                super().step()
