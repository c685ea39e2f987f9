"""How much slower than the cost profile's a machine works, by one measured time, and what of it nobody states."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard

from netsim.calibration.published.question import Cored, Cost, Parameter, Question, Woken
from netsim.errors import InputError, Place

if TYPE_CHECKING:
    from netsim.calibration.published.bench import Bench
    from netsim.calibration.published.case import Row

PLAUSIBLE_FACTOR = (0.4, 4.0)
"""Machine factors outside are waiting that was taken for work (idle states), and are cut off."""


def fitted_factor(bench: Bench, expected: float) -> Parameter | None:
    """Return the machine factor that the best baseline rows of one flow give, ``None`` where none can."""
    candidates = [
        (q.calibrates, row, q)
        for row, q in bench.baselines()
        if q.calibrates and row.setting.streams == 1 and _is_work(bench, row, q)
    ]
    if not candidates:
        return None
    best = min(candidate[0] for candidate in candidates)
    chosen = [(row, question) for rank, row, question in candidates if rank == best]
    found = [_factor(bench, row, question, expected) for row, question in chosen]
    low, high = PLAUSIBLE_FACTOR
    factor = min(high, max(low, math.fsum(found) / len(found)))
    return Parameter("machine factor k", factor, "+".join(row.id for row, _ in chosen))


def _factor(bench: Bench, row: Row, question: Question, expected: float) -> float:
    seconds, surely = question.seconds(bench, row), bool(bench.hardware.clock_ghz)
    if _of_cores(question):
        return slowest_factor(seconds, _busy(row, question.cores(bench, row.setting)), expected, surely=surely)
    work, waiting = question.cost(bench, row.setting)
    return work_factor(seconds, Cost(coldness(bench, question) * work, waiting), expected, surely=surely)


def _busy(row: Row, cores: Mapping[str, Cost]) -> Sequence[Cost]:
    """Return the cores of which one may be the slowest: all, or the one that a row says was busy all the time."""
    stated = row.setting.text("busy")
    if not stated:
        return tuple(cores.values())
    if stated not in cores:
        allowed = ", ".join(sorted(cores))
        raise InputError("no such core", place=Place(field="configuration.busy"), got=stated, allowed=allowed)
    return (cores[stated],)


def _is_work(bench: Bench, row: Row, question: Question) -> bool:
    """Tell whether a row's time is mostly work: that of streams is copies, unless a file's pages are sent."""
    if not _of_cores(question):
        return True
    return bench.subject(row.setting).from_file and question.informs(bench, row)


def _of_cores(question: Question) -> TypeGuard[Cored]:
    """Tell whether the slowest core of several gives the answer."""
    return isinstance(question, Cored) and not question.per_core


def busy_factor(bench: Bench, factor: float) -> float:
    """Return the machine factor of cores that never rest.

    A processor that saves power does a light load at a fraction of its clock (`SPREAD_OF_SLOWER`), and a factor from
    round trips between hosts may say that. Governors raise the clock of a core that is busy all the time; what it may
    be then is the range of ``machine.unstated``.
    """
    if bench.hardware.clock_ghz or not _from_round_trips(bench):
        return factor
    return min(factor, bench.profile.figures["machine.unstated"].chosen(bench.case.sources).high)


def surprise(bench: Bench) -> float:
    """Return how unlikely the fitted machine factor is, in standard deviations from that by the clock."""
    stated = bench.hardware.clock_ghz
    usual = bench.profile.figures["machine.unstated"].chosen(bench.case.sources).value
    return _unlikely(bench.factor, bench.profile.clock_ghz / stated if stated else usual, bool(stated))


def sleep_unstated(bench: Bench) -> bool:
    """Tell whether neither the publication nor a baseline row says how deeply idle cores sleep.

    Profiles are of tuned hosts. A virtual machine's cores are the hypervisor's, whose profile has its own waiting.
    """
    if not bench.rows or bench.hardware.virtual or bench.hardware.tuned:
        return False
    return not any(hasattr(q, "asleep") or row.quantity.dimension == "time" for row, q in bench.baselines())


def sleeps(bench: Bench) -> bool:
    """Tell whether the hosts' cores sleep so deeply between a request and its answer that their caches are empty.

    So it is where a bare round trip between hosts waits far longer than cards, cables and moderation account for, the
    work taken at the clock that is stated. Without one a slow round trip says how slow work is, cold caches included.
    """
    if not bench.hardware.clock_ghz:
        return False
    clock = bench.profile.clock_ghz / bench.hardware.clock_ghz
    for row, question in bench.baselines():
        apart = not bench.subject(row.setting).same_node
        if question.calibrates and isinstance(question, Woken) and row.setting.streams == 1 and apart:
            cost = question.cost(bench, row.setting)
            return question.seconds(bench, row) - clock * cost.work > DEEP_SLEEP * cost.waiting
    return False


def coldness(bench: Bench, question: Question) -> float:
    """Return how much dearer work is where it starts with empty caches: in round trips between sleeping cores."""
    if not isinstance(question, Woken) or not bench.asleep:
        return 1.0
    return max(1.0, bench.figure("regime.asleep") / bench.figure("regime.closed_loop"))


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
        waiting = max(seconds - factor * cost.work, 1e-3 * cost.waiting)
        other = math.log(waiting / cost.waiting) / SPREAD_OF_WAITING
        return math.hypot(other, _unlikely(factor, expected, surely))

    return _nearest(distance, seconds / cost.work)


def slowest_factor(seconds: float, cores: Sequence[Cost], expected: float, *, surely: bool) -> float:
    """Return the machine factor that the time of a stream's slowest core speaks for.

    Which core that is depends on the machine: a slow processor makes it one with much work, slow memory one that
    copies. Of all factors on work and on copies for which the slowest core takes what was measured, the likeliest pair
    is taken, as in `work_factor`.

    Parameters
    ----------
    seconds: measured.
    cores: of the model; their waiting is copies.
    expected: factor by the clock.
    surely: the publication states the clock.
    """
    copying = [core for core in cores if core.waiting > 0]
    most = min(seconds / core.work for core in cores if core.work > 0)

    def copies(factor: float) -> float:
        return max(1e-3, min((seconds - factor * core.work) / core.waiting for core in copying))

    def distance(factor: float, of_copies: float) -> float:
        return math.hypot(math.log(of_copies) / SPREAD_OF_COPIES, _unlikely(factor, expected, surely))

    if not copying:
        return most
    likeliest = _nearest(lambda factor: distance(factor, copies(factor)), most)
    if any(core.work * most >= seconds for core in cores if core.waiting <= 0):
        # a core without copies may take the time: memory then only has to be fast enough for the others
        bound = distance(most, min(1.0, copies(most)))
        likeliest = min((bound, most), (distance(likeliest, copies(likeliest)), likeliest))[1]
    return likeliest


def _unlikely(factor: float, expected: float, surely: bool) -> float:
    spread = SPREAD_OF_WORK if surely else SPREAD_OF_FASTER if factor < expected else SPREAD_OF_SLOWER
    return math.log(factor / expected) / spread


def _nearest(distance: Callable[[float], float], most: float) -> float:
    """Return where a distance is least, between 0 and ``most``."""
    # a long time has two explanations, so there may be two valleys: look everywhere, then closely
    near = min((most * step / GRID for step in range(1, GRID)), key=distance)
    low, high = near - most / GRID / 2, near + most / GRID
    for _ in range(SEARCH_STEPS):
        one, other = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, other) if distance(one) < distance(other) else (one, high)
    return (low + high) / 2


SPREAD_OF_COPIES = 0.2
"""The same of copies, at 1.645 standard deviations: ``machine.memory_factor`` up to 1.4."""
SPREAD_OF_WAITING = 0.5
"""Standard deviation of the logarithm of waiting: its largest part, ``interrupt.latency``, ranges from a half to four
and a half times its value, the others within a factor of two."""
SPREAD_OF_WORK, SPREAD_OF_FASTER, SPREAD_OF_SLOWER = 0.16, 0.22, 0.56
"""The same of work, at 1.645 standard deviations: ``machine.factor`` up to 1.3 where the clock is stated. Where it is
not, ``machine.unstated`` down to 0.7; neither is what governs the clock, and a processor that saves power does a light
load at 1.2 GHz or less: 3.0 / 1.2."""
DEEP_SLEEP = 2.8
"""From how many times the model's waiting on a core is taken to sleep deeply: cards, moderation and wake-ups of tuned
hosts reach (1300 + 1300 + 2400 + 8000) / 4650, the upper ends of their ranges over the usual ones."""
GRID, SEARCH_STEPS = 200, 40
