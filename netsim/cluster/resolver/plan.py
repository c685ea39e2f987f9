"""Which names a resolver tries, in order; pure and remembered, because pods ask the same names again and again."""

from __future__ import annotations

from functools import lru_cache

from netsim.cluster.names import absolute

MAX_TEXT = 254
"""Longest absolute name as text, final dot included."""


@lru_cache(maxsize=65536)
def glibc_plan(name: str, ndots: int, search: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Return the candidates and the index of the name as given (glibc resolv/res_query.c: __res_context_search).

    A name with at least ``ndots`` dots is tried as given first, else last; one with a final dot only as given. A search
    entry ``.`` is the name as given too and spares the last try.
    """
    as_given = absolute(name)
    if name.endswith("."):
        return (as_given,), 0
    paths = [path.removeprefix(".") for path in search]
    listed = [as_given if not path else absolute(f"{name}.{path}") for path in paths]
    if name.count(".") >= ndots:
        return (as_given, *(c for c in listed if len(c) <= MAX_TEXT)), 0
    if "" in paths:
        return tuple(listed), paths.index("")
    return (*(c for c in listed if len(c) <= MAX_TEXT), as_given), sum(len(c) <= MAX_TEXT for c in listed)


@lru_cache(maxsize=65536)
def musl_plan(name: str, ndots: int, search: tuple[str, ...]) -> tuple[str, ...]:
    """Return the candidates (musl src/network/lookup_name.c: name_from_dns_search).

    With ``ndots`` dots or a final dot the list is skipped altogether. A search line of more than 255 characters does
    not fit musl's buffer and counts as empty.
    """
    bare = name.removesuffix(".")
    if not bare or bare.endswith(".") or len(bare) > 255:
        return ()
    skip = name.endswith(".") or name.count(".") >= ndots or len(" ".join(search)) > 255
    listed = () if skip else tuple(absolute(f"{bare}.{path}") for path in search if len(path) < 255 - len(bare))
    return (*listed, f"{bare}.")


@lru_cache(maxsize=65536)
def go_plan(name: str, ndots: int, search: tuple[str, ...]) -> tuple[str, ...]:
    """Return the candidates (Go net/dnsclient_unix.go: nameList); ``.onion`` names are never asked (RFC 7686)."""
    rooted = name.endswith(".")
    if not name or len(name) > MAX_TEXT or (len(name) == MAX_TEXT and not rooted):
        return ()
    as_given = absolute(name)
    if rooted:
        listed: tuple[str, ...] = (as_given,)
    else:
        paths = tuple(f"{as_given}{absolute(path)}" for path in search)
        paths = tuple(path for path in paths if len(path) <= MAX_TEXT)
        listed = (as_given, *paths) if name.count(".") >= ndots else (*paths, as_given)
    return tuple(candidate for candidate in listed if not candidate.lower().endswith(".onion."))
