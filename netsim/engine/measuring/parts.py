"""From a trace to parts: where the latency of one transaction went, exactly.

`Reader.read` follows the steps of `netsim.engine.queueing.tracing` from a transaction's end back to its beginning. What
a burst pays at its stations is a matter of its tariff and size (`netsim.engine.measuring.fares`); it is counted as a
whole, and only what a station took beyond it is worked out here: waiting, waking up, a longer walk. Amounts are kept by
number and become seconds by phase and part when the run is over (`Columns.seconds`).

Times are on the grid, so the parts of a transaction add up to its latency to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netsim.engine.measuring.fares import Stop, fares, split, stops_of
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.tracing import CALL, OTHER, RETURN, Job, Paid, Part, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from netsim.engine.pricing import Tariff

    Floats = NDArray[np.float64]

PHASES = ("dns", "connect", "request", "calls")
"""Phases of a transaction in their order; ``calls`` is the time of its request in which the server waits for others."""
_CALLS = len(PHASES) - 1

Key = tuple[str, Part]
"""Phase and part."""
What = Part | Mapping[Part, float] | tuple[Paid, int]
"""What an amount is of: seconds of a part, seconds shared by several, or fares up to some station."""


class Columns:
    """Numbers of what amounts are of: a multiple of the number of phases, to which the phase is added."""

    def __init__(self) -> None:
        self._known: list[What] = []
        self._parts: dict[Part, int] = {}

    def new(self, what: What) -> int:
        """Return a number for something."""
        self._known.append(what)
        return (len(self._known) - 1) * len(PHASES)

    def of(self, part: Part) -> int:
        """Return the number of a part."""
        known = self._parts.get(part)
        if known is None:
            known = self._parts[part] = self.new(part)
        return known

    def seconds(self, rows: NDArray[np.int64], numbers: NDArray[np.int32], amounts: Floats) -> tuple[list[Key], Floats]:
        """Turn amounts into seconds: keys in order, and a row a transaction.

        ``rows`` says which transaction an amount belongs to, ``numbers`` what it is of.
        """
        found: dict[Key, Floats] = {}
        size = int(rows.max(initial=-1)) + 1

        def add(phase: int, part: Part, where: NDArray[np.int64], seconds: Floats) -> None:
            key = PHASES[phase], part
            if key not in found:
                found[key] = np.zeros(size)
            np.add.at(found[key], where, seconds)

        paid: dict[tuple[Tariff, int, int], list[tuple[int, NDArray[np.int64], Floats]]] = {}
        if not len(numbers):
            return [], np.zeros((0, 0))
        order = np.argsort(numbers, kind="stable")
        distinct, starts = np.unique(numbers[order], return_index=True)
        for number, where in zip(distinct.tolist(), np.split(order, starts[1:]), strict=True):
            what, phase = self._known[number // len(PHASES)], number % len(PHASES)
            if isinstance(what, Part):
                add(phase, what, rows[where], amounts[where])
            elif isinstance(what, Mapping):
                for part, seconds in split(amounts[where], what):
                    add(phase, part, rows[where], seconds)
            else:
                (tariff, payload), upto = what
                paid.setdefault((tariff, upto, phase), []).append((payload, rows[where], amounts[where]))
        for (tariff, upto, phase), sent in paid.items():
            parts, table = fares(tariff, [payload for payload, _, _ in sent], upto)
            which = np.repeat(np.arange(len(sent)), [len(where) for _, where, _ in sent])
            where, counts = (np.concatenate([each[index] for each in sent]) for index in (1, 2))
            for part, seconds in zip(parts, table.T, strict=True):
                add(phase, part, where, counts * seconds[which])
        keys = sorted(found, key=lambda key: (PHASES.index(key[0]), key[1]))
        return keys, np.stack([found[key] for key in keys], axis=1) if keys else np.zeros((size, 0))


class Span(NamedTuple):
    """When a transaction and its phases began and ended; NaN for a phase it did not have."""

    began: float
    resolved: float
    connected: float
    ended: float


class _Seen(NamedTuple):
    """A stop as reading needs it: numbers of its wait, its wake-up and its walk, and the service without a walk."""

    links: bool
    wait: int
    wake: int
    walk: int
    service_s: float


class _Fare(NamedTuple):
    """What reading needs to know of bursts of one tariff and size; ``upto`` are the numbers of counts by station."""

    label: Paid
    seen: tuple[_Seen, ...]
    upto: tuple[int, ...]


class Reader:
    """Reads traces; one a replication."""

    def __init__(self) -> None:
        self.columns = Columns()
        self._fares: dict[int, _Fare] = {}
        self._stops: dict[Tariff, tuple[tuple[Stop, int, int, int], ...]] = {}

    def read(self, span: Span, origin: Step | None, trace: Step) -> dict[int, float]:
        """Return the amounts that make up a transaction's latency, by number of their columns.

        ``origin`` and ``trace`` are the steps that led to its beginning and to its end.
        """
        began, resolved, connected, until = span
        last_dns = began if isnan(resolved) else resolved
        last_connect = last_dns if isnan(connected) else connected
        found: dict[int, float] = {}
        step: Step | None = trace
        calls = phase = 0
        while step is not origin and step is not None and until > began:
            phase = _CALLS if calls else 0 if until <= last_dns else 1 if until <= last_connect else 2
            if step[-1] != until:  # a fault took a burst away on its way
                ended = max(step[2:])
                self._add(found, phase, OTHER, until - ended)
                until = ended
            what = step[1]
            if what is CALL or what is RETURN:
                calls += 1 if what is RETURN else -1
            elif what is None or what.__class__ is Part:
                self._add(found, phase, what or OTHER, until - step[2])
            elif what[-1].__class__ is Paid:
                self._way(found, phase, step, what)
            else:
                self._job(found, phase, step, what)
            until = step[2]
            step = step[0]
        self._add(found, phase, OTHER, until - began)
        return found

    def _add(self, found: dict[int, float], phase: int, part: Part, seconds: float) -> None:
        if seconds:
            number = self.columns.of(part) + phase
            found[number] = found.get(number, 0.0) + seconds

    def _job(self, found: dict[int, float], phase: int, step: Step, charges: tuple[Any, ...]) -> None:
        """Tell work that is no burst of the network."""
        taken, label = step[-1] - step[2], charges[-1]
        if not isinstance(label, Job):
            self._add(found, phase, OTHER, taken)
            return
        work = min(charges[0][0], taken)
        self._add(found, phase, Part("work", label.work), work)
        self._add(found, phase, Part("wait", label.station), taken - work)

    def _way(self, found: dict[int, float], phase: int, step: Step, charges: tuple[Any, ...]) -> None:
        """Tell a burst's time from station to station."""
        fare = self._fares.get(id(charges[-1])) or self._fare(charges[-1])
        upto = fare.upto
        first = index = len(upto) - len(charges)
        before, lag, delayed = step[2], 0.0, 0.0
        for time in step[3:]:
            if time < 0.0:
                delayed -= time
                continue
            seen, charge = fare.seen[index], charges[index - first]
            if seen.links:
                if time - before != charge[2] + charge[0] + charge[3] or charge[0] != charge[1]:
                    lag = self._link(found, phase, seen, charge, (before, time, lag))
            else:
                service, setup, after, _, _ = charge
                extra = time - before - service - after
                if seen.walk >= 0 and service != seen.service_s:
                    found[seen.walk + phase] = found.get(seen.walk + phase, 0.0) + service - seen.service_s
                if extra:
                    if setup and extra - delayed == setup:
                        found[seen.wake + phase] = found.get(seen.wake + phase, 0.0) + setup
                        extra = delayed
                    elif extra < 0.0:  # a station that does not take what it is charged for
                        self._count(found, phase, upto, index + 1, index)
                        extra = time - before
                    if extra:
                        found[seen.wait + phase] = found.get(seen.wait + phase, 0.0) + extra
            before, delayed = time, 0.0
            index += 1
        self._count(found, phase, upto, first, index)

    @staticmethod
    def _count(found: dict[int, float], phase: int, upto: tuple[int, ...], first: int, last: int) -> None:
        """Count the fare from one station to before another; backwards to take it off."""
        for index, sign in ((last, 1.0), (first, -1.0)):
            if index and first != last:
                found[upto[index] + phase] = found.get(upto[index] + phase, 0.0) + sign

    def _link(
        self, found: dict[int, float], phase: int, seen: _Seen, charge: tuple[Any, ...],
        times: tuple[float, float, float],
    ) -> float:  # fmt: skip
        """Tell what a link took beyond its fare; return by how much the burst's tail comes after its head now.

        A burst whose tail comes late is not kept by others: it is still being sent by the link before.
        """
        service, packet, lead, after, _, whole = charge
        before, time, lag = times
        head, out = before + lead, time - after
        extra = out - head - (service if whole else packet)
        tail = head + lag + packet
        number = seen.wait + phase
        if whole and extra > 0.0 and out == tail:
            number = seen.walk + phase
        if extra:
            found[number] = found.get(number, 0.0) + extra
        return 0.0 if whole else max(out - packet + service, tail) - out

    def _fare(self, label: Paid) -> _Fare:
        """Prepare the reading of bursts of one tariff and size; the label is kept, so its identity stays its own."""
        tariff, size = label
        known = self._stops.get(tariff)
        if known is None:
            known = self._stops[tariff] = tuple(self._numbers(stop) for stop in stops_of(tariff))
        segments = tariff.segments(size)
        seen = []
        for stop, wait, wake, walk in known:
            each = stop.folded
            service = 0.0
            if each is not None and each.scan_s > 0.0:
                service = on_grid(each.fixed_s + each.byte_s * size + each.segment_s * segments)
            seen.append(_Seen(stop.links, wait, wake, walk, service))
        upto = tuple(self.columns.new((label, index)) for index in range(len(known) + 1))
        fare = self._fares[id(label)] = _Fare(label, tuple(seen), upto)
        return fare

    def _numbers(self, stop: Stop) -> tuple[Stop, int, int, int]:
        wait, setup = self.columns.of(Part("wait", stop.name)), stop.setup
        wake = self.columns.new(setup) if setup else self.columns.of(Part("wake-up", stop.name))
        if stop.links:  # here a longer walk is a longer transmission
            walk = self.columns.of(Part("transmission", stop.name))
        else:
            walk = self.columns.new(stop.scan) if stop.scan else -1
        return stop, wait, wake, walk
