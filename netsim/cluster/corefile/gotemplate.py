"""The part of Go's text/template that CoreDNS's ``template`` plugin is used with.

Text with actions: fields (``.Name``, ``.Group.a``), ``index``, ``parseInt``, ``print``, ``len`` and pipelines of them.
Unknown functions and unbalanced actions are refused as Go refuses them; control actions (``if``, ``range``) parse but
cannot be evaluated here, which shows as a failed query with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[-+]?\d+|\$?[A-Za-z_]\w*|(?:\.[A-Za-z_]\w*)+|\.|\||\(|\)|:=|=|,)')
_CONTROL = frozenset(("if", "range", "with", "define", "block"))
_BRANCH = frozenset(("else", "end", "break", "continue", "template"))
_FUNCTIONS = frozenset(
    (
        "parseInt", "and", "call", "html", "index", "slice", "js", "len", "not", "or", "print", "printf", "println",
        "urlquery", "eq", "ge", "gt", "le", "lt", "ne", "true", "false", "nil",
    )
)  # fmt: skip
Value = str | int | Sequence[str] | Mapping[str, str]


class TemplateError(ValueError):
    """A template that Go would refuse, or an action that cannot be evaluated."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literal strings and actions (tuples of words) in order."""

    source: str
    parts: tuple[str | tuple[str, ...], ...]

    def render(self, data: Mapping[str, Value]) -> str:
        """Return the text with every action replaced by its value.

        Raises
        ------
        TemplateError: for an action outside the supported part, or an index that does not exist.
        """
        return "".join(part if isinstance(part, str) else _text(_evaluate(part, data)) for part in self.parts)


def parse_template(source: str) -> Template:
    """Parse a template, refusing what Go refuses at this stage."""
    parts: list[str | tuple[str, ...]] = []
    at = depth = 0
    for found in _ACTION.finditer(source):
        parts.append(_literal(source[at : found.start()]))
        words = _words(found[2])
        depth += _check(words, depth)
        if words:
            parts.append(words)
        at = found.end()
    parts.append(_literal(source[at:]))
    if depth:
        raise TemplateError("unexpected EOF")
    return Template(source, tuple(part for part in parts if part))


def _literal(text: str) -> str:
    if "{{" in text:
        raise TemplateError("unclosed action")
    return text


def _words(action: str) -> tuple[str, ...]:
    if action.lstrip().startswith("/*"):
        return ()
    words, at = [], 0
    action = action.rstrip()
    while at < len(action):
        found = _WORD.match(action, at)
        if found is None:
            raise TemplateError(f"unexpected {action[at:]!r} in action")
        words.append(found[1])
        at = found.end()
    if not words:
        raise TemplateError("missing value for command")
    return tuple(words)


def _check(words: tuple[str, ...], depth: int) -> int:
    """Refuse unknown functions and a stray end; return the change of block depth."""
    if not words:
        return 0
    head, rest = words[0], words[1:]
    if head in _CONTROL:
        _check(rest, depth)
        return 1
    if head in _BRANCH:
        if depth == 0 and head != "template":
            raise TemplateError(f"unexpected {{{{{head}}}}}")
        return -1 if head == "end" else 0
    for word in words:
        if re.fullmatch(r"[A-Za-z_]\w*", word) and word not in _FUNCTIONS:
            raise TemplateError(f'function "{word}" not defined')
    if words.count("(") != words.count(")"):
        raise TemplateError("unclosed left paren")
    return 0


def _evaluate(words: tuple[str, ...], data: Mapping[str, Value]) -> Value:
    """Evaluate a pipeline of simple commands: the result of one is the last argument of the next."""
    stage: list[str] = []
    value: Value | None = None
    for word in (*words, "|"):
        if word != "|":
            stage.append(word)
            continue
        value = _command(stage, [] if value is None else [value], data)
        stage = []
    if value is None:
        raise TemplateError("missing value for command")
    return value


def _command(words: list[str], piped: list[Value], data: Mapping[str, Value]) -> Value:
    if not words:
        raise TemplateError("missing value for command")
    head, arguments = words[0], [*(_operand(word, data) for word in words[1:]), *piped]
    if head not in _FUNCTIONS:
        return _operand(head, data)
    if head == "index" and len(arguments) == 2:
        return _index(arguments[0], arguments[1])
    if head == "parseInt" and len(arguments) == 3:
        return _parse_int(str(arguments[0]), int(str(arguments[1])))
    if head == "print":
        return "".join(_text(argument) for argument in arguments)
    if head == "len" and len(arguments) == 1 and not isinstance(arguments[0], int):
        return len(arguments[0])
    raise TemplateError(f"template action {' '.join(words)!r} is not modelled")


def _operand(word: str, data: Mapping[str, Value]) -> Value:
    if word.startswith(('"', "`")):
        return word[1:-1]
    if re.fullmatch(r"[-+]?\d+", word):
        return int(word)
    if not word.startswith(".") or word == ".":
        raise TemplateError(f"template action {word!r} is not modelled")
    field, *path = word[1:].split(".")
    value = data.get(field)
    if value is None:
        raise TemplateError(f"can't evaluate field {field}")
    for key in path:
        if not isinstance(value, Mapping):
            raise TemplateError(f"can't evaluate field {key}")
        value = value.get(key, "<no value>")
    return value


def _index(container: Value, key: Value) -> str:
    if isinstance(container, Mapping):
        return container.get(str(key), "")
    if isinstance(container, str | int) or not isinstance(key, int) or not 0 <= key < len(container):
        raise TemplateError(f"error calling index: index out of range: {key}")
    return container[key]


def _parse_int(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise TemplateError(f"error calling parseInt: parsing {text!r}: invalid syntax") from None


def _text(value: Value) -> str:
    return value if isinstance(value, str) else str(value)
