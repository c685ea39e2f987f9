"""Annotated types: text with units in a scenario file, SI numbers in the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from netsim import units
from netsim.errors import InputError


def _reading(read: Callable[[object], Any], most: float = math.inf, largest: str = "") -> BeforeValidator:
    def convert(value: object) -> Any:
        try:
            number = read(value)
        except InputError as error:
            # pydantic reports a ValueError with its location; refusal.py turns that back into an InputError
            raise ValueError(f"{error.message}|{error.allowed or ''}") from error
        if number > most:
            raise ValueError(f"too large|at most {largest}")
        return number

    return BeforeValidator(convert)


def _text_schema(example: str, meaning: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example], "description": meaning})


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a quantity's type with the unit its numbers are in, so that a number can be written back as text."""

    symbol: str

    def write(self, number: float) -> str:
        """Return a number of this unit the way a scenario states it."""
        return f"{number!r}{self.symbol}"


def unit_of(metadata: Iterable[object]) -> Unit | None:
    """Return the unit among a field's annotations, `None` for a plain number."""
    return next((each for each in metadata if isinstance(each, Unit)), None)


Seconds = Annotated[
    float,
    _reading(units.seconds, 32_000.0, "32000s"),  # the engine's time ends at 2**15 s, and a run needs some to end
    Field(ge=0),
    _text_schema("50us", "a duration with its unit"),
    Unit("s"),
]
Bytes = Annotated[
    int, _reading(units.size_bytes, 2**40, "1TiB"), Field(ge=0), _text_schema("64KiB", "a size with its unit"),
    Unit("B"),
]  # fmt: skip
BitsPerSecond = Annotated[
    float, _reading(units.bits_per_second, 1e14, "100Tbit/s"), Field(gt=0),
    _text_schema("10Gbit/s", "a data rate with its unit"), Unit("bit/s"),
]  # fmt: skip
PerSecond = Annotated[
    float, _reading(units.per_second, 1e8, "100M/s"), Field(gt=0), _text_schema("50/s", "events per time"), Unit("/s")
]


def _fraction(value: object) -> float:
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100.0
        except ValueError:
            pass
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise InputError("not a share", got=value, allowed="a percentage such as 5% or a number such as 0.05")


Fraction = Annotated[float, _reading(_fraction), Field(gt=0, lt=1), _text_schema("5%", "a share in percent")]
