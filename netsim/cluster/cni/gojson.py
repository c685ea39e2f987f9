"""JSON as Go's ``encoding/json`` reads it: the rules that decide whether a real component accepts a configuration.

CNI plugins are Go programs, and their verdict on a file follows from three habits of that library: a member name
matches a field without regard to case (the last one in the text wins), ``null`` leaves the default, and a value of
another type is an error that names the Go type. Source: Go documentation, package encoding/json, ``Unmarshal``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from netsim.errors import InputError, Place

_AFTER = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after array element or object key:value pair",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
INT64 = 2**63
UINT64 = 2**64


class _NotJsonError(ValueError):
    """A literal Python accepts and JSON does not."""


def _repaired(value: Any) -> Any:
    """Replace half surrogate pairs, which Go's strings cannot hold, by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {_repaired(key): _repaired(item) for key, item in value.items()}
    return value


def _refuse_constant(literal: str) -> NoReturn:
    raise _NotJsonError(literal)


def _reason(error: json.JSONDecodeError) -> tuple[str, int]:
    """Return Go's sentence for a syntax error and the line of the offending character."""
    text, at = error.doc, error.pos
    if error.msg.startswith("Illegal trailing comma"):  # CPython >= 3.13 points at the comma, Go at what follows
        at += 1
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    line = text.count("\n", 0, at) + 1
    if at >= len(text) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input", line
    context = next((words for start, words in _AFTER.items() if error.msg.startswith(start)), None)
    return f"invalid character {text[at]!r} {context or 'looking for beginning of value'}", line


def parse(text: str, prefix: str, file: str = "") -> Any:
    """Read a JSON text.

    Parameters
    ----------
    text: the document.
    prefix: what the component writes before the reason (``error parsing configuration list``).
    file: name for the error's place.

    Raises
    ------
    InputError: not JSON, with Go's reason and the line of the first offending character.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        return _repaired(value) if _SURROGATE.search(text) else value
    except json.JSONDecodeError as error:
        reason, line = _reason(error)
        raise InputError(f"{prefix}: {reason}", place=Place(file, line)) from error
    except _NotJsonError as error:
        literal = str(error)
        line = text[: max(text.find(literal), 0)].count("\n") + 1
        reason = f"invalid character {literal[0]!r} looking for beginning of value"
        raise InputError(f"{prefix}: {reason}", place=Place(file, line)) from error
    except RecursionError as error:
        raise InputError(f"{prefix}: exceeded max depth", place=Place(file)) from error
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"{prefix}: {error}", place=Place(file)) from error


def kind(value: object) -> str:
    """Return Go's word for the JSON type of a value in "cannot unmarshal ... into"."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"


def go_type(value: object) -> str:
    """Return the Go type that ``%T`` prints for a decoded value."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "float64"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object read field by field, the way Go fills a struct.

    ``struct`` is the Go type's name (it is part of the message), ``where`` the dotted place of the object.
    """

    values: Mapping[str, Any]
    struct: str
    where: str = ""
    _by_name: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        folded = {key.lower(): value for key, value in self.values.items()}
        object.__setattr__(self, "_by_name", folded)

    def has(self, name: str) -> bool:
        """Tell whether the member is present and not null."""
        return self._by_name.get(name.lower()) is not None

    def raw(self, name: str) -> Any:
        """Return the value as decoded, ``None`` when absent or null."""
        return self._by_name.get(name.lower())

    def place(self, name: str) -> Place:
        """Return the place of a member."""
        return Place(field=f"{self.where}.{name}" if self.where else name)

    def refuse(self, name: str, value: object, wanted: str) -> InputError:
        """Return the error for a value of the wrong type."""
        whole = wanted in {"int", "uint64"} and kind(value) == "number"
        literal = f"number {value}" if whole else kind(value)
        return InputError(
            f"json: cannot unmarshal {literal} into Go struct field {self.struct}.{name} of type {wanted}",
            place=self.place(name),
        )

    def string(self, name: str, default: str = "") -> str:
        """Return a string member."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.refuse(name, value, "string")
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        """Return a bool member."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.refuse(name, value, "bool")
        return value

    def integer(self, name: str, default: int = 0, *, unsigned: bool = False) -> int:
        """Return an ``int`` or ``uint64`` member; fractions, exponents and overflow are refused as Go does."""
        value = self.raw(name)
        if value is None:
            return default
        low, high, wanted = (0, UINT64, "uint64") if unsigned else (-INT64, INT64, "int")
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
            raise self.refuse(name, value, wanted)
        return value

    def array(self, name: str, wanted: str = "[]interface {}") -> tuple[Any, ...]:
        """Return the items of an array member, empty when absent."""
        value = self.raw(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.refuse(name, value, wanted)
        return tuple(value)

    def strings(self, name: str) -> tuple[str, ...]:
        """Return an array of strings."""
        items = self.array(name, "[]string")
        for item in items:
            if item is not None and not isinstance(item, str):
                raise self.refuse(name, item, "string")
        return tuple(item or "" for item in items)

    def flags(self, name: str) -> Mapping[str, bool]:
        """Return an object of booleans (``capabilities``)."""
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.refuse(name, value, "map[string]bool")
        for item in value.values():
            if item is not None and not isinstance(item, bool):
                raise self.refuse(name, item, "bool")
        return {key: bool(item) for key, item in value.items()}

    def child(self, name: str, struct: str) -> Members | None:
        """Return a nested object, ``None`` when absent."""
        value = self.raw(name)
        if value is None:
            return None
        return self.nested(name, value, struct)

    def objects(self, name: str, struct: str) -> tuple[Members, ...]:
        """Return an array of nested objects; null items count as empty ones."""
        items = self.array(name, f"[]{struct}")
        return tuple(self.nested(f"{name}[{index}]", item or {}, struct) for index, item in enumerate(items))

    def nested(self, name: str, value: object, struct: str) -> Members:
        """Return one value as a nested object."""
        if not isinstance(value, dict):
            raise self.refuse(name, value, struct)
        return Members(value, struct, f"{self.where}.{name}" if self.where else name)
