"""The one error a user can cause, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's input something was found.

    Parameters
    ----------
    file: path as the user wrote it, or ``""`` when the value did not come from a file.
    line: 1-based line number, or ``None`` when unknown.
    field: dotted name of the field (``spec.ports[0].port``, ``cluster.nodes``), or ``""``.
    """

    file: str = ""
    line: int | None = None
    field: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.line is not None:
            where = f"{where}:{self.line}" if where else f"line {self.line}"
        return ": ".join(part for part in (where, self.field) if part)


class InputError(Exception):
    """The input is wrong. Commands print the message once and exit with code 2.

    Parameters
    ----------
    message: what is wrong, one sentence without a final stop.
    place: where it was found.
    got: the offending value as the user wrote it.
    allowed: what would have been accepted.
    """

    def __init__(
        self, message: str, *, place: Place | None = None, got: object | None = None, allowed: str | None = None
    ) -> None:
        self.message, self.place, self.got, self.allowed = message, place or Place(), got, allowed
        super().__init__(str(self))

    def at(self, place: Place) -> InputError:
        """Return the same error, placed; a place that is already known is kept."""
        known = self.place
        merged = Place(known.file or place.file, known.line or place.line, known.field or place.field)
        return InputError(self.message, place=merged, got=self.got, allowed=self.allowed)

    def __str__(self) -> str:
        text = self.message
        if str(self.place):
            text = f"{self.place}: {text}"
        if self.got is not None:
            text += f"; got {self.got!r}" if isinstance(self.got, str) else f"; got {self.got}"
        if self.allowed is not None:
            text += f"; allowed: {self.allowed}"
        return text
