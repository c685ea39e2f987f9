"""The clock: SimPy's environment with light events in its heap.

This is the only module that touches SimPy's private attributes (``_queue``, ``_eid``, ``_now``, ``_ok``, ``_value``);
``pyproject.toml`` pins SimPy because of it.

A *light* event is a bound method in the heap, called with the time when that has come; it returns when it wants to be
called again, or `None`. It costs one heap operation and one call; a SimPy `Timeout` costs an allocation, a callback
list and a process switch on top. Light events and ordinary SimPy events live in the same heap and happen in the same
order, so ordinary processes may be mixed in freely.

Tie rule: what falls on the same instant happens in the order of SimPy's priorities, then of *birth*: a light event
keeps the serial number it got when it was first scheduled, however often it is called again; an ordinary event has the
one it got when it was scheduled. The order therefore does not depend on how many events a burst needed to get here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, heappushpop
from types import MethodType
from typing import TYPE_CHECKING, Any

import simpy
from simpy.core import EmptySchedule, StopSimulation

if TYPE_CHECKING:
    from netsim.engine.queueing.tracing import Step

Action = Callable[[float], float | None]
"""A bound method: acts at a time, returns the next time (not before this one) or `None`."""


class Clock(simpy.Environment):
    """`simpy.Environment` whose ``run`` and ``step`` also drain light events.

    ``lights`` is the heap and ``births`` counts serial numbers: for `netsim.engine.queueing.burst`, which cannot afford
    to call `at` for every burst. ``trace`` is why what happens now happens (`netsim.engine.queueing.tracing`), `None`
    where nobody wants to know; users' transactions begin at ``origin``.
    """

    def __init__(self, initial_time: float = 0.0) -> None:
        super().__init__(initial_time)
        self._heap: list[Any] = self._queue
        self.lights: list[Any] = self._heap
        self.births: Iterator[int] = self._eid
        self.origin: Step | None = None
        self.trace: Step | None = None

    def at(self, time: float, action: Action) -> None:
        """Schedule a light event: ``action``, a bound method, is called at ``time``."""
        heappush(self._heap, (time, True, next(self._eid), action))

    def pending(self) -> list[tuple[float, object]]:
        """Return who waits for a light event, with the times, in no particular order (for checks after a run)."""
        return [(item[0], item[3].__self__) for item in self._heap if item[3].__class__ is MethodType]

    def revise(self, decide: Callable[[float, object], float | None]) -> None:
        """Let ``decide`` move or cancel every pending light event: from its time and who waits to its time, or `None`.

        An event keeps its serial number, so it stays where it was among those of the same instant.
        """
        kept = []
        for item in self._heap:
            if item[3].__class__ is MethodType:
                time = decide(item[0], item[3].__self__)
                if time is None:
                    continue
                kept.append(item if time == item[0] else (time, *item[1:]))
            else:
                kept.append(item)
        self._heap[:] = kept  # in place: the loop that is running holds this list
        heapify(self._heap)

    def step(self) -> None:
        """Process the next event, light or not. Raises `simpy.core.EmptySchedule` when there is none."""
        if not self._heap:
            raise EmptySchedule
        action: Any = self._heap[0][3]
        if action.__class__ is not MethodType:
            super().step()
            return
        now, priority, serial, _ = heappop(self._heap)
        self._now = now
        later = action(now)
        if later is not None:
            heappush(self._heap, (later, priority, serial, action))

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
        heap = self._heap
        while heap:
            now, light, serial, action = heappop(heap)
            while True:
                if light is not True:
                    heappush(heap, (now, light, serial, action))
                    super().step()
                    break
                self._now = now
                later = action(now)
                if later is None:
                    break
                now, light, serial, action = heappushpop(heap, (later, True, serial, action))
