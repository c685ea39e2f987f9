"""Where a scenario's values were written, so that a mistake found anywhere later can be shown in the user's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from netsim.errors import InputError, Place

Path = tuple[str | int, ...]
_KEY_FORM = "dotted names such as cluster.nodes or traffic[0].rate"


def dotted(path: Sequence[str | int]) -> str:
    """Write a path the way users write it: ``traffic[0].rate``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def split_key(key: str) -> Path:
    """Read a path the way users write it. Raises `InputError`."""
    parts: list[str | int] = []
    for piece in key.split("."):
        name, *indices = piece.replace("]", "").split("[")
        if not name or not all(index.isdecimal() for index in indices):
            raise InputError("not a key", got=key, allowed=_KEY_FORM)
        parts += [name, *(int(index) for index in indices)]
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a scenario comes from.

    Parameters
    ----------
    file: the file it was read from; empty when built in memory.
    lines: 1-based line of every value by its path.
    changed: dotted keys that were set afterwards (``--set``, a sweep): the file does not say these.
    """

    file: str = ""
    lines: Mapping[Path, int] = field(default_factory=dict)
    changed: tuple[str, ...] = ()

    def place(self, path: Sequence[str | int]) -> Place:
        """Return where a value stands; the line is that of the nearest value around it that was written."""
        path = tuple(path)
        if any(covers(key, path) for key in self.changed):
            return Place(field=dotted(path))
        found = (self.lines[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self.lines)
        return Place(self.file, next(found, None), dotted(path))

    def placed(self, error: InputError) -> InputError:
        """Return an error of a later layer with file and line, when it is about a key of this scenario."""
        known = error.place
        if not known.field or known.line is not None or known.file not in ("", self.file):
            return error
        try:
            path = split_key(known.field)
        except InputError:
            return error
        if (path[0],) not in self.lines and not any(covers(key, path) for key in self.changed):
            return error
        return InputError(error.message, place=self.place(path), got=error.got, allowed=error.allowed)

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Place whatever `InputError` the block raises."""
        try:
            yield
        except InputError as error:
            raise self.placed(error) from error


def covers(key: str, field: str | Path) -> bool:
    """Tell whether setting ``key`` sets the value at ``field``; a key without an index means every entry."""
    names, own = ([part for part in _path(each) if isinstance(part, str)] for each in (field, key))
    return names[: len(own)] == own


def _path(field: str | Path) -> Path:
    return split_key(field) if isinstance(field, str) else field
