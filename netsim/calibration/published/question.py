"""What a kind of metric asks of a testbed: the model's cost of one unit, and a time as a value of the metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.setting import Setting

if TYPE_CHECKING:
    from netsim.calibration.published.bench import Bench


class Cost(NamedTuple):
    """The model's seconds for one unit: what scales with the machine, and what does not."""

    work: float
    waiting: float = 0.0

    def plus(self, other: Cost) -> Cost:
        """Return the sum of both."""
        return Cost(self.work + other.work, self.waiting + other.waiting)


class Answer(NamedTuple):
    """A predicted value in the SI unit of its metric; ``trivial`` where a line rate or a flat curve decides.

    ``measured`` is False where nothing of the kind was measured on the bare hosts.
    """

    value: float
    trivial: bool = False
    note: str = ""
    measured: bool = True


class Question(Protocol):
    """A kind of metric."""

    @property
    def kind(self) -> str:
        """Metrics of one kind can be compared: a rate of round trips and their mean time."""
        ...

    @property
    def calibrates(self) -> int:
        """Which baseline rows are asked first for the machine factor: smaller is better, 0 is never."""
        ...

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the model's cost of one unit."""
        ...

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return a measured value as seconds per unit."""
        ...

    def informs(self, bench: Bench, row: Row) -> bool:
        """Tell whether a baseline row says something of the hosts."""
        ...

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return seconds per unit as a value of the metric."""
        ...


@runtime_checkable
class Cored(Question, Protocol):
    """A question whose answer is the slowest core's, each with its own work and its own copies."""

    @property
    def per_core(self) -> bool:
        """Whether the busiest host's work counts instead."""
        ...

    def cores(self, bench: Bench, setting: Setting) -> Mapping[str, Cost]:
        """Return the cost of one unit on each core, copies as waiting."""
        ...


@runtime_checkable
class Staged(Question, Protocol):
    """A question about a pipeline of cores that work side by side: the slowest decides."""

    def stages(self, bench: Bench, setting: Setting) -> Mapping[str, float]:
        """Return each core's work for one unit."""
        ...


@runtime_checkable
class Woken(Question, Protocol):
    """A question about programs that sleep until the next packet wakes them."""

    def asleep(self, bench: Bench, setting: Setting) -> float:
        """Return the part of the waiting that is waking up, in seconds."""
        ...


class Untimed:
    """A question about what is counted or is a share: no time, so its rows say nothing of the machine."""

    __slots__ = ()

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return nothing."""
        return Cost(0.0)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return nothing."""
        return 0.0

    def informs(self, bench: Bench, row: Row) -> bool:
        """Never."""
        return False


class Anchor(NamedTuple):
    """A baseline row that was measured in the same way."""

    row: Row
    seconds: float
    cost: Cost


class Parameter(NamedTuple):
    """A fitted value, and the baseline row it comes from."""

    name: str
    value: float
    row: str
