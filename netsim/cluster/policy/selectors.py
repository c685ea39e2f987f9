"""Label selectors: what they match."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netsim.cluster.objects import Labels, Requirement, Selector

# An operator's test of a label that may be missing. NotIn holds where the label is missing, as the API defines it
# (apimachinery pkg/labels: Requirement.Matches).
_TESTS: Mapping[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "In": lambda value, values: value is not None and value in values,
    "NotIn": lambda value, values: value is None or value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def requirement_matches(requirement: Requirement, labels: Labels) -> bool:
    """Whether ``labels`` satisfy one ``matchExpressions`` entry."""
    return _TESTS[requirement.operator](labels.get(requirement.key), requirement.values)


def selector_matches(selector: Selector, labels: Labels) -> bool:
    """Whether ``labels`` satisfy every part of a selector; the empty selector matches everything."""
    return selector.match_labels.items() <= labels.items() and all(
        requirement_matches(requirement, labels) for requirement in selector.match_expressions
    )


def selector_key(selector: Selector) -> tuple[object, ...]:
    """Return a hashable value, equal for selectors that are written with the same parts (order aside)."""
    expressions = sorted((r.key, r.operator, tuple(sorted(set(r.values)))) for r in selector.match_expressions)
    return tuple(sorted(selector.match_labels.items())), tuple(expressions)
