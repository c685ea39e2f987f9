"""Tokens of a Caddyfile and the cursor over them, as the Caddy library that CoreDNS uses has both.

The rules are those of ``caddyfile/lexer.go`` and ``caddyfile/dispenser.go`` (coredns/caddy): white space separates, a
double quote opens a quoted token only at its start, ``#`` opens a comment anywhere outside quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netsim.errors import InputError, Place

_SPACE = frozenset(" \t\n\v\f\r\x85\xa0")


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a Corefile; ``line`` is where it starts, 1-based."""

    text: str
    line: int
    file: str

    @property
    def last_line(self) -> int:
        """Line on which the token ends (quoted tokens may hold line breaks)."""
        return self.line + self.text.count("\n")


def tokenize(text: str, file: str) -> list[Token]:
    """Split a Corefile into tokens.

    Parameters
    ----------
    text: contents of the file; a leading byte order mark is skipped.
    file: name that errors show.
    """
    return list(_scan(text.removeprefix("\ufeff"), file))


def _scan(text: str, file: str) -> Iterator[Token]:
    at, line, end = 0, 1, len(text)
    while at < end:
        char = text[at]
        if char == "#":
            at = _skip_comment(text, at)
        elif char in _SPACE:
            line += char == "\n"
            at += 1
        elif char == '"':
            word, at = _quoted(text, at + 1)
            if word is not None:
                yield Token(word, line, file)
                line += word.count("\n")
        else:
            word, at = _plain(text, at)
            yield Token(word, line, file)


def _skip_comment(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline


def _plain(text: str, at: int) -> tuple[str, int]:
    found: list[str] = []
    while at < len(text):
        char = text[at]
        if char == "#":
            at = _skip_comment(text, at)
            continue
        if char in _SPACE and char != "\r":
            break
        if char != "\r":
            found.append(char)
        at += 1
    return "".join(found), at


def _quoted(text: str, at: int) -> tuple[str | None, int]:
    """Return the quoted word and the position behind it; an empty word that the file's end cuts off is no token."""
    found: list[str] = []
    while at < len(text):
        char = text[at]
        if char == '"':
            return "".join(found), at + 1
        if char == "\\" and at + 1 < len(text):
            following = text[at + 1]
            found.append(following if following == '"' else f"\\{following}")
            at += 2
            continue
        found.append(char)
        at += 1
    return ("".join(found) or None), at


class Cursor:
    """A position in a token list with the movements that plugin set-up functions use."""

    def __init__(self, tokens: Sequence[Token], file: str) -> None:
        self.tokens = list(tokens)
        self.file = file
        self.at = -1
        self._nesting = 0

    # ---------------------------------------------------------------- movement

    @property
    def value(self) -> str:
        """Text under the cursor, empty before the first and behind the last token."""
        return self.tokens[self.at].text if 0 <= self.at < len(self.tokens) else ""

    def advance(self) -> bool:
        """Go to the next token on any line; false at the end."""
        if self.at >= len(self.tokens) - 1:
            return False
        self.at += 1
        return True

    def argument(self) -> bool:
        """Go to the next token if it stands on the same line."""
        if self.at < 0:
            return self.advance()
        if self.at >= len(self.tokens) - 1 or self._breaks_before(self.at + 1):
            return False
        self.at += 1
        return True

    def arguments(self) -> list[str]:
        """Take the rest of the line up to an opening brace."""
        found = []
        while self.argument():
            if self.value == "{":
                self.at -= 1
                break
            found.append(self.value)
        return found

    def block(self) -> bool:
        """Go to the next property of the block that opens on this line; false at its end or where there is none."""
        if self._nesting:
            advanced = self.advance()
            if self.value == "}":  # also where a property took the brace for an argument, as Caddy has it
                self._nesting -= 1
                return False
            if not advanced:
                raise self.error("Unexpected EOF")
            return True
        if not self.argument():
            return False
        if self.value != "{":
            self.at -= 1
            return False
        self.advance()
        if self.value == "}":
            return False
        self._nesting += 1
        return True

    def starts_line(self) -> bool:
        """Whether the token under the cursor is the first of its line."""
        if self.at < 1:
            return True
        return self.at < len(self.tokens) and self._breaks_before(self.at)

    def _breaks_before(self, index: int) -> bool:
        before, here = self.tokens[index - 1], self.tokens[index]
        return before.file != here.file or before.last_line < here.line

    # ---------------------------------------------------------------- errors

    @property
    def place(self) -> Place:
        """Where the cursor stands."""
        if not self.tokens:
            return Place(self.file)
        token = self.tokens[min(max(self.at, 0), len(self.tokens) - 1)]
        return Place(token.file, token.line)

    def error(self, reason: str) -> InputError:
        """Return an error at this line, worded as Caddy does."""
        return InputError(f"Error during parsing: {reason}", place=self.place)

    def argument_error(self) -> InputError:
        """Return the error for a wrong number of arguments."""
        return self.error(f"Wrong argument count or unexpected line ending after '{self.value}'")

    def syntax_error(self, expected: str) -> InputError:
        """Return the error for a token that cannot stand here."""
        return InputError(f"Syntax error: Unexpected token '{self.value}', expecting '{expected}'", place=self.place)

    def unknown_property(self) -> InputError:
        """Return the error for a property that the plugin does not have."""
        return self.error(f"unknown property '{self.value}'")
