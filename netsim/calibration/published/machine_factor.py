"""How much slower than the cost profile's a machine works, by one measured time, and what of it nobody states."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netsim.calibration.published.bench import Bench, Cost, Parameter

PLAUSIBLE_FACTOR = (0.4, 4.0)
"""Machine factors outside are waiting that was taken for work (idle states), and are cut off."""


def fitted_factor(bench: Bench, expected: float) -> Parameter | None:
    """Return the machine factor that the best baseline rows of one flow give, ``None`` where none can."""
    from netsim.calibration.published.bench import Parameter

    candidates = [(q.calibrates, row, q) for row, q in bench.baselines() if q.calibrates and row.setting.streams == 1]
    if not candidates:
        return None
    best = min(candidate[0] for candidate in candidates)
    chosen = [(row, question) for rank, row, question in candidates if rank == best]
    found = []
    for row, question in chosen:
        cost = question.cost(bench, row.setting)
        seconds = question.seconds(bench, row)
        found.append(work_factor(seconds, cost, expected, surely=bool(bench.hardware.clock_ghz)))
    low, high = PLAUSIBLE_FACTOR
    factor = min(high, max(low, math.fsum(found) / len(found)))
    return Parameter("machine factor k", factor, "+".join(row.id for row, _ in chosen))


def busy_factor(bench: Bench, factor: float) -> float:
    """Return the machine factor of cores that never rest.

    A processor that saves power does a light load at a fraction of its clock (`SPREAD_OF_SLOWER`), and a factor from
    round trips between hosts may say that. Governors raise the clock of a core that is busy all the time; what it may
    be then is the range of ``machine.unstated``.
    """
    if bench.hardware.clock_ghz or not _from_round_trips(bench):
        return factor
    return min(factor, bench.profile.figures["machine.unstated"].chosen(bench.case.sources).high)


def sleep_unstated(bench: Bench) -> bool:
    """Tell whether neither the publication nor a baseline row says how deeply idle cores sleep.

    Profiles are of tuned hosts. A virtual machine's cores are the hypervisor's, whose profile has its own waiting.
    """
    if not bench.rows or bench.hardware.virtual or bench.hardware.tuned:
        return False
    return not any(hasattr(q, "asleep") or row.quantity.dimension == "time" for row, q in bench.baselines())


def _from_round_trips(bench: Bench) -> bool:
    chosen = [(row, question) for row, question in bench.baselines() if row.id in bench.fitted]
    return any(q.kind.startswith("round-trip") and not bench.subject(row.setting).same_node for row, q in chosen)


def work_factor(seconds: float, cost: Cost, expected: float, *, surely: bool) -> float:
    """Return the machine factor that a measured time speaks for.

    What is measured beyond the model's time is work that a machine takes longer for, or waiting (idle states, interrupt
    moderation). Each takes the part that its own uncertainty makes likely: of all x and k that give the measured time
    as x times the waiting and k times the work, the pair is taken whose logarithms, in units of their spreads, lie
    nearest to 0 and to that of ``expected``.

    Parameters
    ----------
    seconds: measured.
    cost: of the model, for one unit.
    expected: factor by the clock.
    surely: the publication states the clock.
    """
    if cost.waiting <= 0:
        return seconds / cost.work

    def distance(factor: float) -> float:
        spread = SPREAD_OF_WORK if surely else SPREAD_OF_FASTER if factor < expected else SPREAD_OF_SLOWER
        waiting = max(seconds - factor * cost.work, 1e-3 * cost.waiting)
        return math.hypot(math.log(waiting / cost.waiting) / SPREAD_OF_WAITING, math.log(factor / expected) / spread)

    # a long time has two explanations, so there may be two valleys: look everywhere, then closely
    most = seconds / cost.work
    near = min((most * step / GRID for step in range(1, GRID)), key=distance)
    low, high = near - most / GRID / 2, near + most / GRID
    for _ in range(SEARCH_STEPS):
        one, other = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, other) if distance(one) < distance(other) else (one, high)
    return (low + high) / 2


SPREAD_OF_WAITING = 0.5
"""Standard deviation of the logarithm of waiting: its largest part, ``interrupt.latency``, ranges from a half to four
and a half times its value, the others within a factor of two."""
SPREAD_OF_WORK, SPREAD_OF_FASTER, SPREAD_OF_SLOWER = 0.16, 0.22, 0.56
"""The same of work, at 1.645 standard deviations: ``machine.factor`` up to 1.3 where the clock is stated. Where it is
not, ``machine.unstated`` down to 0.7; neither is what governs the clock, and a processor that saves power does a light
load at 1.2 GHz or less: 3.0 / 1.2."""
GRID, SEARCH_STEPS = 200, 40
