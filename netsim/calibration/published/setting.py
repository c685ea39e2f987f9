"""The configuration of a published row: ``key=value`` pairs, and what of them the model understood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netsim.errors import InputError, Place

_NUMBER = re.compile(
    r"(?P<digits>[+-]?\d+(?:,\d{3}(?!\d))*(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"(?:\s*(?P<scale>[kKMG]|ms\b)(?=i?[bB]?(?![a-zA-Z])|i?[bB]ytes?))?"
)
_SCALES = {"k": 1, "m": 2, "g": 3}
_WORDS = {"one": 1.0, "few": 1.0, "none": 0.0, "off": 0.0, "on": 1.0}

SUBJECT_KEYS = frozenset(
    {"cni", "encapsulation", "path", "proxy", "policy", "policies", "policy_rules", "device", "machine", "rule_walks",
     "rules", "ruleset", "filter"}
)
"""Keys that say what is measured; the others say how. A baseline row fits a target that is measured in the same way."""


FLOWS = ("streams", "processes", "connections", "parallel", "parallelism", "flows")
"""Keys that say how many flows there are at once."""


@dataclass(frozen=True)
class Setting:
    """The keys of one row with the case's defaults filled in; what nobody asks for is named at the end."""

    values: Mapping[str, str]
    used: set[str] = field(default_factory=set, compare=False)

    @classmethod
    def read(cls, text: str, defaults: Mapping[str, str] | None = None) -> Setting:
        """Read ``key=value;key=value``. A semicolon within a value is not possible.

        Raises
        ------
        InputError
            When a part has no ``=``, or a key is given twice.
        """
        values: dict[str, str] = {}
        for part in filter(None, (piece.strip() for piece in text.split(";"))):
            key, equals, value = part.partition("=")
            key = key.strip().lower()
            if not equals or not key:
                raise InputError("not key=value", place=Place(field="configuration"), got=part)
            if key in values:
                raise InputError("the key is given twice", place=Place(field="configuration"), got=key)
            values[key] = value.strip()
        return cls({**(defaults or {}), **values})

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str, default: str = "") -> str:
        """Return a value as written."""
        self.used.add(key)
        return self.values.get(key, default)

    def number(self, key: str, default: float = 0.0) -> float:
        """Return the number a value starts with, ``default`` where the key is missing; ``few`` counts as one.

        ``10,000`` and ``10k`` are ten thousand, ``64KB`` of a key of bytes 65,536, ``500ms`` of one of seconds 0.5.

        Raises
        ------
        InputError
            When the value holds no number.
        """
        text = self.text(key)
        if not text:
            return default
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        match = _NUMBER.match(text)
        if match is None:
            raise InputError("not a number", place=Place(field=f"configuration.{key}"), got=text)
        number, scale = float(match["digits"].replace(",", "")), (match["scale"] or "").lower()
        if scale == "ms":
            return number * (1e-3 if key.endswith("_s") else 1.0)
        return number * float((1024 if key.endswith("bytes") else 1000) ** _SCALES.get(scale, 0))

    def positive(self, key: str, default: float = 1.0) -> float:
        """Return a number that something is divided by. Raises `InputError` when it is not above 0."""
        value = self.number(key, default)
        if value <= 0:
            raise InputError("must be above 0", place=Place(field=f"configuration.{key}"), got=self.text(key))
        return value

    def count(self, key: str, default: int = 1) -> int:
        """Return a whole number."""
        return round(self.number(key, default))

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """The pairs in order, as a key of mappings."""
        return tuple(sorted(self.values.items()))

    @property
    def streams(self) -> int:
        """Flows at once, by the first of `FLOWS` that is stated."""
        return next((self.count(key) for key in FLOWS if key in self), 1)

    @property
    def unused(self) -> tuple[str, ...]:
        """Keys nobody asked for."""
        return tuple(sorted(set(self.values) - self.used))

    def likeness(self, other: Setting, whatever: str = "") -> int:
        """Return how many keys of *how* two rows share; -1 where they differ in flows, side or test.

        ``whatever`` is a key in which they may differ.
        """
        if self.streams != other.streams:
            return -1
        mine, theirs = self._how(), other._how()
        for key in ("side", "test", "percentile", "keepalive"):
            if key != whatever and mine.get(key) != theirs.get(key):
                return -1
        return sum(mine[key] == theirs[key] for key in mine.keys() & theirs.keys())

    def _how(self) -> dict[str, str]:
        return {key: value for key, value in self.values.items() if key not in SUBJECT_KEYS}

    def without(self, *keys: str) -> Setting:
        """Return the setting without some keys; what is asked of it counts for this one too."""
        return replace(self, values={key: value for key, value in self.values.items() if key not in keys})

    def but(self, **changes: str) -> Setting:
        """Return the setting with some values changed; what is asked of it counts for this one too."""
        return replace(self, values={**self.values, **changes})


def alone(setting: Setting) -> Setting:
    """Return the setting of one flow."""
    return setting.but(**{key: "1" for key in FLOWS if key in setting})
