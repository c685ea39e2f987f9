"""Walking a linear list of policy rules until one allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from netsim.datapath.policy.engine import PolicyWalk


class Step(NamedTuple):
    """One rule of a linear list: what a packet walks that it does not match, and one that it does.

    ``after`` is walked after a match on the way out of the list; ``decides`` is False for lines that only lead on
    (jumps, tests of marks); ``matches`` whether it allows the connection at hand.
    """

    missed: PolicyWalk
    hit: PolicyWalk = PolicyWalk()
    after: PolicyWalk = PolicyWalk()
    decides: bool = False
    matches: bool = False


def line(count: float = 1.0) -> Step:
    """Return lines that every packet walks."""
    return Step(PolicyWalk(rules=count))


def walk_until_match(steps: Sequence[Step]) -> tuple[PolicyWalk, bool]:
    """Return what a known connection walks, and whether a rule allowed it."""
    walked = PolicyWalk()
    for step in steps:
        if step.matches:
            return walked.plus(step.hit).plus(step.after), True
        walked = walked.plus(step.missed)
    return walked, False


def mean_walk(steps: Sequence[Step]) -> PolicyWalk:
    """Return the mean walk if each deciding rule is equally likely to be the one that allows."""
    walked, total, deciding = PolicyWalk(), PolicyWalk(), 0
    for step in steps:
        if step.decides:
            total = total.plus(walked).plus(step.hit).plus(step.after)
            deciding += 1
        walked = walked.plus(step.missed)
    return total.times(1.0 / deciding) if deciding else walked
