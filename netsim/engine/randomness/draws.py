"""Draws from the distributions a scenario states, on the time grid (durations) or as whole bytes (sizes)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from netsim.engine.queueing.grid import array_on_grid, on_grid
from netsim.engine.randomness import portable
from netsim.scenario.distributions import Constant, Exponential, Lognormal, Uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from netsim.engine.randomness.streams import Streams

    Floats = NDArray[np.float64]
    Shape = Constant[float] | Exponential[float] | Uniform[float] | Lognormal[float]
    SizeShape = Constant[int] | Exponential[int] | Uniform[int] | Lognormal[int]


def quantiles(shape: Shape | SizeShape, uniforms: Floats) -> Floats:
    """Map uniforms on (0, 1) to values of a distribution (inverse transform)."""
    match shape:
        case Constant():
            return np.full_like(uniforms, shape.value)
        case Exponential():
            return -float(shape.value) * portable.log(uniforms)
        case Uniform():
            return float(shape.low) + uniforms * float(shape.high - shape.low)
        case Lognormal():
            spread = shape.sigma * portable.normal_quantile(uniforms)
            return float(shape.median) * portable.exp(spread)


def durations(streams: Streams, name: str, shape: Shape) -> Callable[[], float]:
    """Return a function that draws durations in seconds."""
    if isinstance(shape, Constant):
        value = on_grid(shape.value)
        return lambda: value
    return streams.drawing(name, lambda uniforms: array_on_grid(quantiles(shape, uniforms)))


def sizes(streams: Streams, name: str, shape: SizeShape) -> Callable[[], int]:
    """Return a function that draws sizes in whole bytes, at least one."""
    if isinstance(shape, Constant):
        value = max(1, int(shape.value))
        return lambda: value
    draw = streams.drawing(name, lambda uniforms: np.maximum(1.0, np.floor(quantiles(shape, uniforms) + 0.5)))
    return lambda: int(draw())
