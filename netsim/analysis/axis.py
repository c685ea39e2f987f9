"""The key a search moves along: where it stands now, how far it can go, and what to write for another value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from netsim.datapath.build import cluster_of
from netsim.errors import InputError, Place
from netsim.scenario import with_values
from netsim.scenario.distributions import Constant, Exponential
from netsim.scenario.origin import dotted
from netsim.scenario.quantities import Unit, unit_of
from netsim.scenario.spec import Rate, Scenario

SPAN = 1000.0
"""Without a stated range, a search looks from a thousandth to a thousand times what is there."""
LARGEST_SUPPORTED = 5000
"""Nodes of the largest cluster that Kubernetes supports (kubernetes.io, "Considerations for large clusters")."""
RESOURCES = (
    "cluster.machine", "cluster.fabric.spines", "cluster.fabric.buffer", "dns.replicas", "dns.workers",
    "network.conntrack_max", "network.mtu",
)  # fmt: skip
"""Keys of which more makes the network faster: the answer is the least that is needed."""

Path = tuple[str | int, ...]
Write = Callable[[float], Any]


@dataclass(frozen=True, slots=True)
class _Spot:
    """One place of the document that the key stands for: its value, and how the document writes another one."""

    key: str
    value: float
    write: Write


@dataclass(frozen=True, slots=True)
class Axis:
    """A numeric key of a scenario.

    Parameters
    ----------
    key: as the user wrote it. present: its value now; where a key stands for several entries of different
        values, their mean (they keep their proportions).
    low, high: range of the search. whole: only whole numbers exist.
    loading: True when more of it strains the network (rates, nodes), False for a resource (cores, replicas).
    """

    key: str
    present: float
    low: float
    high: float
    whole: bool
    loading: bool
    spots: tuple[_Spot, ...]

    def settings(self, value: float) -> dict[str, Any]:
        """Return what to set in the document for ``value``."""
        factor = value / self.present
        return {spot.key: spot.write(spot.value * factor) for spot in self.spots}

    def snap(self, value: float) -> float:
        """Return the nearest value that exists within the range, to six digits."""
        inside = min(max(value, self.low), self.high)
        return float(round(inside)) if self.whole else min(max(float(f"{inside:.6g}"), self.low), self.high)

    def from_(self, value: float) -> Axis:
        """Return the axis as seen from another present value."""
        spots = tuple(replace(spot, value=spot.value * value / self.present) for spot in self.spots)
        return replace(self, present=value, spots=spots)

    @property
    def easiest(self) -> float:
        """The end of the range that strains the network least."""
        return self.low if self.loading else self.high

    @property
    def hardest(self) -> float:
        """The other end."""
        return self.high if self.loading else self.low


def axis_of(scenario: Scenario, key: str, span: tuple[float | None, float | None] = (None, None)) -> Axis:
    """Read a dotted key as an axis; a key under ``traffic`` without an index stands for every entry.

    Parameters
    ----------
    scenario: the question. key: ``traffic.rate``, ``cluster.nodes`` or any other numeric key.
    span: ends of the range; ``None`` for a thousandth and a thousand times the present value (for nodes: 1 to 5,000).

    Raises
    ------
    InputError: no such key, not a number, or a range that does not exist.
    """
    asked = "inferred_rate" if key == "traffic.rate" and not scenario.traffic else key
    spots, whole, least, most = _spots(scenario, asked)
    place = Place(scenario.file, field=key)
    present = sum(spot.value for spot in spots) / len(spots)
    if present <= 0.0:
        raise InputError("a search needs a present value above zero", place=place, got=present)
    factor = present / min(spot.value for spot in spots)
    floor = max(present / SPAN, least * factor if least > 0.0 else 0.0, factor if whole else 0.0)
    ceiling = min(present * SPAN, most * present / max(spot.value for spot in spots))
    if _ends_with_nodes(asked):
        floor, ceiling = 1.0, min(most, float(max(LARGEST_SUPPORTED, 2.0 * present)))
    low, high = (floor if span[0] is None else span[0]), (ceiling if span[1] is None else span[1])
    if not 0.0 < low <= high:
        raise InputError("not a range", place=place, got=f"{low:g}:{high:g}", allowed="LOW:HIGH, both above zero")
    loading = not asked.startswith(RESOURCES) and not asked.endswith(".pool")
    return Axis(key, present, low, high, whole and len(spots) == 1, loading, spots)


def _ends_with_nodes(key: str) -> bool:
    return key in ("cluster.nodes", "cluster.synthetic.nodes")


def _spots(scenario: Scenario, key: str) -> tuple[tuple[_Spot, ...], bool, float, float]:
    """Return the places behind a key, whether they hold whole numbers, and the bounds the models state."""
    parts = tuple(int(part) if part.isdigit() else part for part in key.replace("[", ".").replace("]", "").split("."))
    found: list[_Spot] = []
    whole, least, most = False, 0.0, float("inf")
    for path, owner, name in _leaves(scenario, parts, (), scenario, key):
        value = getattr(owner, name)
        if _varies_without_rate(owner, name):
            continue
        if value is None:
            value = _open_value(scenario, key)
        number, write = _as_number(
            value, unit_of(type(owner).model_fields[name].metadata), Place(scenario.file, field=key)
        )
        whole = isinstance(value, int)
        low, high = _bounds(owner, name)
        least, most = max(least, low), min(most, high)
        found.append(_Spot(dotted(path), number, write))
    if not found:
        raise InputError(
            "no traffic has a rate: closed loops and streams take what the network gives",
            place=Place(scenario.file, field=key), allowed="another key, such as traffic.closed.concurrency",
        )  # fmt: skip
    return tuple(found), whole, least, most


def _leaves(
    scenario: Scenario, parts: Sequence[str | int], path: Path, here: Any, key: str
) -> Iterator[tuple[Path, BaseModel, str]]:
    """Yield (path, model, field) of every place the key stands for."""
    head, rest = parts[0], parts[1:]
    if isinstance(here, tuple) and isinstance(head, str):
        for index, item in enumerate(here):
            yield from _leaves(scenario, parts, (*path, index), item, key)
        return
    if isinstance(here, tuple) and isinstance(head, int) and head < len(here) and rest:
        yield from _leaves(scenario, rest, (*path, head), here[head], key)
        return
    names = _field_names(here)
    if not isinstance(head, str) or head not in names:
        allowed = ", ".join(names) or "a numeric key such as traffic.rate or cluster.nodes"
        raise InputError("no such key", place=Place(scenario.file, field=key), got=str(head), allowed=allowed)
    if rest:
        yield from _leaves(scenario, rest, (*path, head), getattr(here, names[head]), key)
    else:
        yield (*path, head), here, names[head]


def _field_names(here: Any) -> dict[str, str]:
    """Return the attribute behind every name a document may use."""
    if not isinstance(here, BaseModel):
        return {}
    return {info.alias or name: name for name, info in type(here).model_fields.items()}


def _varies_without_rate(owner: BaseModel, name: str) -> bool:
    """Tell whether this is the rate of traffic that has none."""
    return name == "rate" and (getattr(owner, "closed", None) is not None or getattr(owner, "kind", "") == "stream")


def _as_number(value: Any, unit: Unit | None, place: Place) -> tuple[float, Write]:
    """Return a leaf as a number, with how the document writes another one of its kind."""
    if isinstance(value, Rate):
        form = "per_pod" if value.per_pod is not None else "per_service"
        return float(getattr(value, form)), lambda number: {form: Unit("/s").write(number)}
    if isinstance(value, Constant | Exponential):
        inner, write = _as_number(value.value, unit_of(type(value).model_fields["value"].metadata), place)
        return inner, lambda number: {value.shape: write(number)}
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError("not a number: a search needs a key that can grow", place=place, got=str(value))
    rounded: Write = round if isinstance(value, int) else float
    if unit is None:
        return float(value), rounded
    return float(value), lambda number: unit.write(rounded(number))


def _bounds(owner: BaseModel, name: str) -> tuple[float, float]:
    """Return what the model says about the smallest and largest value."""
    low, high = 0.0, float("inf")
    for rule in type(owner).model_fields[name].metadata:
        low = max(low, float(getattr(rule, "ge", getattr(rule, "gt", low))))
        high = min(high, float(getattr(rule, "le", getattr(rule, "lt", high))))
    return low, high


# ------------------------------------------------------------------------------------------------ keys left open


def _nodes(scenario: Scenario) -> int:
    return len(cluster_of(scenario).nodes)


def _dns_replicas(scenario: Scenario) -> int:
    cluster = cluster_of(scenario)
    return max(1, len(cluster.endpoints(cluster.dns_service)))


def _queues(scenario: Scenario) -> int:
    return scenario.cluster.machine.cores


def _conntrack(scenario: Scenario) -> int:
    from netsim.datapath.conntrack import usual_limit

    return usual_limit(
        min((node.machine.cores for node in cluster_of(scenario).nodes), default=scenario.cluster.machine.cores)
    )


OPEN: Mapping[str, Callable[[Scenario], int]] = {
    "cluster.nodes": _nodes, "dns.replicas": _dns_replicas, "cluster.machine.queues": _queues,
    "network.conntrack_max": _conntrack,
}  # fmt: skip
"""What a key has when the scenario leaves it to the cluster or to Kubernetes' defaults."""


def _open_value(scenario: Scenario, key: str) -> int:
    known = OPEN.get(key)
    if known is None:
        raise InputError("has no present value to start from", place=Place(scenario.file, field=key),
                         allowed=f"state it, or use one of {', '.join(OPEN)}")  # fmt: skip
    return known(scenario)


def moved(scenario: Scenario, axis: Axis, value: float) -> Scenario:
    """Return the scenario at another value of the axis."""
    return with_values(scenario, axis.settings(value))
