"""Samples: what is recorded of every transaction, in flat arrays.

Forty bytes a transaction. A phase that a transaction did not have (no look-up, a kept connection) is `nan`.
"""

from __future__ import annotations

from array import array
from math import isnan, nan
from typing import TYPE_CHECKING

from netsim.engine.measuring.parts import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from netsim.engine.measuring.keeper import Keeper
    from netsim.engine.queueing.tracing import Step

    Steps = tuple[Step | None, Step | None]

COLUMNS = ("start", "latency", "dns", "connect", "request")
_NONE = (None, None)


class EdgeRecord:
    """Everything recorded of one edge.

    ``start`` is when a transaction began; ``latency`` its whole duration; ``dns``, ``connect`` and ``request`` its
    phases; all in seconds. The counters say what became of all transactions that began. ``keeper`` keeps the parts of
    some, if wanted.
    """

    __slots__ = (
        "bytes_received", "bytes_sent", "connect", "dns", "failures", "keeper", "label", "latency", "request", "start",
        "started",
    )  # fmt: skip

    def __init__(self, label: str) -> None:
        self.label = label
        self.keeper: Keeper | None = None
        self.start, self.latency = array("d"), array("d")
        self.dns, self.connect, self.request = array("d"), array("d"), array("d")
        self.started = 0
        self.failures: dict[str, int] = {}
        self.bytes_sent = self.bytes_received = 0

    @property
    def finished(self) -> int:
        """Transactions that got their answer."""
        return len(self.latency)

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
        self.start.append(began)
        self.latency.append(now - began)
        after = began
        if not isnan(resolved):
            self.dns.append(resolved - after)
            after = resolved
        else:
            self.dns.append(nan)
        if not isnan(connected):
            self.connect.append(connected - after)
            after = connected
        else:
            self.connect.append(nan)
        self.request.append(now - after)
        origin, trace = steps
        if trace is not None and self.keeper is not None:
            self.keeper.offer(Span(began, resolved, connected, now), origin, trace)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Return the samples as arrays by column name."""
        import numpy as np

        return {name: np.frombuffer(getattr(self, name), dtype=np.float64).copy() for name in COLUMNS}
