"""Open-loop, feed-forward FIFO networks in numpy: the fastest path where nothing depends on what happens later.

On the time grid all sums are exact, so the results equal the event engine's to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

BLOCK = 8192
"""Arrivals worked on at a time: two arrays of them stay in a core's cache."""


def lindley(arrivals: Floats, services: Floats, free_s: float = 0.0) -> Floats:
    """Return the departures of a FIFO server: ``D[i] = max(A[i], D[i-1]) + S[i]``, arrivals ascending.

    ``free_s`` is when the server is free for the first arrival. With C the cumulated services,
    ``D = max over j <= i of (A[j] - C[j] + S[j]) + C[i]`` (Lindley 1952, unrolled).
    """
    total = np.cumsum(services)
    slack = arrivals - total
    slack += services
    if slack.size:
        slack[0] = max(slack[0], free_s)
    np.maximum.accumulate(slack, out=slack)
    slack += total
    return slack


def tandem(arrivals: Floats, services: Sequence[Floats]) -> Floats:
    """Return the departures from a chain of FIFO servers, block by block so that memory stays small."""
    out = np.empty_like(arrivals)
    free = [0.0] * len(services)
    for low in range(0, len(arrivals), BLOCK):
        times = arrivals[low : low + BLOCK]
        for station, row in enumerate(services):
            times = lindley(times, row[low : low + BLOCK], free[station])
            free[station] = float(times[-1])
        out[low : low + BLOCK] = times
    return out


def merged(arrivals: Floats, stations: Integers, services: Floats) -> Floats:
    """Return the departures of bursts that go to one of several FIFO servers each.

    Ties at a server are served in the order of the arrays. ``arrivals`` need not be sorted; the result is in the order
    of the arguments.
    """
    order = np.lexsort((arrivals, stations))
    times, work, where = arrivals[order], services[order], stations[order]
    bounds = np.flatnonzero(np.diff(where)) + 1
    for low, high in zip([0, *bounds], [*bounds, len(times)], strict=True):
        times[low:high] = lindley(times[low:high], work[low:high])
    out = np.empty_like(times)
    out[order] = times
    return out
