"""Logarithm, exponential and normal quantile from IEEE basic operations only.

``log`` and ``exp`` of a C library or of a vector unit may differ in the last bit between machines. Addition,
multiplication, division and square root may not (IEEE 754), so draws built from them are the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts; the high one has trailing zero bits, so its product with an exponent is exact (fdlibm)."""
_LOG_TERMS = 11
_EXP_TERMS = 14


def log(x: Floats) -> Floats:
    """Natural logarithm of positive numbers, within 2 units in the last place.

    ``ln(m·2ᵉ) = e·ln 2 + 2·artanh((m-1)/(m+1))`` with m in [√½, √2).
    """
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    power = exponent.astype(np.float64) - low
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    series = np.full_like(ratio, 1.0 / (2 * _LOG_TERMS + 1))
    for term in range(_LOG_TERMS - 1, -1, -1):
        series = series * square + 1.0 / (2 * term + 1)
    result: Floats = power * _LN2_HIGH + (2.0 * ratio * series + power * _LN2_LOW)
    return result


def exp(x: Floats) -> Floats:
    """Exponential function for magnitudes below 700, within a few units in the last place."""
    power = np.floor(x * 1.4426950408889634 + 0.5)
    rest = (x - power * _LN2_HIGH) - power * _LN2_LOW
    series = np.ones_like(rest)
    for term in range(_EXP_TERMS, 0, -1):
        series = 1.0 + series * rest / term
    result: Floats = np.ldexp(series, power.astype(np.int64))
    return result


_CENTRE = (
    (-3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02, 1.383577518672690e02, -3.066479806614716e01,
     2.506628277459239e00),
    (-5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02, 6.680131188771972e01, -1.328068155288572e01,
     1.0),
)  # fmt: skip
_TAIL = (
    (-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00, -2.549732539343734e00, 4.374664141464968e00,
     2.938163982698783e00),
    (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00, 1.0),
)  # fmt: skip


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def normal_quantile(p: Floats) -> Floats:
    """Inverse of the standard normal distribution on (0, 1): Acklam's rational approximation, relative error 1.2e-9."""
    centred = p - 0.5
    square = centred * centred
    centre = centred * _polynomial(_CENTRE[0], square) / _polynomial(_CENTRE[1], square)
    nearer = np.minimum(p, 1.0 - p)
    depth = np.sqrt(-2.0 * log(nearer))
    tail = _polynomial(_TAIL[0], depth) / _polynomial(_TAIL[1], depth)
    result: Floats = np.where(nearer >= 0.02425, centre, np.where(p < 0.5, tail, -tail))
    return result
