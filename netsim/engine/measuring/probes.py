"""Samples: what is recorded of every transaction, in flat arrays.

Thirty-two bytes a transaction. A phase that a transaction did not have (no look-up, a kept connection) is `nan`.
"""

from __future__ import annotations

from array import array
from math import nan
from typing import TYPE_CHECKING, NamedTuple

from netsim.engine.measuring.parts import Span
from netsim.engine.transport.backpressure import Stalls

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from netsim.engine.measuring.keeper import Keeper
    from netsim.engine.queueing.tracing import Step

    Steps = tuple[Step | None, Step | None]

COLUMNS = ("start", "latency", "dns", "connect", "request")
_NONE = (None, None)


class EdgeRecord:
    """Everything recorded of one edge.

    ``start`` is when a transaction began; ``latency`` its whole duration; ``dns`` and ``connect`` its first phases; all
    in seconds. The counters say what became of all transactions that began; ``delivered`` what each stream brought, in
    bytes. ``keeper`` keeps the parts of some, if wanted; ``stalls`` is what held its senders back.
    """

    __slots__ = (
        "bytes_received", "bytes_sent", "connect", "delivered", "dns", "failures", "finished", "keeper", "label",
        "latency", "stalls", "start", "started",
    )  # fmt: skip

    def __init__(self, label: str) -> None:
        self.label = label
        self.keeper: Keeper | None = None
        self.stalls = Stalls()
        self.start, self.latency = array("d"), array("d")
        self.dns, self.connect = array("d"), array("d")
        self.started = self.finished = 0
        self.failures: dict[str, int] = {}
        self.bytes_sent = self.bytes_received = 0
        self.delivered: list[int] = []

    @property
    def failed(self) -> int:
        """Transactions that ended without an answer."""
        return sum(self.failures.values())

    @property
    def unfinished(self) -> int:
        """Transactions still under way."""
        return self.started - self.finished - self.failed

    @property
    def payload(self) -> int:
        """Bytes of requests and responses together."""
        return self.bytes_sent + self.bytes_received

    def fail(self, reason: str) -> None:
        """Count a transaction that ended without an answer."""
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def done(
        self, began: float, resolved: float, connected: float, now: float, steps: Steps = _NONE
    ) -> None:
        """Record a transaction; phases end at ``resolved`` and ``connected``, `nan` where there was none.

        ``steps`` are those that led to its beginning and to its end, where steps are traced.
        """
        self.finished += 1
        self.start.append(began)
        self.latency.append(now - began)
        after = began
        if resolved == resolved:  # not NaN; a call of isnan() takes four times as long  # noqa: PLR0124
            self.dns.append(resolved - after)
            after = resolved
        else:
            self.dns.append(nan)
        self.connect.append(connected - after)  # NaN stays NaN
        origin, trace = steps
        if trace is not None and self.keeper is not None:
            self.keeper.offer(Span(began, resolved, connected, now), origin, trace)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return the samples of one of `COLUMNS`, in order of completion."""
        import numpy as np

        if name != "request":
            return np.frombuffer(getattr(self, name), dtype=np.float64)
        return _rest(self.column("latency"), self.column("dns"), self.column("connect"))

    def forget(self, name: str) -> None:
        """Let go of a column that has been taken over."""
        setattr(self, name, array("d"))


def _rest(latency: NDArray[np.float64], *phases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the phases that there were leave of latencies; times are on the grid, so it is exact."""
    import numpy as np

    rest = latency.copy()
    for phase in phases:
        np.subtract(rest, phase, out=rest, where=~np.isnan(phase))
    return rest


class Samples(NamedTuple):
    """The transactions of several edges in order of start (ties: of the edges).

    ``order`` sorts those of all records, one record behind the other; ``edge`` says of which record each is.
    """

    order: NDArray[np.int64]
    edge: NDArray[np.int32]
    start_s: NDArray[np.float64]
    times: dict[str, NDArray[np.float64]]


def gather(records: Sequence[EdgeRecord]) -> Samples:
    """Take the samples out of records, column by column: there is never much more than one copy of them.

    Records come edge by edge, so a stable sort leaves ties in the order of edges.
    """
    import numpy as np

    def taken(name: str) -> NDArray[np.float64]:
        values = np.concatenate([record.column(name) for record in records])
        for record in records:
            record.forget(name)
        return values

    starts = taken("start")
    order = np.argsort(starts, kind="stable")
    starts = starts[order]
    latency, dns, connect = (taken(name)[order] for name in ("latency", "dns", "connect"))
    times = {"latency": latency, "dns": dns, "connect": connect, "request": _rest(latency, dns, connect)}
    edge = np.repeat(np.arange(len(records), dtype=np.int32), [record.finished for record in records])[order]
    return Samples(order, edge, starts, times)
