"""Typed access to the fields of an API object, with the place of whatever is wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar, cast

from netsim.errors import InputError, Place

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d{1,3})?")
_SCALES = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{suffix + "i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}  # fmt: skip
Choice = TypeVar("Choice", bound=str)


def shown(value: object) -> str:
    """Return a value as an error message shows it: short, on one line."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping of an API object and the dotted path that leads to it. ``null`` counts as absent, as in the API."""

    value: Mapping[str, object]
    path: str = ""

    def at(self, name: str) -> str:
        """Return the full path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, message: str, allowed: str | None = None, got: object = ...) -> InputError:
        """Build the error about one field."""
        value = self.value.get(name) if got is ... else got
        return InputError(message, place=Place(field=self.at(name)), got=shown(value), allowed=allowed)

    def has(self, name: str) -> bool:
        """Tell whether a field is present and not null."""
        return self.value.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """Return a text field."""
        value = self.value.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "not text", "text (quote numbers and booleans)")
        return value

    def choice(self, name: str, allowed: tuple[Choice, ...], default: Choice) -> Choice:
        """Return a text field that has a fixed set of values."""
        value = self.text(name) or default
        if value not in allowed:
            raise self.wrong(name, "not a known value", ", ".join(allowed))
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean field."""
        value = self.value.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "not a boolean", "true or false")
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """Return a whole number within bounds, ``None`` when absent."""
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, "not a number in range", f"{low} to {high}")
        return value

    def port(self, name: str) -> int | None:
        """Return a port number, ``None`` when absent or 0."""
        return self.integer(name, 0, 65535) or None

    def child(self, name: str) -> Fields:
        """Return a nested mapping, empty when absent."""
        value = self.value.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict | Mapping):  # dict first: asking an abstract class is slow
            raise self.wrong(name, "not a mapping", "a mapping of fields")
        return Fields(value, self.at(name))

    def items(self, name: str) -> list[object]:
        """Return a list field, empty when absent."""
        value = self.value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "not a list", "a list")
        return value

    def children(self, name: str) -> Iterator[Fields]:
        """Yield the mappings of a list field."""
        for index, value in enumerate(self.items(name)):
            path = f"{self.at(name)}[{index}]"
            if not isinstance(value, Mapping):
                raise InputError("not a mapping", place=Place(field=path), got=shown(value), allowed="a mapping")
            yield Fields(value, path)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self.items(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.wrong(f"{name}[{index}]", "not text", "text (quote numbers and booleans)", got=value)
        return tuple(cast(list[str], values))

    def labels(self, name: str) -> dict[str, str]:
        """Return a mapping of text to text (labels, annotations, selectors)."""
        found = self.child(name).value
        for key, value in found.items():
            if not isinstance(value, str):
                raise self.wrong(f"{name}[{key}]", "not text", "text (quote numbers and booleans)", got=value)
        return cast(dict[str, str], dict(found))

    def name(self, name: str = "name") -> str:
        """Return an object's name: required, lower case letters, digits, ``-`` and ``.`` (RFC 1123)."""
        value = self.text(name)
        allowed = "lower case letters, digits, '-' and '.', at most 253 characters"
        if not value:
            raise self.wrong(name, "a name is missing", allowed, got="")
        if len(value) > 253 or not _NAME.fullmatch(value):
            raise self.wrong(name, "not a name of an object", allowed)
        return value

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return a list of IP addresses in canonical text form."""
        return tuple(self.ip(f"{name}[{index}]", value) for index, value in enumerate(self.texts(name)) if value)

    def ip(self, name: str, value: str) -> str:
        """Return an address in canonical text form."""
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise self.wrong(name, "not an IP address", "an IPv4 or IPv6 address", got=value) from None

    def networks(self, name: str) -> tuple[str, ...]:
        """Return a list of CIDR ranges in canonical text form."""
        return tuple(self.network(f"{name}[{index}]", value) for index, value in enumerate(self.texts(name)))

    def network(self, name: str, value: str) -> str:
        """Return a range in canonical text form; host bits are cleared."""
        try:
            return str(ipaddress.ip_network(value, strict=False))
        except ValueError:
            raise self.wrong(name, "not a range of addresses", "a CIDR such as 10.244.0.0/24", got=value) from None

    def quantity(self, name: str) -> Decimal | None:
        """Return a resource quantity (``250m``, ``1Gi``) in its base unit, ``None`` when absent."""
        value = self.value.get(name)
        if value is None:
            return None
        match = None if isinstance(value, bool) else _QUANTITY.fullmatch(str(value))
        if match is None:
            raise self.wrong(name, "not a quantity", "a number with a suffix such as 250m, 2, 128Mi")
        number, suffix = match.group(1), match.group(2) or ""
        if suffix in _SCALES:
            return Decimal(number) * _SCALES[suffix]
        return Decimal(number + suffix)
