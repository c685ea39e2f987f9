"""What every plugin's set-up function gets: its tokens, and the zones of the server block it stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netsim.cluster.corefile.tokens import Cursor, Token
from netsim.cluster.corefile.values import RefusedError, duration, integer, zones_or
from netsim.errors import InputError


class Directive(Cursor):
    """All occurrences of one directive in one server block.

    ``while directive.advance()`` goes through the occurrences, ``while directive.block()`` through the properties
    of one.
    """

    def __init__(self, name: str, tokens: Sequence[Token], file: str, own_zones: Sequence[str]) -> None:
        super().__init__(tokens, file)
        self.name, self.own_zones = name, tuple(own_zones)

    def finish_once(self) -> None:
        """Refuse a second occurrence of a plugin that may occur once."""
        if self.advance():
            raise RefusedError("this plugin can only be used once per Server Block")

    def zones(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return the zones named, else those of the server block."""
        return zones_or(arguments, self.own_zones)

    def fall(self) -> tuple[str, ...]:
        """Take the zones of a ``fallthrough`` property; without any it is everything."""
        named = self.arguments()
        return tuple(zone for text in named for zone in zones_or([text], ())) if named else (".",)

    def one(self) -> str:
        """Take exactly one argument."""
        taken = self.arguments()
        if len(taken) != 1:
            raise self.argument_error()
        return taken[0]

    def some(self) -> list[str]:
        """Take at least one argument."""
        taken = self.arguments()
        if not taken:
            raise self.argument_error()
        return taken

    def following(self) -> str:
        """Take the next argument of the line."""
        if not self.argument():
            raise self.argument_error()
        return self.value

    def flag(self) -> bool:
        """Take a property that has no arguments."""
        if self.arguments():
            raise self.argument_error()
        return True

    def ttl(self) -> int:
        """Take a TTL in seconds as the kubernetes and k8s_external plugins bound it; further arguments are ignored."""
        seconds = integer(self.some()[0])
        if not 0 <= seconds <= 3600:
            raise self.error(f"ttl must be in range [0, 3600]: {seconds}")
        return seconds

    def seconds(self, what: str) -> float:
        """Take a duration that must not be negative."""
        text = self.following()
        value = duration(text)
        if value < 0:
            raise RefusedError(f"{what} can't be negative: {text}")
        return value

    def placed(self, reason: Exception) -> InputError:
        """Return the error with the plugin's name and this line."""
        message = reason.message if isinstance(reason, InputError) else str(reason)
        error = InputError(f"plugin/{self.name}: {message}", place=self.place)
        return InputError(error.message, place=reason.place) if isinstance(reason, InputError) else error


Properties = dict[str, Callable[[], object]]
"""What each property of a plugin's block does."""


def read_block(directive: Directive, properties: Properties) -> dict[str, object]:
    """Read a block of known properties; the result holds the last value of each one that occurs."""
    found: dict[str, object] = {}
    while directive.block():
        take = properties.get(directive.value)
        if take is None:
            raise directive.unknown_property()
        name = directive.value
        found[name] = take()
    return found
