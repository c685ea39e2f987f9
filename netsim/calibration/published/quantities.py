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

_PREFIX = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BINARY = {"ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40}
_SPELLED = (("thousand|kilo", "k"), ("million|mega", "m"), ("giga", "g"), (r"10\^3\s*", "k"), (r"10\^6\s*", "m"),
            (r"10\^9\s*", "g"))  # fmt: skip
_TIME = {"n": 1e-9, "nano": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "micro": 1e-6, "m": 1e-3, "milli": 1e-3, "": 1.0}
_SECONDS = r"(n|nano|u|µ|μ|micro|m|milli|)s(?:ec(?:ond)?s?)?"
_MINUTES = {"min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0}
_A_SECOND = r"(?: ?/ ?| per )s(?:ec(?:ond)?)?"
_SIZE = re.compile(r"([kmgt]i?)?(?:b|bytes?)|([kmgt]i)")
_BITS = re.compile(rf"([kmgt]i?)? ?(?:bits?|b)(?:{_A_SECOND}|ps)?(?:/core)?")
_BYTES_PER_S = re.compile(rf"([kmgt]i?)? ?(?:b|bytes?)(?:{_A_SECOND}|ps)")
_EVENT = (
    r"(?:transactions?|trans?|txns?|round[ -]?trips?|rr|req(?:uests?)?|conn(?:ection)?s?|packets?|pkts?|p|frames?|"
    r"quer(?:y|ies)|q|lookups?|msgs?|messages?|ops?|operations?|calls|ports|datagrams?|events?)"
)
_EVENTS = re.compile(rf"([kmg])? ?(?:{_EVENT}|1)?(?:{_A_SECOND}|( ?/ ?| per )min(?:ute)?)(?:/core)?")
_EVENTS_SHORT = re.compile(r"([kmg])?(?:tps|pps|rps|qps|cps|ops|hz)(?:/core)?")
_COUNTED = re.compile(rf"([kmg])? (?:{_EVENT})|(?:{_EVENT})")
_CPU_OF = re.compile(r"% of (\d+) (?:threads?|cores?|v?cpus?)(?: (?:per|/) ?(.+))?")
_CORE = r"(?:v?cpus?|cores?)"
_CORES = {
    rf"% ?(?:of (?:one|a|1) {_CORE}|cores?)|cores?[ -]?%": 0.01, rf"(?:busy )?{_CORE}": 1.0,
    rf"m(?:illi)?-?{_CORE}|m": 1e-3,
}  # fmt: skip
_WHOLE = re.compile(r"(?:%|percent)(?: cpu| of (?:the )?(?:(?:side|host|node|machine)'?s? )?(?:cpu|total|all))?|cpu %")
_CYCLES = re.compile(r"cycles(?:(?: ?/ ?| per )(?:packet|pkt|call))?")


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
    lower = text.lower()
    for words, letter in _SPELLED:
        lower = re.sub(rf"^(?:{words})[- ]?", letter, lower)
    for reading in (_processors, _plain, _rates):
        found = reading(text, lower)
        if found is not None:
            return found
    if re.fullmatch(r"[A-Za-z_]+(?: [a-z]+)*", text):
        return "count", 1.0
    raise InputError(
        "unit not known", got=text,
        allowed="time (us), bit rate (Gbit/s), events a second (transactions/s, Mpps), size (MB), %, cores, "
        "% of N threads per 100 Gbit/s, or the name of what is counted",
    )  # fmt: skip


def _processors(text: str, lower: str) -> tuple[Dimension, float] | None:
    """Read CPU time: of work, in processors, or as a share."""
    if match := _CPU_OF.fullmatch(lower):
        threads = int(match[1])
        return ("cpu", threads * 0.01 / _work(match[2])) if match[2] else ("share", 0.01)
    if match := re.fullmatch(rf"({_CORE}[ -]?%|% ?{_CORE}|{_CORE})(?: ?/ ?| per )\(?(.+?)\)?(?: \w+)?", lower):
        return "cpu", (0.01 if "%" in match[1] else 1.0) / _work(match[2])
    if match := re.fullmatch(rf"{_CORE}[ -]?{_SECONDS}(?: ?/ ?| per )(.+)", lower):
        return "cpu", _TIME[match[1]] / _amount(match[2])
    if match := re.fullmatch(rf"{_SECONDS} (?:of )?cpu(?:(?: ?/ ?| per )(.+))?", lower):
        return "cpu", _TIME[match[1]] / (_amount(match[2]) if match[2] else 1.0)
    if match := re.fullmatch(rf"{_SECONDS} ?/ ?(.+)", lower):
        return "cpu", _TIME[match[1]] / _amount(match[2])
    for pattern, factor in _CORES.items():
        if re.fullmatch(pattern, lower):
            return "cores", factor
    return ("share", 0.01) if _WHOLE.fullmatch(lower) else None


def _plain(text: str, lower: str) -> tuple[Dimension, float] | None:
    """Read times, sizes, fractions and cycles."""
    if lower in ("ratio", "fraction"):
        return "share", 1.0
    if match := re.fullmatch(_SECONDS, lower):
        return "time", _TIME[match[1]]
    if lower in _MINUTES:
        return "time", _MINUTES[lower]
    if (match := _SIZE.fullmatch(lower)) and not re.fullmatch(r"[kKMGT]b", text):
        return "bytes", _scale(match[1] or match[2] or "")
    return ("count", 1.0) if _CYCLES.fullmatch(lower) else None


def _rates(text: str, lower: str) -> tuple[Dimension, float] | None:
    """Read bits, bytes and events a second, and counts with a prefix; ``Gbit`` alone is a second's."""
    if (match := _BYTES_PER_S.fullmatch(lower)) and "B" in text:  # the only place where a capital letter decides
        return "bit_rate", 8 * _scale(match[1] or "")
    if match := _BITS.fullmatch(lower):
        return "bit_rate", _scale(match[1] or "")
    if match := _EVENTS.fullmatch(lower):
        return "rate", _scale(match[1] or "") / (60.0 if match[2] else 1.0)
    if match := _EVENTS_SHORT.fullmatch(lower):
        return "rate", _scale(match[1] or "")
    if match := _COUNTED.fullmatch(lower):
        return "count", _scale(match[1] or "")
    return None


def _scale(prefix: str) -> float:
    return _BINARY[prefix] if prefix in _BINARY else _PREFIX[prefix]


def _amount(text: str) -> float:
    """Return how many bits or events an amount of work is: 8,000 for ``kB``, 1 for ``transaction``."""
    match = re.fullmatch(r"([kmgt]i?)?(bits?|b|bytes?)", text)
    if match is None:
        if re.fullmatch(_EVENT, text):
            return 1.0
        raise InputError("amount of work not known", got=text, allowed="for example transaction, Gbit or KB")
    return _scale(match[1] or "") * (1.0 if match[2].startswith("bit") else 8.0)


def _work(text: str) -> float:
    """Return the SI rate of a work unit: ``100 Gbit/s`` is 1e11, ``50k req/s`` 5e4, ``Gbit/s`` 1e9."""
    match = re.fullmatch(rf"(\d+(?:\.\d+)?)? ?([kmgt])? ?(?:bits?{_A_SECOND}|bps|{_EVENT}{_A_SECOND})", text)
    if match is None:
        raise InputError("work unit not known", got=text, allowed="for example 100 Gbit/s or 50k req/s")
    return float(match[1] or 1) * _PREFIX[match[2] or ""]
