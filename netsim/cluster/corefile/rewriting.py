"""Set-up of the ``rewrite`` plugin, after CoreDNS ``plugin/rewrite`` (rewrite.go, name.go, ttl.go, edns0.go)."""

from __future__ import annotations

import re
from typing import Literal, cast

from netsim.cluster.corefile.directive import Directive
from netsim.cluster.corefile.sources import QUERY_CLASSES, QUERY_TYPES, RCODES
from netsim.cluster.corefile.specs import (
    CnameRule,
    InertRule,
    Match,
    NameMatch,
    RcodeRule,
    RenameRule,
    Reword,
    Rewrite,
    RewriteRule,
    TtlRule,
    TypeRule,
)
from netsim.cluster.corefile.values import RefusedError, regular_expression
from netsim.cluster.names import absolute

MATCHES = ("exact", "prefix", "suffix", "substring", "regex")
_CLIENT_VARIABLES = frozenset(
    ("{qname}", "{qtype}", "{client_ip}", "{client_port}", "{protocol}", "{server_ip}", "{server_port}")
)
_MAX_TTL = 2**31 - 1


def setup_rewrite(directive: Directive) -> Rewrite:
    """Read every ``rewrite`` directive; a rule is one line, or a block whose lines are joined."""
    rules = []
    while directive.advance():
        words = directive.arguments()
        if len(words) < 2:
            while directive.block():
                words.append(directive.value)
                while directive.argument():
                    words.append(directive.value)
        rules.append(_rule(words))
    return Rewrite(tuple(rules))


def _rule(words: list[str]) -> RewriteRule:
    if not words:
        raise RefusedError("no rule type specified for rewrite")
    mode = words[0].lower()
    if mode in ("stop", "continue"):
        if len(words) < 2:
            raise RefusedError(f"{mode} rule must begin with a rule type")
        words = words[1:]
    kind, arguments, proceed = words[0].lower(), words[1:], mode == "continue"
    match kind:
        case "answer":
            raise RefusedError("response rewrites must begin with a name rule")
        case "name":
            return _name_rule(arguments, proceed)
        case "class" | "type":
            return _value_rule(kind, arguments, proceed)
        case "edns0":
            _check_edns0(arguments)
            return InertRule("edns0", proceed)
        case "ttl":
            return _ttl_rule(arguments, proceed)
        case "rcode":
            return _rcode_rule(arguments, proceed)
        case "cname":
            match, target = _match_and_target(arguments, "cname")
            return CnameRule(match, absolute(target).lower(), proceed)
        case _:
            raise RefusedError(f'invalid rule type "{words[0]}"')


def _value_rule(kind: str, arguments: list[str], proceed: bool) -> RewriteRule:
    if len(arguments) != 2:
        raise RefusedError(f"{kind} rules must have exactly two arguments")
    known = QUERY_CLASSES if kind == "class" else QUERY_TYPES
    source, target = (argument.upper() for argument in arguments)
    for value in (source, target):
        if value not in known:
            raise RefusedError(f'invalid {kind} "{value}"')
    return InertRule("class", proceed) if kind == "class" else TypeRule(source, target, proceed)


# ------------------------------------------------------------------------------------------------ name


def _name_match(kind: str, text: str, rule: str) -> NameMatch:
    if kind not in MATCHES:
        raise RefusedError(
            f"{rule} rule supports only exact, prefix, suffix, substring, and regex name matching, received: {kind}"
        )
    if kind != "regex":
        return NameMatch(cast(Match, kind), absolute(text).lower())
    try:
        return NameMatch("regex", text, regular_expression(text))
    except RefusedError:
        raise RefusedError(f"invalid regex matching pattern: {text}") from None


def _match_and_target(arguments: list[str], rule: str) -> tuple[NameMatch, str]:
    """Return the test and the last argument of ``[exact|prefix|...] NAME TARGET``."""
    if len(arguments) < 2:
        raise RefusedError(f"too few arguments for a {rule} rule")
    if len(arguments) > 3:
        raise RefusedError(f"too many arguments for a {rule} rule")
    kind = arguments[0].lower() if len(arguments) == 3 else "exact"
    return _name_match(kind, arguments[-2], rule), arguments[-1]


def _name_rule(arguments: list[str], proceed: bool) -> RenameRule:
    if len(arguments) < 2:
        raise RefusedError("too few arguments for a name rule")
    kind = "exact" if len(arguments) == 2 else arguments[0].lower()
    source, target = arguments[:2] if len(arguments) == 2 else arguments[1:3]
    auto, answers = _answer_rules(kind, arguments[3:]) if len(arguments) > 3 else (False, ())
    match = _name_match(kind, source, "name")
    if match.kind in ("exact", "regex"):
        pattern, used = (target, source) if match.kind == "exact" else (source, target)
        _check_groups(pattern, used)
    return RenameRule(match, absolute(target).lower(), auto or match.kind == "exact", answers, proceed)


def _check_groups(pattern: str, replacement: str) -> re.Pattern[str]:
    """Compile a pattern and refuse a replacement that uses more groups than it has (isValidRegexPattern)."""
    try:
        compiled = regular_expression(pattern)
    except RefusedError:
        raise RefusedError(f"invalid regex matching pattern: {pattern}") from None
    used = sum(f"{{{number}}}" in replacement for number in range(101))
    if used > compiled.groups:
        raise RefusedError(
            f"the rewrite regex pattern ({replacement}) uses more subexpressions than its corresponding matching regex "
            f"pattern ({pattern})"
        )
    return compiled


def _answer_rules(kind: str, words: list[str]) -> tuple[bool, tuple[Reword, ...]]:
    """Read ``answer auto | answer name FROM TO | answer value FROM TO ...``."""
    if len(words) < 2:
        raise RefusedError(f"invalid arguments for {kind} rule")
    if words[0] != "answer":
        raise RefusedError(f"exceeded the number of arguments for a non-answer rule argument for {kind} rule")
    auto, found, at = False, list[Reword](), 0
    while at < len(words):
        at += words[at] == "answer"
        if at == len(words):
            raise RefusedError(f"type missing for answer rule for {kind} rule")
        what = words[at]
        at += 1
        if what == "auto":
            auto = True
            continue
        if what not in ("name", "value"):
            raise RefusedError(f'invalid type "{what}" for answer rule for {kind} rule')
        if len(words) - at < 2:
            raise RefusedError(f"{what} answer rule for {kind} rule: 2 arguments required")
        pattern = _check_groups(words[at], words[at + 1])
        field: Literal["name", "value"] = "name" if what == "name" else "value"
        found.append(Reword(field, pattern, absolute(words[at + 1]).lower()))
        at += 2
    if auto and any(rule.field == "name" for rule in found):
        raise RefusedError("auto name answer rule cannot be combined with explicit name anwer rules")
    return auto, tuple(found)


# ------------------------------------------------------------------------------------------------ ttl, rcode, edns0


def _ttl_rule(arguments: list[str], proceed: bool) -> TtlRule:
    if len(arguments) < 2:
        raise RefusedError(f"too few ({len(arguments)}) arguments for a ttl rule")
    match, text = _match_and_target(arguments, "ttl")
    bounds = _ttl_range(text)
    if bounds is None:
        raise RefusedError(f"invalid TTL '{text}' for a ttl rule")
    return TtlRule(match, *bounds, proceed)


def _ttl_range(text: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d+)|(\d*)-(\d*)", text)
    if found is None or text == "-":
        return None
    if found[1]:
        low = high = int(found[1])
    else:
        low, high = int(found[2] or 0), int(found[3] or _MAX_TTL)
    return (low, high) if low <= high < 1 << 32 else None


def _rcode_rule(arguments: list[str], proceed: bool) -> RcodeRule:
    if len(arguments) < 3:
        raise RefusedError("too few arguments for a rcode rule")
    match, source = _match_and_target(arguments[:-1], "rcode")
    codes = []
    for text in (source, arguments[-1]):
        code = text.upper()
        if code not in RCODES and not (text.isdecimal() and int(text) < 4096):
            raise RefusedError(f"invalid rcode '{text}' for a rcode rule")
        codes.append(code)
    return RcodeRule(match, codes[0], codes[1], proceed)


def _check_edns0(arguments: list[str]) -> None:
    """Refuse what CoreDNS refuses of an EDNS0 rule; the options themselves change no answer."""
    if len(arguments) < 2:
        raise RefusedError("too few arguments for an EDNS0 rule")
    kind, action, *rest = arguments
    if action.lower() not in ("append", "replace", "set", "unset"):
        raise RefusedError(f'invalid action: "{action.lower()}"')
    if rest and rest[-1].lower() == "revert":
        rest = rest[:-1]
    unset = action.lower() == "unset"
    match kind.lower():
        case "nsid":
            if rest:
                raise RefusedError("EDNS0 NSID rules do not accept args")
        case "local":
            _check_local(rest, unset)
        case "subnet":
            _check_subnet(rest, unset)
        case _:
            raise RefusedError(f'invalid rule type "{kind.lower()}"')


def _check_local(rest: list[str], unset: bool) -> None:
    if len(rest) != (1 if unset else 2):
        raise RefusedError("EDNS0 local rules require exactly three args")
    try:
        code = int(rest[0], 0)
    except ValueError:
        code = -1
    if not 0 <= code < 1 << 16:
        raise RefusedError(f'strconv.ParseUint: parsing "{rest[0]}": invalid syntax')
    if unset:
        return
    data = rest[1]
    if data.startswith("{") and data.endswith("}"):
        if data not in _CLIENT_VARIABLES and not re.fullmatch(r"\{[^{}/]+/[^{}]+\}", data):
            raise RefusedError(f'unsupported variable name "{data}"')
    elif data.startswith("0x") and not re.fullmatch(r"0x(?:[0-9a-fA-F]{2})*", data):
        raise RefusedError(f"encoding/hex: invalid byte in {data}")


def _check_subnet(rest: list[str], unset: bool) -> None:
    if unset and not rest:
        return
    if len(rest) != 2:
        raise RefusedError("EDNS0 subnet rules require exactly three args")
    for text, bits, family in zip(rest, (32, 128), ("IPv4", "IPv6"), strict=True):
        if not text.isdecimal():
            raise RefusedError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
        if int(text) > bits:
            raise RefusedError(f"invalid {family} bit mask length {text}")
