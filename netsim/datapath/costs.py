"""Cost profiles: nanoseconds with their sources, and the prices a scenario derives from them.

A profile is data (``netsim/data/costs/*.yaml``). Each figure lists *estimates* in order of trust, each from one named
source with a range; the first estimate whose source is not excluded is used, so a published table can be predicted
without the costs that came from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netsim.datapath.arithmetic import check
from netsim.errors import InputError, Place
from netsim.scenario.loading import read_model, read_text
from netsim.scenario.origin import Origin
from netsim.scenario.refusal import first_error

Scaling = Literal["cpu", "memory", "none"]
Regime = Literal["hot_loop", "closed_loop", "flood", "asleep"]
"""What surrounds the work: a tight loop over one path, request and answer on a real host, full polls, request and
answer on a host whose cores sleep so deeply between them that their caches are empty."""


class Estimate(BaseModel):
    """One source's value of a figure, nanoseconds unless the figure's unit says otherwise.

    ``arithmetic`` derives the value from the numbers the source prints (``30.5 * 3.6 / 3.0``: from its clock to the
    profile's); a value that does not follow from it is refused. ``note`` says the rest in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    value: float = Field(ge=0)
    low: float = Field(ge=0)
    high: float = Field(ge=0)
    arithmetic: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Estimate:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low <= value <= high does not hold: {self.low}, {self.value}, {self.high}")
        if self.arithmetic:
            check(self.arithmetic, self.value)
        return self


class Figure(BaseModel):
    """A cost with its estimates.

    ``scaling`` says what moves it between machines: CPU speed, memory speed, nothing. ``measured`` is ``hot_loop``
    for figures from a loop over one path with everything in cache; real traffic multiplies them by its regime's factor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: str
    estimates: tuple[Estimate, ...] = Field(min_length=1)
    scaling: Scaling = "cpu"
    measured: Literal["hot_loop", "in_place"] = "in_place"
    unit: Literal["ns", "ratio"] = "ns"

    def chosen(self, excluded: Collection[str] = ()) -> Estimate:
        """Return the most trusted estimate that is not from an excluded source; `LookupError` when none is left."""
        for estimate in self.estimates:
            if estimate.source not in excluded:
                return estimate
        raise LookupError(f"no estimate is left without {', '.join(sorted(excluded))}")


class CostProfile(BaseModel):
    """Costs of one kind of machine.

    ``figures`` maps ``<hop>.<per>`` (``veth.packet``, ``socket.receive.byte``, ``wakeup.latency``) to a `Figure`;
    ``machine.factor`` and ``machine.memory_factor`` multiply CPU work and copies, so that a profile can differ from the
    one it extends by its machine alone. ``clock_ghz`` is the clock the figures hold at; ``sources`` maps source names
    to citations; ``valid_for`` says in words which machines the profile speaks about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    valid_for: str = ""
    clock_ghz: float = Field(default=3.0, gt=0)
    extends: str | None = None
    sources: Mapping[str, str] = Field(default_factory=dict)
    figures: Mapping[str, Figure] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sources_exist(self) -> CostProfile:
        for key, figure in self.figures.items():
            for estimate in figure.estimates:
                if self.extends is None and estimate.source not in self.sources:
                    raise ValueError(f"{key}: source {estimate.source!r} is not in sources")
        return self

    def stating(self, values: Mapping[str, float]) -> CostProfile:
        """Return the profile with some figures set to known values. Raises `InputError` when one has no such figure."""
        if not values:
            return self
        unknown = sorted(set(values) - set(self.figures))
        if unknown:
            raise InputError("no such cost", place=Place(field="network.prices"), got=", ".join(unknown),
                             allowed=", ".join(sorted(self.figures)))  # fmt: skip
        stated = {
            key: self.figures[key].model_copy(
                update={"estimates": (Estimate(source=STATED, value=value, low=value, high=value),)}
            )
            for key, value in values.items()
        }
        sources = {**self.sources, STATED: "the scenario states it"}
        return self.model_copy(update={"figures": {**self.figures, **stated}, "sources": sources})

    def prices(
        self,
        *,
        excluded: Collection[str] = (),
        overrides: Mapping[str, float] | None = None,
        regime: Regime = "closed_loop",
    ) -> Prices:
        """Return plain numbers: the chosen estimate of every figure, then ``overrides`` (drawn or calibrated values).

        Raises
        ------
        InputError
            When an override names no figure.
        LookupError
            When a figure has no estimate left without the ``excluded`` sources.
        """
        values = {key: figure.chosen(excluded).value for key, figure in self.figures.items()}
        unknown = sorted(set(overrides or {}) - set(values))
        if unknown:
            raise InputError("no such cost", got=", ".join(unknown), allowed=", ".join(sorted(values)))
        values.update(overrides or {})
        return Prices(
            values,
            {key: figure.scaling for key, figure in self.figures.items()},
            factor=values.get("machine.factor", 1.0),
            memory_factor=values.get("machine.memory_factor", 1.0),
            hot=frozenset(key for key, figure in self.figures.items() if figure.measured == "hot_loop"),
            regime_factor=values.get(f"regime.{regime}", 1.0),
            clock_ghz=self.clock_ghz,
        )


@dataclass(frozen=True)
class Prices:
    """Values by key, ready for hops.

    ``factor`` is the machine factor k on CPU work (slower machine: above 1), ``memory_factor`` the same for copies;
    ``regime_factor`` multiplies the figures in ``hot``, those that come from a hot loop. ``clock_ghz`` is the clock at
    which ``factor`` is 1.
    """

    values: Mapping[str, float]
    scaling: Mapping[str, Scaling] = field(default_factory=dict)
    factor: float = 1.0
    memory_factor: float = 1.0
    hot: frozenset[str] = frozenset()
    regime_factor: float = 1.0
    clock_ghz: float = 3.0

    @cached_property
    def _scaled(self) -> Mapping[str, float]:
        factors = {"cpu": self.factor, "memory": self.memory_factor, "none": 1.0}
        return {
            key: value * factors[self.scaling.get(key, "cpu")] * (self.regime_factor if key in self.hot else 1.0)
            for key, value in self.values.items()
        }

    @cached_property
    def in_loop(self) -> Prices:
        """The prices of a repetition: for the second and later segments of a burst code and tables are in cache.

        A figure ``<key>.again`` is the price of ``<key>`` where pieces follow each other and share what is paid once.
        """
        again = {key.removesuffix(".again"): value for key, value in self.values.items() if key.endswith(".again")}
        return replace(self, values={**self.values, **again}, regime_factor=min(1.0, self.regime_factor))

    def __getitem__(self, key: str) -> float:
        """Return the price of ``<hop>.<per>`` on this machine."""
        return self._scaled[key]

    def on(self, factor: float, memory_factor: float = 1.0) -> Prices:
        """Return the prices on a machine ``factor`` times slower."""
        return replace(self, factor=self.factor * factor, memory_factor=self.memory_factor * memory_factor)

    def at_clock(self, clock_ghz: float) -> Prices:
        """Return the prices at another clock: CPU work takes inversely longer, memory and waiting do not change."""
        return replace(self, factor=self.factor * self.clock_ghz / clock_ghz, clock_ghz=clock_ghz)


STATED = "scenario"
"""Source of figures that a scenario states itself."""
ALWAYS_USED = ("machine.factor", "machine.memory_factor", "regime.closed_loop")
"""Figures that are part of every price of a run."""


@dataclass(frozen=True)
class RecordingPrices(Prices):
    """Prices that note in ``asked`` which figures they were asked for; those derived from them note there too."""

    asked: set[str] = field(default_factory=set, compare=False)

    @classmethod
    def of(cls, prices: Prices) -> RecordingPrices:
        """Return prices that record."""
        return cls(**{item.name: getattr(prices, item.name) for item in fields(prices)})

    def __getitem__(self, key: str) -> float:
        """Return a price and note it, with what it is where pieces follow each other."""
        self.asked.update((key, f"{key}.again"))
        return super().__getitem__(key)


WAITING_US, WORK_US = 9.3, 11.65
"""Of one TCP request and response between bare hosts: wire, cards, interrupts, wake-ups; CPU work of both hosts."""


def machine_factor(bare_round_trip_s: float) -> float:
    """Return the machine factor k of a host from its bare request/response time.

    ``RTT = 9.3 us + k x 11.65 us``: waiting does not scale with the processor, work does. Both constants split a bare
    row of 20.95 us by its CPU time (Cilium CNI benchmark 2021), so that machine has k = 1. Valid on tuned hosts only:
    with deep idle states the rest is waiting.

    Raises
    ------
    InputError
        When the time leaves nothing for the processor.
    """
    factor = (bare_round_trip_s * 1e6 - WAITING_US) / WORK_US
    if factor <= 0:
        raise InputError("a bare round trip too short for this model", got=f"{bare_round_trip_s * 1e6:.3g} us",
                         allowed=f"more than {WAITING_US} us")  # fmt: skip
    return factor


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles that ship with netsim."""
    folder = resources.files("netsim") / "data" / "costs"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))


def load_profile(name_or_path: str) -> CostProfile:
    """Read a shipped profile by name, or one from a file. Raises `InputError`."""
    return _load(name_or_path, ())


def _load(name_or_path: str, extending: tuple[str, ...]) -> CostProfile:
    if name_or_path in profile_names():
        return _shipped(name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            "no such cost profile", place=Place(field="network.costs"), got=name_or_path,
            allowed=", ".join(profile_names()) + " or a file",
        )  # fmt: skip
    return _read(read_text(path), str(path), extending)


@lru_cache(maxsize=16)
def _shipped(name: str) -> CostProfile:
    text = (resources.files("netsim") / "data" / "costs" / f"{name}.yaml").read_text(encoding="utf-8")
    return _read(text, f"{name}.yaml", ())


def _read(text: str, file: str, extending: tuple[str, ...]) -> CostProfile:
    if file in extending:
        raise InputError("a profile that extends itself", place=Place(file, field="extends"), got=file)
    profile = read_model(text, file, CostProfile)
    if profile.extends is None:
        return profile
    base = _load(profile.extends, (*extending, file))
    merged = {
        **profile.model_dump(),
        "sources": {**base.sources, **profile.sources},
        "figures": {**base.figures, **profile.figures},
        "extends": None,
    }
    try:
        return CostProfile.model_validate(merged)
    except ValidationError as error:
        raise first_error(error, merged, Origin(file), CostProfile) from error
