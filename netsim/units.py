"""Quantities at the edge: text with a unit in, plain SI numbers inside.

Inside netsim every time is in seconds, every size in bytes, every data rate in bits per second and every event rate
in events per second; names end in ``_s``, ``_bytes``, ``_bps``, ``_per_s``. This module is the only place that knows
the spellings users may write.
"""

from __future__ import annotations

import math
import re

from netsim.errors import InputError

_NUMBER = re.compile(r"^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")

TIME_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
SIZE_UNITS = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
RATE_UNITS = {
    prefix + suffix: factor
    for prefix, factor in (("", 1.0), ("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))
    for suffix in ("bit/s", "bps", "b/s", "bit")
}
FREQUENCY_UNITS = {
    f"{prefix}{unit}": factor * per
    for prefix, factor in (("", 1.0), ("k", 1e3), ("M", 1e6))
    for unit, per in (("/s", 1.0), ("/min", 1 / 60.0), ("/h", 1 / 3600.0), ("Hz", 1.0))
}


def _quantity(value: object, kind: str, units: dict[str, float] | dict[str, int], example: str) -> float:
    """Read ``"10Gbit/s"`` and the like; a bare number is refused because its unit would be a guess."""
    allowed = f"a number with a unit ({', '.join(units)}), for example {example}"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"not a {kind}", got=value, allowed=allowed)
    match = _NUMBER.match(str(value))
    if match is None:
        raise InputError(f"not a {kind}", got=value, allowed=allowed)
    number, unit = match.groups()
    if unit is None:
        if float(number) == 0.0:
            return 0.0
        raise InputError(f"a {kind} needs a unit", got=value, allowed=allowed)
    if unit not in units:
        raise InputError(f"unknown unit {unit!r} for a {kind}", got=value, allowed=allowed)
    read = float(number) * units[unit]
    if not math.isfinite(read):
        raise InputError(f"a {kind} too large for a number", got=value, allowed=allowed)
    return read


def seconds(value: object) -> float:
    """Read a duration such as ``"50us"``; returns seconds. Raises `InputError`."""
    return _quantity(value, "duration", TIME_UNITS, "50us")


def size_bytes(value: object) -> int:
    """Read a size such as ``"64KiB"``; returns whole bytes. Raises `InputError`."""
    number = _quantity(value, "size", SIZE_UNITS, "64KiB")
    if number != int(number):
        raise InputError("a size is a whole number of bytes", got=value)
    return int(number)


def bits_per_second(value: object) -> float:
    """Read a data rate such as ``"10Gbit/s"``; returns bits per second. Raises `InputError`."""
    return _quantity(value, "data rate", RATE_UNITS, "10Gbit/s")


def per_second(value: object) -> float:
    """Read an event rate such as ``"50/s"``; returns events per second. Raises `InputError`."""
    return _quantity(value, "rate", FREQUENCY_UNITS, "50/s")


def format_seconds(value_s: float) -> str:
    """Write a duration for people: three significant digits and a fitting unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value_s) >= factor:
            return f"{value_s / factor:.3g} {unit}"
    return f"{value_s / 1e-9:.3g} ns"


def format_bps(value_bps: float) -> str:
    """Write a data rate for people."""
    for unit, factor in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if abs(value_bps) >= factor:
            return f"{value_bps / factor:.3g} {unit}"
    return f"{value_bps:.3g} bit/s"
