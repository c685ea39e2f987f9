"""Why things happen when they do: the trace that bursts and timers leave behind.

While a reaction runs, ``Clock.trace`` is the *step* that led to it: a burst that has just arrived, or a timer that has
just ended. What the reaction sends or sets going takes that step as its own cause, so the steps before an arrival,
cause by cause, are what its receiver was waiting for at each moment: the critical path. For answers that are waited
for together it is the way of the last one, for a large message that of the burst which completed it and of the
acknowledgements that let it go. Nothing here decides anything: a run with traces and one without are the same.

A step is a list, because making one must cost next to nothing: ``[cause, what, begin, time, time, ...]``. ``what`` is a
burst's charges, or the `Part` that a timer's wait counts as (`None` for a wait that takes no time); the times are when
the burst left its stations, one after the other. A negative number among them is how long work put ahead delayed the
burst at the station it left next. A step begins when its cause ends. `Clock.origin` is the step at which users'
transactions begin; where it is `None` (as at the start of a `Clock`) nothing is traced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from netsim.engine.pricing import Tariff
    from netsim.engine.queueing.clock import Clock

Step = list[Any]


class Part(NamedTuple):
    """Something a transaction's time goes to.

    ``kind`` is one of `KINDS`; ``name`` says which hop works or wakes somebody, which station is waited for, which
    timer runs.
    """

    kind: str
    name: str


KINDS = ("work", "wait", "wake-up", "transmission", "propagation", "window", "timer", "upstream", "other")
"""What a part is.

``work``: a core executes a hop, or an application its own work. ``wait``: others are served first. ``wake-up``: set-up
of an idle core, interrupt moderation. ``transmission``: bits go on to a wire; ``propagation``: along it, or through a
device. ``window``: an acknowledgement is awaited, or room in the receiver's buffer, the sender's, below its socket.
``timer``: something was lost, or an acknowledgement is delayed on purpose. ``upstream``: DNS servers outside are asked.
``other``: no step accounts for it.
"""

RTO = Part("timer", "RTO")
SYN_RETRY = Part("timer", "SYN retry")
TAIL_PROBE = Part("timer", "tail loss probe")
WINDOW_PROBE = Part("timer", "window probe")
DELAYED_ACK = Part("timer", "delayed ACK")
DNS_TIMEOUT = Part("timer", "DNS timeout")
UDP_TIMEOUT = Part("timer", "UDP timeout")
UPSTREAM_DNS = Part("upstream", "DNS")
WINDOW = Part("window", "ACK")
RECEIVE_WINDOW = Part("window", "receiver")
SEND_BUFFER = Part("window", "send buffer")
SMALL_QUEUE = Part("window", "small queue")
READING = Part("work", "reading")
CONNECTION_POOL = Part("wait", "connection pool")
OTHER = Part("other", "")


class Paid(NamedTuple):
    """What the charges of a burst are for: its payload, sent by a tariff."""

    tariff: Tariff
    size: int


class Job(NamedTuple):
    """What the charge of work that is no burst of the network is for: ``work`` on a ``station``."""

    work: str
    station: str


SERVER = Job("application", "server-core")
CALL, RETURN = Part("", "call"), Part("", "return")
"""Marks, not parts: between them a server waits for a call of its own."""


def count_as(clock: Clock, part: Part) -> None:
    """Let the step that has just ended count as one part, however it came about."""
    step = clock.trace
    if step is not None:
        clock.trace = [step[0], part, step[2], step[-1]]


def mark(clock: Clock, what: Part) -> None:
    """Put a mark into the trace; it takes no time."""
    if clock.trace is not None:
        clock.trace = [clock.trace, what, clock._now, clock._now]


def waited(clock: Clock, cause: Step | None, part: Part, since: float) -> None:
    """Note that what was going on at ``since``, because of ``cause``, had to wait until now."""
    clock.trace = None if cause is None else [cause, part, since, clock._now]
