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
    """Return the departures of bursts that each go through a stretch of stations, joining others at its beginning.

    Parameters
    ----------
    arrivals: when each burst comes to the stretch, in any order.
    stations: the first station of each burst's stretch; who shares it shares the rest.
    services: service times, a row a burst and a column a station of the stretch.

    Ties are served in the order of the arrays; the result is in the order of the arguments.
    """
    order = np.argsort(arrivals, kind="stable")
    order = order[np.argsort(stations[order].astype(np.int16), kind="stable")]  # by station, then time: a radix sort
    times, where, work = arrivals[order], stations[order], services[order]
    bounds = (np.flatnonzero(np.diff(where)) + 1).tolist()
    for low, high in zip([0, *bounds], [*bounds, len(times)], strict=True):
        for stage in range(work.shape[1]):
            times[low:high] = lindley(times[low:high], work[low:high, stage])
    out = np.empty_like(times)
    out[order] = times
    return out
