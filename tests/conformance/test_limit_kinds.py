"""Every kind of limit in the published list is checked, a parameter of the model, or named as not modelled."""

from __future__ import annotations

import csv
import importlib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.cluster.limitbook import limit_book

KINDS = yaml.safe_load((Path(__file__).parent / "limit_kinds.yaml").read_text(encoding="utf-8"))
PUBLISHED = Path(__file__).parents[2].parent / "shared" / "limits.csv"


def published() -> dict[str, str]:
    if not PUBLISHED.exists():
        pytest.skip("the published list of limits is not here")
    with PUBLISHED.open(encoding="utf-8", newline="") as stream:
        return {row["name"]: row["default_value"] for row in csv.DictReader(stream)}


def places() -> list[tuple[str, str]]:
    """Return (pattern, category) of every entry."""
    unmodelled = [name for names in KINDS["not_modelled"].values() for name in names]
    return [*((name, "checked") for name in KINDS["checked"]), *((name, "model") for name in KINDS["model"]),
            *((name, "not modelled") for name in unmodelled)]  # fmt: skip


def test_every_kind_has_one_place() -> None:
    names = published()
    found = {name: [category for pattern, category in places() if fnmatchcase(name, pattern)] for name in names}
    assert {name: categories for name, categories in found.items() if len(categories) != 1} == {}
    stale = [pattern for pattern, _ in places() if not any(fnmatchcase(name, pattern) for name in names)]
    assert stale == []
    counts = Counter(categories[0] for categories in found.values())
    assert sum(counts.values()) == len(names) == 153
    assert counts["checked"] >= 70
    assert counts["checked"] + counts["model"] >= 86


def test_what_is_checked_exists_and_has_the_published_figure() -> None:
    book, names = limit_book(), published()
    for name, entry in KINDS["checked"].items():
        assert entry in book, name
        limit = book[entry].limit
        figure = names.get(name, "")
        if isinstance(limit, int | float) and figure.isdigit() and name not in OTHER_UNIT:
            assert int(figure) in (limit, book[entry].raised_to), name


OTHER_UNIT = {
    "coredns_forward_max_concurrent": "the manifest's 1,000, not the plugin's 0 for no end",
    "coredns_qps_per_vcpu": "per replica of two",
    "route53_rate": "per minute",
    "endpointslice_max_endpoints_default": "the slice's size, not an end",
    "gcp_routes_2017": "300 since",
}


def test_parameters_of_the_model_hold_the_published_figure() -> None:
    names = published()
    for name, place in KINDS["model"].items():
        module, _, attribute = place.partition(":")
        value: Any = getattr(importlib.import_module(module), attribute)
        figure = names[name].split()[0].rstrip("s")
        wanted = {float(figure), float(figure) / 300.0}  # Cloudflare's rate is stated per five minutes
        assert wanted & {float(number) for number in numbers(value)}, (name, value)


def numbers(value: Any) -> list[float]:
    """Return every number in a value: of a mapping, a record, a text."""
    if isinstance(value, int | float):
        return [value]
    if isinstance(value, str):
        return [float(part) for part in value.replace(":", " ").split() if part.replace(".", "", 1).isdigit()]
    if hasattr(value, "__dataclass_fields__"):
        return numbers([getattr(value, name) for name in value.__dataclass_fields__])
    inner = value.values() if hasattr(value, "values") else value or ()
    return [number for item in inner for number in numbers(item)]
