"""Typed access to an API object that came from JSON or YAML, with the place of every value.

The rules are those of the API server's decoder: ``null`` is the same as absent, a ``null`` in a list is an empty
object, text is never made from numbers, unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from netsim.errors import InputError, Place


@dataclass(frozen=True, slots=True)
class Field:
    """A value of the object and where it stands."""

    value: object
    place: Place

    @property
    def present(self) -> bool:
        """False for an absent field and for ``null``."""
        return self.value is not None

    def fail(self, message: str, allowed: str | None = None) -> NoReturn:
        """Raise the error about this value."""
        raise InputError(message, place=self.place, got=self.value, allowed=allowed)

    def _step(self, suffix: str) -> Place:
        name = self.place.field
        joined = suffix if not name else f"{name}{suffix}" if suffix.startswith("[") else f"{name}.{suffix}"
        return replace(self.place, field=joined)

    def mapping(self) -> Mapping[object, object]:
        """Return the value as an object, ``{}`` when absent."""
        if self.value is None:
            return {}
        if not isinstance(self.value, Mapping):
            self.fail("not an object", "an object with fields")
        return self.value

    def child(self, name: str) -> Field:
        """Return a field of this object."""
        return Field(self.mapping().get(name), self._step(name))

    def items(self) -> Iterator[Field]:
        """Iterate over a list, empty when absent."""
        if self.value is None:
            return
        if not isinstance(self.value, list | tuple):
            self.fail("not a list", "a list")
        for index, value in enumerate(self.value):
            yield Field(value, self._step(f"[{index}]"))

    def text(self) -> str:
        """Return the value as text, empty when absent."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            self.fail("not text", "text; quote numbers, dates and words such as yes or true")
        return self.value

    def integer(self) -> int:
        """Return the value as a whole number, which must be present."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.fail("not a whole number", "a whole number")
        return self.value

    def entries(self) -> Iterator[tuple[str, Field]]:
        """Iterate over an object that maps names to values; YAML's non-text keys are named as kubectl names them."""
        for key, value in self.mapping().items():
            name = str(key).lower() if isinstance(key, bool) else str(key)
            yield name, Field(value, self._step(name))
