"""The ``rewrite`` plugin: questions changed on the way in, answers changed back on the way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from netsim.cluster.corefile import Rewrite
from netsim.cluster.corefile.specs import (
    CnameRule,
    NameMatch,
    RcodeRule,
    RenameRule,
    Reword,
    RewriteRule,
    TtlRule,
    TypeRule,
)
from netsim.cluster.dns.kubernetes import Proceed
from netsim.cluster.dns.records import Question, Record, Response
from netsim.cluster.names import absolute, is_domain

Repair = Callable[[Response], Response]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a rule did: the question that goes on, and how the response is changed."""

    question: Question
    repair: Repair | None = None


def matches(match: NameMatch, name: str) -> bool:
    """Whether a rule's test holds for a lower-case name; its text is absolute, so a prefix ends at a label."""
    match match.kind:
        case "exact":
            return name == match.text
        case "prefix":
            return name.startswith(match.text)
        case "suffix":
            return name.endswith(match.text)
        case "substring":
            return match.text in name
        case "regex":
            return match.pattern is not None and match.pattern.search(name) is not None


class RewriteHandler:
    """All ``rewrite`` directives of a server block, in order; a ``stop`` rule that applies is the last."""

    def __init__(self, spec: Rewrite, lookup: Proceed) -> None:
        self.spec, self._lookup = spec, lookup

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Change the question, pass it on, change the response back."""
        changed, repairs = question, list[Repair]()
        for rule in self.spec.rules:
            applied = self._apply(rule, changed)
            if applied is None:
                continue
            changed = applied.question
            if not is_domain(changed.name):
                return Response("SERVFAIL", why=f"invalid name after rewrite: {changed.name}")
            repairs += [applied.repair] if applied.repair else []
            if not rule.proceed:
                break
        response = proceed(changed)
        for repair in reversed(repairs):
            response = repair(response)
        return response

    def _apply(self, rule: RewriteRule, question: Question) -> Applied | None:
        name = question.name.lower()
        match rule:
            case RenameRule():
                return _rename(rule, question)
            case TypeRule():
                return Applied(question.renamed(type=rule.target)) if rule.source == question.type else None
            case TtlRule():
                return Applied(question, _clamped(rule)) if matches(rule.match, name) else None
            case RcodeRule():
                return Applied(question, _recoded(rule)) if matches(rule.match, name) else None
            case CnameRule():
                return Applied(question, self._retargeted(rule, question))
            case _:
                return Applied(question)

    def _retargeted(self, rule: CnameRule, question: Question) -> Repair:
        def repair(response: Response) -> Response:
            for record in response.answers:
                if record.type == "CNAME" and matches(rule.match, record.data.lower()):
                    more = self._lookup(question.ask(rule.target))
                    answers = (Record(record.name, "CNAME", record.ttl, rule.target), *more.answers)
                    return replace(response, answers=answers, forwarded=response.forwarded + more.forwarded)
            return response

        return repair


# ------------------------------------------------------------------------------------------------ names


def _rename(rule: RenameRule, question: Question) -> Applied | None:
    name = question.name.lower()
    if not matches(rule.match, name):
        return None
    target = _new_name(rule, name)
    rewords = [_reworded(reword) for reword in rule.answers]
    if rule.auto and rule.match.kind == "suffix":
        rewords = [_suffix_back(rule.replacement, rule.match.text), *rewords]
    elif rule.auto:
        rewords = [_name_back(target, name), *rewords]

    def repair(response: Response) -> Response:
        for change in rewords:
            response = _each_record(response, change)
        return response

    return Applied(question.renamed(target), repair if rewords else None)


def _new_name(rule: RenameRule, name: str) -> str:
    text = rule.match.text
    match rule.match.kind:
        case "exact":
            return rule.replacement
        case "prefix":
            return absolute(rule.replacement + name[len(text) :])
        case "suffix":
            return absolute(name[: len(name) - len(text)] + rule.replacement)
        case "substring":
            return absolute(name.replace(text, rule.replacement))
        case "regex":
            assert rule.match.pattern is not None
            return absolute(_filled(rule.match.pattern, rule.replacement, name))


def _filled(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    found = pattern.search(text)
    if found is None:
        return text
    for number in range(pattern.groups + 1):
        replacement = replacement.replace(f"{{{number}}}", found[number] or "")
    return replacement


Change = Callable[[Literal["name", "value"], str], str]


def _reworded(reword: Reword) -> Change:
    def change(field: Literal["name", "value"], text: str) -> str:
        return _filled(reword.pattern, reword.replacement, text) if field == reword.field else text

    return change


def _name_back(changed: str, original: str) -> Change:
    def change(field: Literal["name", "value"], text: str) -> str:
        if text.lower() == changed:
            return original
        if text.lower().endswith(f".{changed}"):
            return text[: len(text) - len(changed)] + original
        return text

    return change


def _suffix_back(changed: str, original: str) -> Change:
    def change(field: Literal["name", "value"], text: str) -> str:
        return text[: len(text) - len(changed)] + original if text.endswith(changed) else text

    return change


def _each_record(response: Response, change: Change) -> Response:
    def changed(record: Record) -> Record:
        named = replace(record, name=change("name", record.name))
        return named.with_target(change("value", record.target)) if record.target else named

    return replace(
        response,
        answers=tuple(map(changed, response.answers)),
        authority=tuple(map(changed, response.authority)),
        additional=tuple(map(changed, response.additional)),
    )


# ------------------------------------------------------------------------------------------------ ttl, rcode


def _clamped(rule: TtlRule) -> Repair:
    def clamp(record: Record) -> Record:
        return replace(record, ttl=min(max(record.ttl, rule.low_s), rule.high_s))

    def repair(response: Response) -> Response:
        return replace(
            response,
            answers=tuple(map(clamp, response.answers)),
            authority=tuple(map(clamp, response.authority)),
            additional=tuple(map(clamp, response.additional)),
        )

    return repair


def _recoded(rule: RcodeRule) -> Repair:
    def repair(response: Response) -> Response:
        return replace(response, rcode=rule.target) if response.rcode == rule.source else response

    return repair
