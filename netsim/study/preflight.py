"""What can be told before anything runs: mistakes of the user, and load that no queue can carry."""

from __future__ import annotations

from netsim.datapath.build import impossible, plugin_of, profile_of
from netsim.scenario.spec import Scenario
from netsim.study.points import expand
from netsim.study.runner import model_of


def check(scenario: Scenario) -> tuple[str, ...]:
    """Find mistakes before workers start: every point's plugin and costs, and the whole of the first point there is.

    Points differ in their levels only, so a name that does not exist shows at the first already.

    Returns
    -------
    tuple of str
        Warnings about the first point: calls that will be refused, load above a station's capacity.

    Raises
    ------
    InputError: the scenario is wrong.
    """
    points = expand(scenario)
    for known in {(p.scenario.network.plugin, p.scenario.network.costs): p.scenario for p in points}.values():
        plugin_of(known)
        profile_of(known)
    first = next((point.scenario for point in points if not impossible(point.scenario)), None)
    if first is None:
        return ()
    _, notes = model_of(first)
    return tuple(note.text for note in notes if note.level == "warning")
