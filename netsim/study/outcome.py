"""What comes back from one replication of one point: measurements, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from netsim.engine.measuring.measures import Scalar
from netsim.scenario.spec import Scenario
from netsim.stats.quantiles import Samples

TIMES = ("latency", "connect", "dns", "request")
"""Metrics of every transaction, in seconds: the whole, opening the connection, resolving the name, the exchange."""


class Edge(NamedTuple):
    """One kind of transaction: who calls which service.

    ``top`` is False for calls a server makes while it answers (``then``): their time is inside their caller's, so
    figures of the whole scenario leave them out. ``counted`` is the part of its transactions that figures over several
    edges count: less than 1 where edges were drawn with unlike chances (`netsim.engine.background.budget`).
    """

    name: str
    service: str = ""
    top: bool = True
    counted: float = 1.0


class HopTime(NamedTuple):
    """Mean work of one hop per transaction of an edge: seconds of its station, times crossed, rules walked."""

    edge: str
    hop: str
    station: str
    seconds: float
    crossings: float
    rules: float = 0.0


class PartKey(NamedTuple):
    """A part of a transaction's critical path.

    ``phase`` is ``dns``, ``connect``, ``request`` or ``calls`` (the server waits for its own calls), ``kind`` one of
    `netsim.engine.queueing.tracing.KINDS`, ``part`` the hop that works, the station that is waited for, the timer that
    runs.
    """

    phase: str
    kind: str
    part: str

    def __str__(self) -> str:
        return f"{self.phase}: {self.what}"

    @property
    def what(self) -> str:
        """The part without its phase, for people."""
        return _SAID.get(self.kind, self.kind + " {}").format(self.part).strip()


_SAID = {"work": "{}", "wait": "waiting at {}", "wake-up": "waking for {}", "window": "waiting for an {}",
         "upstream": "upstream {}"}  # fmt: skip


class PartTime(NamedTuple):
    """Mean time a band of transactions spent in one part of their critical path.

    ``scope``/``name`` as in the figures, ``band`` is ``all`` (all transactions) or a quantile (``p99``: those between
    p98.5 and p99.5), ``n_samples`` the transactions whose parts are known.
    """

    scope: str
    name: str
    band: str
    phase: str
    kind: str
    part: str
    seconds: float
    n_samples: int

    @property
    def key(self) -> PartKey:
        """Which part it is."""
        return PartKey(self.phase, self.kind, self.part)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One replication.

    Parameters
    ----------
    edges: the edges, in the scenario's order.
    edge: index into ``edges`` of every recorded transaction, in order of their start.
    start_s: when each started.
    times: metric (`TIMES`) to seconds of each transaction, NaN where a transaction had no such part (no lookup, an
        open connection).
    scalars: figures that are one number a replication.
    hops: work per hop.
    parts: where the latency of bands of transactions went.
    notes: what a reader must know: sample of clients, warm-up that did not end, unfinished transactions.
    """

    edges: tuple[Edge, ...]
    edge: NDArray[np.int32]
    start_s: Samples
    times: Mapping[str, Samples]
    scalars: tuple[Scalar, ...] = ()
    hops: tuple[HopTime, ...] = ()
    parts: tuple[PartTime, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Impossible:
    """The point cannot exist: a limit or a combination forbids it. An answer, not an error."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The replication broke. ``input_error`` is True where the user's input was at fault."""

    reason: str
    input_error: bool = False


Outcome = Measured | Impossible | Failed


class PointRunner(Protocol):
    """Runs one replication of one point. Must be picklable, and depend on its arguments alone."""

    def __call__(self, scenario: Scenario, *, seed: int, replication: int) -> Measured | Impossible:
        """Return what was measured, or why the point cannot exist; raise `InputError` for the user's mistakes."""
        ...
