"""Which transactions' parts are kept: a random sample of all, and the slow ones.

Of the n-th transaction of an edge the parts are kept with probability `BODY` / n, so a run keeps all of the first
`BODY` and then ever fewer, some `BODY` more for every e-fold. Transactions among the slowest `TAIL_SHARE` are kept all,
up to `TAIL` of an edge and then in the same way ever fewer, so that quantiles as far out as the samples carry have
theirs. A transaction counts as slow if it took longer than that share of the `WINDOW` before it. Each is weighted by
the inverse of its probability (Horvitz and Thompson 1952); the draws are a stream of their own.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from netsim.engine.measuring.parts import Reader, Span
from netsim.engine.queueing.tracing import Part, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from netsim.engine.measuring.probes import EdgeRecord
    from netsim.engine.queueing.clock import Clock
    from netsim.engine.randomness.streams import Streams

BODY = 250
TAIL = 4000
TAIL_SHARE = 0.03
WINDOW = 2048
RENEWED = 256
"""After so many transactions the limit of the slow ones is worked out anew."""


class Keeper:
    """Keeps parts of one edge's transactions: a compressed row each.

    Parameters
    ----------
    record: where the edge's transactions are recorded, before they are offered. reader: shared by a replication.
    draw: uniform numbers of the keeper's own.
    """

    __slots__ = ("_bar", "_draw", "_record", "_slow", "amounts", "ends", "numbers", "reader", "rows", "weights")

    def __init__(self, record: EdgeRecord, reader: Reader, draw: Callable[[], float]) -> None:
        self._record, self.reader, self._draw = record, reader, draw
        self._bar, self._slow = inf, 0
        self.rows, self.ends, self.numbers = array("q"), array("q"), array("i")
        self.weights, self.amounts = array("d"), array("d")

    def offer(self, span: Span, origin: Step | None, trace: Step) -> None:
        """Keep the parts of the transaction recorded last, or not; parameters as for `Reader.read`."""
        latencies = self._record.latency
        number = len(latencies)
        if not number % RENEWED:
            recent = sorted(latencies[-WINDOW:])
            self._bar = recent[int((1.0 - TAIL_SHARE) * len(recent))]
        if span.ended - span.began > self._bar:
            self._slow += 1
            chance = TAIL / self._slow
        else:
            chance = BODY / number
        if chance < 1.0 and self._draw() >= chance:
            return
        found = self.reader.read(span, origin, trace)
        self.rows.append(number - 1)
        self.numbers.extend(found)
        self.amounts.extend(found.values())
        self.ends.append(len(self.numbers))
        self.weights.append(max(1.0, 1.0 / chance))


class Kept:
    """The parts of the kept transactions of a replication.

    ``seconds[i, j]`` is what transaction ``rows[i]`` (an index into the replication's transactions) spent in
    ``parts[j]``, a phase and a `Part`; a row adds up to that transaction's latency. ``weights`` are the inverse of the
    chance to be kept.
    """

    __slots__ = ("parts", "rows", "seconds", "weights")

    def __init__(
        self, parts: tuple[tuple[str, Part], ...], rows: NDArray[np.int64], seconds: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> None:  # fmt: skip
        self.parts, self.rows, self.seconds, self.weights = parts, rows, seconds, weights


def keep_parts(clock: Clock, streams: Streams, records: Sequence[EdgeRecord]) -> None:
    """Have steps traced and parts of every record's transactions kept from now on."""
    clock.origin = [None, None, 0.0]
    reader = Reader()
    for record in records:
        record.keeper = Keeper(record, reader, streams.uniform(f"{record.label}/parts"))


def kept_parts(records: Sequence[EdgeRecord], order: NDArray[np.int64]) -> Kept | None:
    """Put the kept parts of all edges together; `None` where none were wanted.

    ``order`` sorts the transactions of all records, one record behind the other, as the replication lists them.
    """
    keepers = [record.keeper for record in records if record.keeper is not None]
    if not keepers:
        return None
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    starts = np.cumsum([0, *(record.finished for record in records)])
    own = [
        np.frombuffer(record.keeper.rows, np.int64) + start
        for record, start in zip(records, starts, strict=False)
        if record.keeper is not None
    ]
    counts = np.concatenate([np.diff(np.frombuffer(keeper.ends, np.int64), prepend=0) for keeper in keepers])
    numbers = np.concatenate([np.frombuffer(keeper.numbers, np.int32) for keeper in keepers])
    amounts = np.concatenate([np.frombuffer(keeper.amounts, np.float64) for keeper in keepers])
    weights = np.concatenate([np.frombuffer(keeper.weights, np.float64) for keeper in keepers])
    parts, seconds = keepers[0].reader.columns.seconds(np.repeat(np.arange(len(counts)), counts), numbers, amounts)
    return Kept(tuple(parts), place[np.concatenate(own)], seconds, weights)
