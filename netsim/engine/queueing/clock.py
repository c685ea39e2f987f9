"""The clock: SimPy's environment with light events in its heap.

This is the only module that touches SimPy's private attributes (``_queue``, ``_eid``, ``_now``, ``_ok``, ``_value``);
``pyproject.toml`` pins SimPy because of it.

A *light* event is a bound method in the heap, called with the time when that has come; it returns when it wants to be
called again, or `None`. It costs one heap operation and one call; a SimPy `Timeout` costs an allocation, a callback
list and a process switch on top. Light events and ordinary SimPy events live in the same heap and happen in the same
order, so ordinary processes may be mixed in freely. What happens most, a burst that leaves its station, costs no call
of its own: the burst itself is in the heap, marked by the priority ``True`` (which sorts as SimPy's 1), and the loop
does what `Burst.advance` does.

Tie rule: what falls on the same instant happens in the order of SimPy's priorities, then of *birth*: a light event
keeps the serial number it got when it was first scheduled, however often it is called again; an ordinary event has the
one it got when it was scheduled. The order therefore does not depend on how many events a burst needed to get here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, heappushpop
from math import inf
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

    Items of the heap are (time, priority, serial number, event); those of a burst are (time, ``True``, serial number,
    burst). ``lights`` is the heap and ``births`` counts serial numbers: for `Burst`, which cannot afford to call `at`.
    ``trace`` is why what happens now happens (`netsim.engine.queueing.tracing`), `None` where nobody wants to know;
    users' transactions begin at ``origin``.
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
        heappush(self._heap, (time, 1, next(self._eid), action))

    def pending(self) -> list[tuple[float, object]]:
        """Return who waits for a light event, with the times, in no particular order (for checks after a run)."""
        waiting = ((item[0], _owner(item)) for item in self._heap)
        return [(time, owner) for time, owner in waiting if owner is not None]

    def revise(self, decide: Callable[[float, object], float | None]) -> None:
        """Let ``decide`` move or cancel every pending light event: from its time and who waits to its time, or `None`.

        An event keeps its serial number, so it stays where it was among those of the same instant.
        """
        kept = []
        for item in self._heap:
            owner = _owner(item)
            time = item[0] if owner is None else decide(item[0], owner)
            if time is not None:
                kept.append(item if time == item[0] else (time, *item[1:]))
        self._heap[:] = kept  # in place: the loop that is running holds this list
        heapify(self._heap)

    def step(self) -> None:
        """Process the next event, light or not. Raises `simpy.core.EmptySchedule` when there is none."""
        if not self._heap:
            raise EmptySchedule
        if _owner(self._heap[0]) is None:
            super().step()
            return
        now, light, serial, event = heappop(self._heap)
        self._now = now
        later = event.advance(now) if light is True else event(now)
        if later is not None:
            heappush(self._heap, (later, light, serial, event))

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
        heap, never = self._heap, inf
        while heap:
            now, light, serial, event = heappop(heap)
            while True:  # not a condition: CPython 3.11 only speeds up loops that jump back unconditionally
                if light is True:
                    self._now = now
                    book, seen_s = event.book, event.seen_s
                    if seen_s != never and book.station.ahead_s > seen_s:
                        later = event.preempted(now)
                    else:  # as `Burst.advance`
                        event.seen_s = never
                        if event.trace is not None:
                            event.trace.append(now)
                        book.left += 1
                        book.occupancy_s += now
                        event.index = index = event.index + 1
                        later = event.legs[index](event, now, event.charges[index])
                elif event.__class__ is MethodType:
                    self._now = now
                    later = event(now)
                else:
                    heappush(heap, (now, light, serial, event))
                    super().step()
                    break
                if later is None:
                    break
                now, light, serial, event = heappushpop(heap, (later, light, serial, event))


def _owner(item: tuple[float, int, int, Any]) -> object | None:
    """Return who waits for a light event, `None` for an ordinary one."""
    event = item[3]
    if item[1] is True:
        return event  # type: ignore[no-any-return]
    return event.__self__ if event.__class__ is MethodType else None
