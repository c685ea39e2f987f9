"""Distributions a scenario may state for durations and sizes: a tagged union, one class a shape."""

from __future__ import annotations

import math
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from netsim.scenario.quantities import Bytes, Seconds

Q = TypeVar("Q", int, float)


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Constant(_Shape, Generic[Q]):
    """Always ``value``. Written as the bare quantity: ``work: 50us``."""

    shape: Literal["constant"] = "constant"
    value: Q

    @property
    def mean(self) -> float:
        """Mean in the quantity's unit."""
        return float(self.value)

    @property
    def second_moment(self) -> float:
        """Second moment, for queueing formulas."""
        return float(self.value) ** 2


class Exponential(_Shape, Generic[Q]):
    """Memoryless with the given mean: ``work: {exponential: 50us}``."""

    shape: Literal["exponential"] = "exponential"
    value: Q

    @property
    def mean(self) -> float:
        """Mean in the quantity's unit."""
        return float(self.value)

    @property
    def second_moment(self) -> float:
        """Second moment, for queueing formulas."""
        return 2.0 * float(self.value) ** 2


class Uniform(_Shape, Generic[Q]):
    """Evenly between two values: ``work: {uniform: [10us, 90us]}``."""

    shape: Literal["uniform"] = "uniform"
    low: Q
    high: Q

    @model_validator(mode="after")
    def _ordered(self) -> Uniform[Q]:
        if self.low > self.high:
            raise ValueError("the first value of uniform is the smaller one|[low, high]")
        return self

    @property
    def mean(self) -> float:
        """Mean in the quantity's unit."""
        return (self.low + self.high) / 2.0

    @property
    def second_moment(self) -> float:
        """Second moment, for queueing formulas."""
        return (self.low**2 + self.low * self.high + self.high**2) / 3.0


class Lognormal(_Shape, Generic[Q]):
    """Log-normal by median and sigma of the logarithm: ``work: {lognormal: {median: 50us, sigma: 0.8}}``."""

    shape: Literal["lognormal"] = "lognormal"
    median: Q
    sigma: float = Field(gt=0, le=4)

    @property
    def mean(self) -> float:
        """Mean in the quantity's unit."""
        return float(self.median) * math.exp(self.sigma**2 / 2)

    @property
    def second_moment(self) -> float:
        """Second moment, for queueing formulas."""
        return float(self.median) ** 2 * math.exp(2 * self.sigma**2)


def _spelling(value: object) -> Any:
    """Turn what people write (``50us``, ``{exponential: 50us}``) into the tagged form."""
    if not isinstance(value, dict):
        return {"shape": "constant", "value": value}
    if "shape" in value:
        return value
    if len(value) != 1:
        raise ValueError("a distribution has exactly one shape|constant, exponential, uniform or lognormal")
    shape, argument = next(iter(value.items()))
    if shape == "uniform":
        if not isinstance(argument, list | tuple) or len(argument) != 2:
            raise ValueError("uniform takes two values|[low, high]")
        return {"shape": shape, "low": argument[0], "high": argument[1]}
    if shape == "lognormal":
        if not isinstance(argument, dict):
            raise ValueError("lognormal takes a mapping|{median: 50us, sigma: 0.8}")
        return {"shape": shape, **argument}
    if shape not in ("constant", "exponential"):
        raise ValueError(f"unknown distribution {shape!r}|constant, exponential, uniform or lognormal")
    return {"shape": shape, "value": argument}


Duration = Annotated[
    Annotated[
        Constant[Seconds] | Exponential[Seconds] | Uniform[Seconds] | Lognormal[Seconds],
        Field(discriminator="shape"),
    ],
    BeforeValidator(_spelling),
]
Size = Annotated[
    Annotated[Constant[Bytes] | Exponential[Bytes] | Uniform[Bytes] | Lognormal[Bytes], Field(discriminator="shape")],
    BeforeValidator(_spelling),
]
NO_WORK: Constant[float] = Constant(value=0.0)
