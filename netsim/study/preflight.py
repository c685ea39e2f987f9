"""What can be told before anything runs: mistakes of the user, and load that no queue can carry."""

from __future__ import annotations

from netsim.datapath.build import impossible, plugin_of, profile_of
from netsim.scenario.spec import Scenario
from netsim.study.points import Point, expand, located
from netsim.study.runner import model_of

MOST_NODES = 2000
"""Nodes of all points together that are looked at beforehand; compiling a model takes about a millisecond a node."""
FEW = 10
"""Nodes of a cluster that comes from manifests as they are, for the count above."""


def check(scenario: Scenario) -> tuple[str, ...]:
    """Find mistakes before workers start, and load above a station's capacity.

    Every point's plugin and costs are read. Points are then put together as for a run, the smallest clusters first,
    until `MOST_NODES` are spent; the rest says the same in its notes once it runs. Points differ in their levels only,
    so a name that does not exist shows at the first already.

    Returns
    -------
    tuple of str
        Warnings, each once with the points it holds for: calls that will be refused, load above capacity.

    Raises
    ------
    InputError: the scenario is wrong.
    """
    points = expand(scenario)
    for known in {(p.scenario.network.plugin, p.scenario.network.costs): p.scenario for p in points}.values():
        plugin_of(known)
        profile_of(known)
    places: dict[str, list[str]] = {}
    looked, left = 0, MOST_NODES
    by_size = sorted(points, key=lambda point: (_nodes(point), point.index))
    for number, point in enumerate(by_size):
        if looked and _nodes(point) > left:
            rest = f"{len(by_size) - number} points of larger clusters are not looked at for overload before they run"
            return (*_told(places, looked), rest)
        if impossible(point.scenario):
            continue
        looked, left = looked + 1, left - _nodes(point)
        _, notes = model_of(point.scenario)
        for note in notes:
            if note.level == "warning":
                places.setdefault(note.text, []).append(point.label)
    return _told(places, looked)


def _told(places: dict[str, list[str]], looked: int) -> tuple[str, ...]:
    return tuple(located(text, labels, everywhere=looked) for text, labels in places.items())


def _nodes(point: Point) -> int:
    cluster = point.scenario.cluster
    described = FEW if cluster.synthetic is None else cluster.synthetic.nodes
    return cluster.nodes or described
