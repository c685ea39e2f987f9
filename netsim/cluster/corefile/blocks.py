"""Server blocks of a Corefile: snippets, imports, environment variables and braces.

Follows ``caddyfile/parse.go`` (coredns/caddy). Files to import come as a mapping from path to text,
because they live in the DNS pod (a ConfigMap mounted beside the Corefile) and not on the machine that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from posixpath import dirname, join, normpath

from netsim.cluster.corefile.tokens import Cursor, Token, tokenize
from netsim.errors import InputError, Place

EXPANSIONS = 1000
"""How many snippets and as many files may be expanded in one Corefile, a guard against cycles (caddy's own limit)."""


@dataclass(slots=True)
class Block:
    """The keys of one server block and the tokens of each directive in it."""

    keys: list[str] = field(default_factory=list)
    directives: dict[str, list[Token]] = field(default_factory=dict)
    place: Place = field(default_factory=Place)


def read_blocks(
    text: str, file: str, known: Set[str], files: Mapping[str, str], env: Mapping[str, str]
) -> tuple[list[Block], list[str]]:
    """Group the tokens of a Corefile by server block and directive.

    Parameters
    ----------
    text, file: contents and name of the Corefile.
    known: names that are accepted as directives.
    files: texts that ``import`` may find, by path relative to the Corefile.
    env: environment of the server, for ``{$NAME}`` and ``{%NAME%}``.

    Returns
    -------
    The blocks in order, and warnings (globs that matched nothing).
    """
    reader = _Reader(tokenize(text, file), file, known, files, env)
    blocks = []
    while reader.advance():
        block = reader.server_block()
        if block.keys:
            blocks.append(block)
    return blocks, reader.warnings


def substitute(text: str, env: Mapping[str, str]) -> str:
    """Replace ``{%NAME%}`` and ``{$NAME}`` by environment values; unset names become empty, as with Go's Getenv."""
    for start, end in (("{%", "%}"), ("{$", "}")):
        text = _substitute(text, start, end, env)
    return text


def _substitute(text: str, start: str, end: str, env: Mapping[str, str]) -> str:
    index = text.find(start)
    while index >= 0:
        close = text.find(end, index)
        if close <= index + len(start):
            return text
        name = text[index + len(start) : close]
        replaced = text.replace(start + name + end, env.get(name, ""))
        if replaced == text:
            return text
        text, index = replaced, replaced.find(start)
    return text


class _Reader(Cursor):
    def __init__(
        self, tokens: list[Token], file: str, known: Set[str], files: Mapping[str, str], env: Mapping[str, str]
    ) -> None:
        super().__init__(tokens, file)
        self._known, self._env = known, env
        self._files = {normpath(path): text for path, text in files.items()}
        self._snippets: dict[str, list[Token]] = {}
        self._expansions = {"snippet": 0, "file": 0}
        self.warnings: list[str] = []

    def server_block(self) -> Block:
        block = Block(place=self.place)
        at_end = self._keys(block)
        if at_end:
            return block
        block.place = self.place if not block.keys else block.place
        if len(block.keys) == 1 and block.keys[0].startswith("(") and block.keys[0].endswith(")"):
            self._define(block.keys[0][1:].removesuffix(")"))
            return Block()
        self._contents(block)
        return block

    def _keys(self, block: Block) -> bool:
        """Read the addresses in front of a block; return whether the file ends with them."""
        expecting = False
        while True:
            word = substitute(self.value, self._env)
            if word == "import" and self.starts_line():
                self._import()
                if not self.advance():
                    return True
                continue
            if word == "{":
                if expecting:
                    raise self.error(f"Expected another address but had '{word}' - check for extra comma")
                return False
            if word:
                expecting = word.endswith(",")
                block.keys.append(word.removesuffix(","))
            if not self.advance():
                if expecting:
                    raise self.error("Unexpected EOF")
                return True
            if not expecting and self.starts_line():
                return False

    def _define(self, name: str) -> None:
        if name in self._snippets:
            raise self.error(f"redeclaration of previously declared snippet {name}")
        if self.value != "{":
            raise self.syntax_error("{")
        depth, found = 1, []
        while self.advance():
            depth += (self.value == "{") - (self.value == "}")
            if depth == 0:
                break
            found.append(self.tokens[self.at])
        if depth:
            raise self.syntax_error("}")
        self._snippets[name] = found

    def _contents(self, block: Block) -> None:
        braced = self.value == "{"
        if not braced:
            self.at -= 1  # a file with one server block needs no braces
        while self.advance():
            if self.value == "}":
                break
            if self.value == "import":
                self._import()
            else:
                self._directive(block)
        if braced and self.value != "}":
            raise self.syntax_error("}")

    def _directive(self, block: Block) -> None:
        name = substitute(self.value, self._env)
        if name not in self._known:
            raise self.error(f"Unknown directive '{name}'")
        tokens = block.directives.setdefault(name, [])
        tokens.append(self.tokens[self.at])
        depth = 0
        while self.advance():
            word = self.value
            if word == "{":
                depth += 1
            elif depth == 0 and self.starts_line():
                self.at -= 1
                break
            elif word == "}":
                if depth == 0:
                    raise self.error("Unexpected '}' because no matching opening brace")
                depth -= 1
            elif word == "import" and self.starts_line():
                self._import()
                continue
            token = self.tokens[self.at]
            tokens.append(Token(substitute(word, self._env), token.line, token.file))
        if depth:
            raise self.error("Unexpected EOF")

    # ---------------------------------------------------------------- imports

    def _import(self) -> None:
        """Put the imported tokens in place of ``import NAME``, the cursor on the token before them."""
        if not self.argument():
            raise self.argument_error()
        pattern = substitute(self.value, self._env)
        if not pattern:
            raise self.error("Import requires a non-empty filepath")
        if self.argument():
            raise self.error("Import takes only one argument (glob pattern or file)")
        imported = self._imported(pattern)
        self.tokens[self.at - 1 : self.at + 1] = imported
        self.at -= 2

    def _imported(self, pattern: str) -> list[Token]:
        snippet = self._snippets.get(pattern)
        kind = "file" if snippet is None else "snippet"
        if self._expansions[kind] >= EXPANSIONS or len(self.tokens) > 100 * EXPANSIONS:
            raise self.error(f"maximum {kind} import depth ({EXPANSIONS}) exceeded")
        self._expansions[kind] += 1
        return list(self._from_files(pattern)) if snippet is None else snippet

    def _from_files(self, pattern: str) -> Iterator[Token]:
        path = normpath(join(dirname(self.tokens[self.at].file) if "/" in self.tokens[self.at].file else "", pattern))
        if path.count("*") > 1 or path.count("?") > 1 or ("[" in path and "]" in path):
            raise self.error(f"Glob pattern may only contain one wildcard (*), but has others: {path}")
        wild = any(mark in path for mark in "*?[]")
        names = self._matching(path) or self._matching(normpath(pattern))
        if not names and not wild:
            raise self.error(f"File to import not found: {pattern}")
        if not names:
            self.warnings.append(f"No files matching import glob pattern: {pattern}")
        for name in names:
            yield from tokenize(self._files[name], name)

    def _matching(self, pattern: str) -> list[str]:
        return sorted(n for n in self._files if n.count("/") == pattern.count("/") and fnmatchcase(n, pattern))


def refuse_empty(blocks: list[Block], file: str) -> None:
    """Raise where a Corefile has no server block at all."""
    if not blocks:
        raise InputError("the Corefile has no server block", place=Place(file))
