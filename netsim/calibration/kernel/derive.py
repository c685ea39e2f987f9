"""From exchanges to prices: weighted linear regression with a weak prior, and what is left unsure.

Every exchange is a sum of counts times prices (``hops.counts``). Prices are first solved over all probes together, with
one factor a probe, because the same hops cost a little more in TCP's packets than in a batch of datagrams; that is what
a cost profile gets. Then each probe is solved again with the common prices times its factor as prior.

With measured values y, counts X, standard errors s and a prior of mean m and standard deviation d, the prices minimise
``sum(((y - X p) / s)^2) + sum(((p - m) / d)^2)``; their covariance is the inverse of the normal matrix, scaled by the
residuals where these are larger than the errors say (Gelman et al., Bayesian Data Analysis, section 14.8).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.calibration.kernel.hops import BASE, counts
from netsim.calibration.kernel.measure import Measurement
from netsim.calibration.kernel.probes import PROBES, ProbeName
from netsim.calibration.kernel.topologies import Topology
from netsim.datapath.costs import load_profile

MODEL_ERROR = 0.01
"""Relative error granted to every measured value: order of visits, alignment, what the sum of parts cannot know."""
WEAK, COMMON = 1.0, 0.15
"""Relative standard deviation of the prior: a published price for another machine; the common price for one probe."""
ROUNDS = 4
"""Turns of solving for prices with factors or weights given, and these with prices given; two or three would do."""
OUTLYING = 2.5
"""Residuals above so many usual ones count less (Huber, Annals of Mathematical Statistics 35, 1964)."""
FLOOR_NS = 20.0
"""Standard deviation that a prior keeps however small its price is, for prices of a whole hop."""
NORMAL_90 = 1.645
REPEATS = tuple(percent / 100 for percent in range(50, 105, 5))
"""Candidates for what a mechanism costs a packet that met it before, in multiples of the first time."""


@dataclass(frozen=True, slots=True)
class Price:
    """A price in nanoseconds with its 90 % interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return value and interval in seconds."""
        return {"cost_s": self.value * 1e-9, "low_s": self.low * 1e-9, "high_s": self.high * 1e-9}


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured exchange as the regression sees it."""

    counts: Mapping[str, float]
    value: float
    error: float


@dataclass(frozen=True, slots=True)
class ProbePrices:
    """One probe's prices, the base among them.

    ``factor`` is what its hops cost in multiples of the common prices (TCP's more, a batch's less); ``repeat`` what a
    mechanism costs a packet that met it before, in multiples of the first time.
    """

    prices: Mapping[str, Price]
    factor: float
    repeat: float

    def to_dict(self) -> dict[str, Any]:
        """Return the probe's part of the document."""
        prices = {key: price.to_dict() for key, price in self.prices.items()}
        return {"factor": self.factor, "repeat": self.repeat, "prices": prices}


@dataclass(frozen=True)
class Calibration:
    """What one kernel charges: common prices, prices per probe, and what could not be measured."""

    prices: Mapping[str, Price]
    by_probe: Mapping[ProbeName, ProbePrices]
    repeat: float
    measurement: Measurement

    def predict(self, topology: Topology, probe: ProbeName) -> float:
        """Return the nanoseconds of one exchange over a topology, by the sum of its hops.

        Raises
        ------
        LookupError
            A price that the path pays was not measured on this machine.
        """
        own, paid = self.by_probe[probe], counts(topology, probe, self.measurement.packets[probe])
        return math.fsum(count.times(own.repeat) * own.prices[key].value for key, count in paid.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document; times in seconds."""
        return {
            "prices": {key: price.to_dict() for key, price in self.prices.items()},
            "by_probe": {probe: own.to_dict() for probe, own in self.by_probe.items()},
            "repeat": self.repeat,
            "reference_s": self.measurement.reference_ns * 1e-9,
            "measured_for_s": self.measurement.seconds,
            "skipped": [{"path": one.topology, "reason": one.reason} for one in self.measurement.skipped],
        }

    def knows(self, topology: Topology) -> bool:
        """Whether every price that the path pays was measured."""
        return all(
            key == BASE or key in self.prices
            for probe in PROBES
            for key in counts(topology, probe, self.measurement.packets[probe])
        )


def derive(measurement: Measurement) -> Calibration:
    """Solve the prices of a measurement.

    What a repeated mechanism costs is taken from a short list: for the common prices the candidate that explains all
    probes best, and for each probe the one that explains it best.
    """
    rows = {repeat: _rows(measurement, repeat) for repeat in REPEATS}
    joint = {repeat: _common(some) for repeat, some in rows.items()}
    repeat = min(REPEATS, key=lambda candidate: joint[candidate][1])
    shared, _ = joint[repeat]
    means = {key: price.value for key, price in shared.items()}
    probes = {}
    for probe in rows[repeat]:
        fits = [_own(rows[candidate][probe], means, candidate) for candidate in REPEATS]
        probes[probe] = min(fits, key=lambda fit: fit[1])[0]
    return Calibration(_spread(shared, probes), probes, repeat, measurement)


def _rows(measurement: Measurement, repeat: float) -> dict[ProbeName, list[Observation]]:
    rows = {probe: observations(measurement, probe, repeat) for probe in PROBES}
    return {probe: some for probe, some in rows.items() if some}


def _common(rows: Mapping[ProbeName, Sequence[Observation]]) -> tuple[dict[str, Price], float]:
    """Return the prices of all probes together, and how badly they fit."""
    prior = _published({key for some in rows.values() for row in some for key in row.counts} - {BASE})
    factors = dict.fromkeys(rows, 1.0)
    for _ in range(ROUNDS):
        solved, misfit = solve(_together(rows, factors), prior, WEAK)
        shared = {key: price for key, price in solved.items() if not key.startswith(f"{BASE}.")}
        means = {key: price.value for key, price in shared.items()}
        factors = {probe: _factor(some, means) if probe != PROBES[0] else 1.0 for probe, some in rows.items()}
    return shared, misfit


def _own(rows: Sequence[Observation], means: Mapping[str, float], repeat: float) -> tuple[ProbePrices, float]:
    """Return one probe's prices under a given cost of repetition, and how badly they fit."""
    factor = _factor(rows, means)
    scaled = {key: factor * mean for key, mean in means.items()}
    own, misfit = solve(rows, scaled, COMMON)
    unseen = {key: _price(mean, NORMAL_90 * COMMON * mean) for key, mean in scaled.items() if key not in own}
    return ProbePrices({**own, **unseen}, factor, repeat), misfit


def _together(rows: Mapping[ProbeName, Sequence[Observation]], factors: Mapping[ProbeName, float]) -> list[Observation]:
    """Return all probes' rows as one system: a base for each, common prices times the probe's factor."""
    return [
        Observation(
            {f"{BASE}.{probe}" if key == BASE else key: count if key == BASE else factors[probe] * count
             for key, count in row.counts.items()},
            row.value,
            row.error,
        )
        for probe, some in rows.items()
        for row in some
    ]  # fmt: skip


def _factor(rows: Sequence[Observation], prices: Mapping[str, float]) -> float:
    """Return what a probe's hops cost in multiples of the common prices, its base aside."""
    hops = [
        Observation(
            {BASE: 1.0, "hops": math.fsum(count * prices[key] for key, count in row.counts.items() if key != BASE)},
            row.value,
            row.error,
        )
        for row in rows
    ]
    return solve(hops, {"hops": 1.0}, WEAK)[0]["hops"].value


def observations(measurement: Measurement, probe: ProbeName, repeat: float) -> list[Observation]:
    """Return a probe's exchanges with their counts, in nanoseconds of the undisturbed reference."""
    scale = measurement.reference_ns
    return [
        Observation(
            {
                key: count.times(repeat)
                for key, count in counts(one.topology, probe, measurement.packets[probe]).items()
            },
            one.ratio * scale,
            math.hypot(one.error * scale, MODEL_ERROR * one.ratio * scale),
        )
        for one in measurement.samples
        if one.probe == probe
    ]


def solve(rows: Sequence[Observation], prior: Mapping[str, float], width: float) -> tuple[dict[str, Price], float]:
    """Return the prices that explain the rows best, in alphabetical order, and the sum of squares they leave.

    Parameters
    ----------
    rows: measured values with counts.
    prior: expected prices; a key without one is free.
    width: relative standard deviation of the prior.
    """
    import numpy as np

    keys = sorted({key for row in rows for key in row.counts})
    errors = np.array([row.error for row in rows])
    design = np.array([[row.counts.get(key, 0.0) for key in keys] for row in rows]) / errors[:, None]
    values = np.array([row.value for row in rows]) / errors
    mean = np.array([prior.get(key, 0.0) for key in keys])
    precision = np.array([_precision(key, prior, width) for key in keys])
    weights = np.ones(len(rows))
    for _ in range(ROUNDS):
        normal = (design.T * weights) @ design + np.diag(precision)
        solved = np.linalg.solve(normal, design.T @ (weights * values) + precision * mean)
        residual = values - design @ solved
        usual = max(1.0, 1.4826 * float(np.median(np.abs(residual))))
        weights = np.minimum(1.0, OUTLYING * usual / np.maximum(np.abs(residual), 1e-9))
    distance, left = solved - mean, float(residual @ (weights * residual))
    scale = max(1.0, left / max(1, len(rows) - len(keys)))
    deviations = np.sqrt(np.diag(np.linalg.inv(normal)) * scale)
    prices = {
        key: _price(float(value), NORMAL_90 * float(deviation))
        for key, value, deviation in zip(keys, solved, deviations, strict=True)
    }
    return prices, left + float(distance @ (precision * distance))


def _price(value: float, half: float) -> Price:
    return Price(value, min(value, max(0.0, value - half)), value + half)


def _precision(key: str, prior: Mapping[str, float], width: float) -> float:
    """Return 1 / variance of a prior; rules are priced too finely for the floor of a hop."""
    if key not in prior:
        return 1e-12
    floor = 0.0 if key.startswith("rule.") else FLOOR_NS
    return 1.0 / (width * prior[key] + floor + 1e-3) ** 2


def _spread(shared: Mapping[str, Price], probes: Mapping[ProbeName, ProbePrices]) -> dict[str, Price]:
    """Widen the common intervals to what the probes say one by one."""
    result = {}
    for key, price in shared.items():
        own = [one.prices[key].value for one in probes.values()]
        result[key] = Price(price.value, max(0.0, min([price.low, *own])), max([price.high, *own]))
    return result


def _published(keys: set[str]) -> dict[str, float]:
    """Return prior prices from the shipped profile, of the plainest figure where a key is finer than the profile's."""
    server = load_profile("server").prices(regime="hot_loop")
    return {key: server[published(key)] for key in sorted(keys)}


def published(key: str) -> str:
    """Return the profile's figure that stands for a price of this kernel."""
    if key.startswith(("rule.service.", "rule.policy.")):
        return "rule.established"
    if key == "bpf.redirect":
        return "ebpf.program"
    if key == "tunnel.packet":
        return "encap.packet"
    for figure in ("rule.port_match", "nat.new", "netfilter.hook", "ipset.lookup"):
        if key.startswith(f"{figure}."):
            return figure
    return key
