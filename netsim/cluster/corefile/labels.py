"""Label selectors in text form, as ``kubectl -l`` and CoreDNS's ``labels`` property take them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netsim.cluster.corefile.values import RefusedError
from netsim.cluster.objects import Requirement, Selector

_KEY = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_EQUALS = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_IN = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")


def parse_selector(text: str) -> Selector:
    """Return the selector of text such as ``env in (a, b),app=web,!canary`` (apimachinery labels.Parse)."""
    labels: dict[str, str] = {}
    expressions = []
    for part in _parts(text):
        requirement = _requirement(part)
        if isinstance(requirement, Requirement):
            expressions.append(requirement)
        else:
            labels[requirement[0]] = requirement[1]
    return Selector(labels, tuple(expressions))


def _parts(text: str) -> Iterator[str]:
    if not text.strip():
        return
    for part in re.split(r",(?![^()]*\))", text):
        yield part.strip()


def _requirement(part: str) -> Requirement | tuple[str, str]:
    if found := _EQUALS.fullmatch(part):
        key, operator, value = found.groups()
        return Requirement(key, "NotIn", (value,)) if operator == "!=" else (key, value)
    if found := _IN.fullmatch(part):
        values = tuple(value.strip() for value in found[3].split(","))
        if all(re.fullmatch(_VALUE, value) for value in values):
            return Requirement(found[1], "In" if found[2] == "in" else "NotIn", values)
    elif found := _EXISTS.fullmatch(part):
        return Requirement(found[2], "DoesNotExist" if found[1] else "Exists")
    raise RefusedError(f"couldn't parse the selector string: unable to parse requirement: {part!r}")
