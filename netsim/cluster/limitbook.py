"""The curated list of known limits (``data/limits.yaml``): facts with a source, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownLimit:
    """One known limit.

    Parameters
    ----------
    id, name: identity and wording. scope: what the count is taken over (cluster, node, service, ...).
    use: name of the measure that is compared with the limit. limit: a number, the name of a formula, or ``None``
    where the table has no fixed end. raised_to: what can be had on request.
    unit: of both. then: what happens when it is reached. source: where the figure was read.
    when: facts that must hold for the limit to apply, each with its accepted values.
    reason: how to say that nothing exists beyond it; empty where the limit is soft.
    advisory: passing it costs something and breaks nothing.
    """

    id: str
    name: str
    scope: str
    use: str
    limit: float | str | None
    unit: str
    then: str
    source: str
    raised_to: float | None = None
    when: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    reason: str = ""
    advisory: bool = False


@cache
def limit_book() -> Mapping[str, KnownLimit]:
    """Return the known limits by id, in the order of the file."""
    import yaml

    text = files("netsim").joinpath("data", "limits.yaml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = yaml.safe_load(text)
    limits = (
        KnownLimit(**{**entry, "when": {name: tuple(values) for name, values in entry.get("when", {}).items()}})
        for entry in entries
    )
    return {each.id: each for each in limits}
