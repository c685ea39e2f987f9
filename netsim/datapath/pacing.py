"""When a proxy syncs, and how long a change waits: kube-proxy's runner while changes never stop.

A change is on a node once the first sync that starts after it has ended. When that is:

- The runner (``async.BoundedFrequencyRunner``, releases up to 1.33) takes a token for each sync; two fit in its bucket,
  one comes back every ``minSyncPeriod``. Without one the next sync starts ``minSyncPeriod`` after the end of the last.
- A full sync that is due (``forceSyncProxyRules``) asks neither runner nor bucket: it starts when no other runs.
  A runner whose time has come meanwhile waits for it and goes next.

So what a full sync delays is the same whatever the minimum between two syncs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BURST = 2
"""Tokens of the runner (``burstSyncs``, pkg/proxy/iptables/proxier.go)."""
FULL_SYNC_PERIOD_S = 3600.0
"""Time between full syncs of present releases (``FullSyncPeriod``, pkg/proxy/util)."""
RARE = 200
"""A full sync that takes less than this part of the time delays too few changes to be seen in a 99th percentile."""
_CYCLES = 32
_PLAIN = 48
_GOLDEN = 0.618034
_SOONEST_S = 0.01


class Pace(NamedTuple):
    """How a proxy syncs; seconds.

    Parameters
    ----------
    min_s: least time between two syncs (``minSyncPeriod``).
    sync_s: one sync.
    full_s: one that writes everything, ``full_every_s`` after the last such.
    """

    min_s: float
    sync_s: float
    full_s: float = 0.0
    full_every_s: float = inf


def syncs(pace: Pace) -> list[tuple[float, float]]:
    """Return starts and ends of a proxy's syncs, enough of them to show every phase of the runner."""
    gap, rare = max(pace.min_s, _SOONEST_S), pace.full_every_s > RARE * pace.full_s
    done: list[tuple[float, float]] = []
    ended = ready = counted = 0.0
    tokens, fulls = float(BURST), 0
    while fulls < _CYCLES and not (rare and len(done) >= _PLAIN):
        start = max(ended, ready)
        # nodes start at different times, so full syncs fall into any phase of the runner
        due = inf if rare else (fulls + 1) * pace.full_every_s + (fulls * _GOLDEN % 1.0) * gap
        if max(ended, due) <= start:
            ended = max(ended, due) + pace.full_s
            done.append((ended - pace.full_s, ended))
            fulls += 1
            continue
        tokens, counted = min(BURST, tokens + (start - counted) / gap), start
        if tokens < 1 - 1e-9:
            ready = start + max(gap - (start - ended), (1 - tokens) * gap)
            continue
        tokens -= 1
        ended = ready = start + pace.sync_s
        done.append((start, ended))
    return done


def waits(pace: Pace, shares: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return quantiles of the time from a change to the end of the sync that holds it.

    Changes come all the time: each sync holds those since the start of the one before.
    """
    done = np.array(syncs(pace))
    least, gaps = (done[:, 1] - done[:, 0])[1:], np.diff(done[:, 0])
    # each sync's changes wait uniformly between its time and that and the gap before it: a density of steps
    times = np.concatenate((least, least + gaps))
    steps = np.concatenate((np.ones_like(gaps), -np.ones_like(gaps)))
    order = np.argsort(times, kind="stable")
    times, density = times[order], np.cumsum(steps[order])
    held = np.concatenate(([0.0], np.cumsum(density[:-1] * np.diff(times))))
    found: npt.NDArray[np.float64] = np.interp(shares, held / held[-1], times)
    return found
