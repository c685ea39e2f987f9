"""Preemptive-resume priority by brute force, optionally with work that is lost at some instant."""

from __future__ import annotations

from collections.abc import Sequence

Job = tuple[float, bool, float]
"""When it arrives, whether it is an interrupt, how much work."""


def preemptive(jobs: Sequence[Job], loss: tuple[float, frozenset[int]] | None = None) -> list[float | None]:
    """Return when each job is done, `None` for those lost.

    Advance from event to event and serve the most urgent work present, the oldest first. ``loss`` takes those of some
    jobs away that have arrived before an instant and are not done at it.
    """
    left: list[float | None] = [None] * len(jobs)
    remaining = [work for _, _, work in jobs]
    now = 0.0
    instant, gone = loss if loss is not None else (-1.0, frozenset[int]())
    while any(remaining):
        if now == instant:
            remaining = [
                0.0 if n in gone and jobs[n][0] < instant and left[n] is None else work
                for n, work in enumerate(remaining)
            ]
        present = [n for n, (born, _, _) in enumerate(jobs) if born <= now and remaining[n]]
        future = [born for n, (born, _, _) in enumerate(jobs) if born > now and remaining[n]]
        future += [instant] if now < instant else []
        if not present:
            if not future:
                break
            now = min(future)
            continue
        chosen = min(present, key=lambda n: (not jobs[n][1], n))
        until = min([now + remaining[chosen], *future])
        remaining[chosen] -= until - now
        now = until
        if not remaining[chosen]:
            left[chosen] = now
    return left
