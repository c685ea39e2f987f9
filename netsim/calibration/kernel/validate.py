"""Does the sum of parts predict whole paths? Calibrate, draw composites, predict them, then measure them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from netsim.calibration.kernel.composites import draw
from netsim.calibration.kernel.derive import Calibration, derive
from netsim.calibration.kernel.measure import Measurement, Progress, Skipped, measure
from netsim.calibration.kernel.namespaces import Sandbox
from netsim.calibration.kernel.plan import ANCHORS, PLANS, Mode, calibration
from netsim.calibration.kernel.probes import PROBES, ProbeName
from netsim.calibration.kernel.timing import Effort
from netsim.calibration.kernel.topologies import Topology
from netsim.errors import InputError

MEAN_TARGET, WORST_TARGET = 0.03, 0.10


@dataclass(frozen=True, slots=True)
class Prediction:
    """One exchange over one composite, in nanoseconds, before it is measured."""

    topology: Topology
    probe: ProbeName
    predicted_ns: float


@dataclass(frozen=True, slots=True)
class Row:
    """A prediction beside its measurement; ``spread`` is the measurement's own relative standard error."""

    prediction: Prediction
    measured_ns: float
    spread: float

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.prediction.predicted_ns / self.measured_ns - 1

    def to_dict(self) -> dict[str, Any]:
        """Return the row of the document."""
        return {
            "path": str(self.prediction.topology),
            "probe": self.prediction.probe,
            "predicted_s": self.prediction.predicted_ns * 1e-9,
            "measured_s": self.measured_ns * 1e-9,
            "error": self.error,
            "measurement_error": self.spread,
        }


@dataclass(frozen=True)
class KernelValidation:
    """How well a kernel's parts predict its paths."""

    seed: int
    calibration: Calibration
    drift: Mapping[ProbeName, float]
    """How much slower each probe was when the composites were measured; the measured values are corrected by it."""
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]

    @property
    def mean(self) -> float:
        """Mean of the absolute relative errors."""
        return math.fsum(abs(row.error) for row in self.rows) / len(self.rows)

    @property
    def bias(self) -> float:
        """Mean of the signed relative errors."""
        return math.fsum(row.error for row in self.rows) / len(self.rows)

    @property
    def worst(self) -> float:
        """Largest absolute relative error."""
        return max(abs(row.error) for row in self.rows)

    @property
    def passed(self) -> bool:
        """Whether both targets are met."""
        return self.mean <= MEAN_TARGET and self.worst <= WORST_TARGET

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document; errors are fractions."""
        return {
            "seed": self.seed,
            "points": len(self.rows),
            "mean": self.mean,
            "worst": self.worst,
            "bias": self.bias,
            "passed": self.passed,
            "drift": dict(self.drift),
            "targets": {"mean": MEAN_TARGET, "worst": WORST_TARGET},
            "rows": [row.to_dict() for row in self.rows],
            "skipped": [{"path": one.topology, "reason": one.reason} for one in self.skipped],
        }


def validate_kernel(
    seed: int = 1,
    count: int = 20,
    mode: Mode = "quick",
    *,
    progress: Progress | None = None,
    predicted: Callable[[Sequence[Prediction]], None] | None = None,
) -> KernelValidation:
    """Calibrate this kernel, predict composites drawn from a seed, and measure them afterwards.

    Parameters
    ----------
    seed: of the composites and of the order of measuring.
    count: composites; each is measured by every probe.
    mode: effort of the calibration.
    progress: told what is being done.
    predicted: told the predictions before any composite is built.

    Raises
    ------
    InputError
        Not root, not Linux, no namespaces, or nothing to measure with.
    """
    plan = PLANS[mode]
    with Sandbox() as host:
        learnt = calibration(plan)
        parts = derive(measure(host, learnt, plan.effort, seed, progress))
        composites = draw(seed, count, parts.knows, learnt)
        if not composites:
            raise InputError("this machine can build too little to draw a composite path")
        predictions = [Prediction(path, probe, parts.predict(path, probe)) for path in composites for probe in PROBES]
        if predicted is not None:
            predicted(predictions)
        effort = Effort(seconds=plan.effort.seconds * 1.5 * len(composites) / len(learnt), fewest=4)
        found = measure(host, (*composites, *ANCHORS), effort, seed + 1, progress)
    drift = {probe: _drift(parts.measurement, found, probe) for probe in PROBES}
    rows = []
    for one in predictions:
        try:
            samples = found.found(one.topology, one.probe)
        except LookupError:
            continue  # named among the skipped
        measured = samples.ratio * parts.measurement.reference_ns / drift[one.probe]
        rows.append(Row(one, measured, samples.error / samples.ratio))
    if not rows:
        raise InputError("no composite path could be measured", got=found.skipped[0].reason)
    skipped = dict.fromkeys((*parts.measurement.skipped, *found.skipped))
    return KernelValidation(seed, parts, drift, tuple(rows), tuple(skipped))


def _drift(before: Measurement, after: Measurement, probe: ProbeName) -> float:
    """Return how much slower a probe was in a later session than in an earlier one, by the median of the anchors.

    The reference beside every chunk is a datagram exchange; it does not cancel what slows other probes more.
    """
    slower = []
    for anchor in ANCHORS:
        with suppress(LookupError):
            slower.append(after.found(anchor, probe).ratio / before.found(anchor, probe).ratio)
    return statistics.median(slower) if slower else 1.0
