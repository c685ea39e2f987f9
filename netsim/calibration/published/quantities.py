"""Published values with their units, as plain SI numbers and back.

Units name what is counted besides how much (``transactions/s``, ``Mpps``, ``% of 32 threads per 100 Gbit/s``), so they
are read by parts: a factor, and for CPU shares the number of processors and the work they are stated for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from netsim.errors import InputError

Dimension = Literal["rate", "bit_rate", "time", "cpu", "cores", "share", "bytes", "count"]
"""Events a second, bits a second, seconds, CPU seconds per unit of work, busy processors, fraction, bytes, number."""

_PREFIX = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_TIME = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3, "s": 1.0, "sec": 1.0,
         "min": 60.0, "h": 3600.0}  # fmt: skip
_SIZE = {"B": 1.0, "KB": 1e3, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2.0**10, "MiB": 2.0**20,
         "GiB": 2.0**30}  # fmt: skip
_PLAIN: tuple[tuple[Dimension, dict[str, float]], ...] = (
    ("time", _TIME), ("bytes", _SIZE), ("share", {"ratio": 1.0, "fraction": 1.0}),
)  # fmt: skip
_BITS = re.compile(r"([kKMGT]?)(?:bits?/s(?:ec)?|bps|b/s)(?:/core)?")
_BYTES_PER_S = re.compile(r"([kKMGT]?)(?:B/s|Bytes/s)")
_EVENTS = re.compile(
    r"([kKMG]?)\s*(?:transactions?|trans|tps|req(?:uests?)?|conn(?:ections?)?|packets?|pps|quer(?:y|ies)|lookups?|msgs?|"
    r"messages?|ops|rps|qps|calls|ports|datagrams?)(?:/(s|sec|second|min))?(?:/core)?"
)
_CPU_OF = re.compile(r"% of (\d+) (?:threads?|cores?|cpus?)(?: per (.+))?")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A published value. ``si`` is the value in the dimension's own unit, ``factor`` the unit in that one."""

    value: float
    unit: str
    dimension: Dimension
    factor: float

    @property
    def si(self) -> float:
        """The value in seconds, bytes, events or bits a second, CPU seconds per unit, or as a fraction."""
        return self.value * self.factor

    def shown(self, si: float) -> float:
        """Return an SI value in the publication's unit."""
        return si / self.factor


def quantity(value: float, unit: str) -> Quantity:
    """Read a value with its unit.

    Raises
    ------
    InputError
        When the unit is not known.
    """
    text = " ".join(unit.split())
    dimension, factor = _read(text)
    return Quantity(value, text, dimension, factor)


def _read(text: str) -> tuple[Dimension, float]:
    if match := _CPU_OF.match(text):
        return _cpu(int(match[1]), match[2])
    if match := re.fullmatch(r"core-?%\s*/\s*\(?(.+?)\)?(?: (?:receiver|sender|server|client))?", text):
        return "cpu", 0.01 / _work(match[1])
    if match := re.fullmatch(r"cores?\s*/\s*\(?(.+?)\)?", text):
        return "cpu", 1.0 / _work(match[1])
    if match := re.fullmatch(r"(ns|us|µs|ms|s) (?:of )?cpu(?: per \w+)?", text, re.IGNORECASE):
        return "cpu", _TIME[match[1]]
    if match := re.fullmatch(r"(core-?%|%-?core|(?:busy )?v?(?:cores?|cpus?))", text, re.IGNORECASE):
        return "cores", 0.01 if "%" in match[1] else 1.0
    if text.startswith("%"):
        return "share", 0.01
    for dimension, known in _PLAIN:
        if text in known:
            return dimension, known[text]
    if match := _BITS.fullmatch(text):
        return "bit_rate", _PREFIX[match[1]]
    if match := _BYTES_PER_S.fullmatch(text):
        return "bit_rate", 8 * _PREFIX[match[1]]
    if match := _EVENTS.fullmatch(text):
        return ("rate" if match[2] or text.endswith(("ps", "ops")) else "count"), _PREFIX[match[1]] / (
            60.0 if match[2] == "min" else 1.0
        )
    if re.fullmatch(r"[A-Za-z_]*(?: [a-z]+)*", text):
        return "count", 1.0
    raise InputError(
        "unit not known", got=text,
        allowed="time (us), bit rate (Gbit/s), events a second (transactions/s, Mpps), size (MB), %, "
        "% of N threads per 100 Gbit/s, or the name of what is counted",
    )  # fmt: skip


def _cpu(threads: int, work: str | None) -> tuple[Dimension, float]:
    if work is None:
        return "share", 0.01
    return "cpu", threads * 0.01 / _work(work)


def _work(text: str) -> float:
    """Return the SI rate of a work unit: ``100 Gbit/s`` is 1e11, ``50k req/s`` 5e4, ``Gbit/s`` 1e9."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)?\s*([kKMGT]?)\s*(bits?/s|bps|\S+/s)", text.strip())
    if match is None:
        raise InputError("work unit not known", got=text, allowed="for example 100 Gbit/s or 50k req/s")
    return float(match[1] or 1) * _PREFIX[match[2]]
