"""Views: which endpoints each node knows of, while news of a fault travel.

A node stops using an endpoint some time after it broke: somebody has to notice (the node controller by a kubelet's
silence, the kubelet by a container that ended), the EndpointSlice has to change and reach every node, and there the
proxy has to come to its next sync and write. So nodes act on older and newer revisions at the same time, and new
connections are made to endpoints that are gone. The same holds for an endpoint that is back.

How long each step takes is `netsim.scenario.faults.ConvergenceSpec`; waits for something periodic are uniform over its
period, drawn once a fault and node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from netsim.engine.queueing.grid import on_grid

if TYPE_CHECKING:
    from netsim.cluster.faults import Fault
    from netsim.cluster.objects import Service
    from netsim.engine.model import Convergence
    from netsim.engine.network import Network
    from netsim.engine.randomness.streams import Streams

_UNIT = 2.0**-64


class Absence(NamedTuple):
    """A node does not use an endpoint from ``since_s`` until ``until_s``."""

    since_s: float
    until_s: float


def noticed_s(fault: Fault, how: Convergence, streams: Streams) -> tuple[float, float]:
    """Return when the cluster's API tells that a fault's pods are not ready, and when that they are again.

    Both are ``inf`` where it never does: to a fault that passes before anybody notices there is no news.
    """
    draw = streams.hash("noticed", fault.label) * _UNIT
    if fault.kind == "replica-crash":
        since = fault.at_s + how.container_check_s * draw
    else:
        # the node controller counts from the last sign of life, which is up to a renewal old
        since = fault.at_s - how.lease_renewal_s * draw + how.node_grace_s
        since = max(since, fault.at_s) + how.node_check_s * (streams.hash("looked", fault.label) * _UNIT)
    if since >= fault.until_s:
        return inf, inf
    again = fault.until_s + how.readiness_period_s * (streams.hash("ready", fault.label) * _UNIT)
    return since, again


class Views:
    """What each node knows of the endpoints of a run with faults.

    Parameters
    ----------
    network: gives base knowledge and the clock.
    faults: what breaks.
    how: how long news take.
    """

    def __init__(self, network: Network, faults: Sequence[Fault], how: Convergence) -> None:
        self._network, self._how = network, how
        self._news = [(fault, noticed_s(fault, how, network.streams)) for fault in faults]
        self._concerned: dict[int, list[tuple[Fault, tuple[float, float]]]] = {}
        for fault, news in self._news:
            if news[0] < inf:
                for pod in fault.pods:
                    self._concerned.setdefault(pod, []).append((fault, news))
        self._absences: dict[tuple[str, int], Absence] = {}

    def of(
        self, service: Service, port_name: str, node: int | None, *, external: bool = False
    ) -> Sequence[int]:
        """Return the pods that may answer clients on a node, as it knows at this time."""
        known = self._network.backends.of(service, port_name, node, external=external)
        if node is None or self._concerned.keys().isdisjoint(known):
            return known
        now = self._network.clock.now
        return [pod for pod in known if not self._absent(pod, node, now)]

    def _absent(self, pod: int, node: int, now: float) -> bool:
        return any(
            absence.since_s <= now < absence.until_s
            for fault, news in self._concerned.get(pod, ())
            for absence in (self.absence(fault, news, node),)
        )

    def absence(self, fault: Fault, news: tuple[float, float], node: int) -> Absence:
        """Return when a node stops using the endpoints of a fault, and when it uses them again."""
        known = self._absences.get((fault.label, node))
        if known is None:
            gone, back = news
            since = self._programmed(gone, "gone", fault, node)
            until = max(since, self._programmed(back, "back", fault, node))
            known = self._absences[fault.label, node] = Absence(since, until)
        return known

    def _programmed(self, told_s: float, what: str, fault: Fault, node: int) -> float:
        """Return when a node has programmed what the API told."""
        if told_s == inf:
            return inf
        how = self._how
        wait = how.min_sync_s * (self._network.streams.hash("sync", what, fault.label, node) * _UNIT)
        return on_grid(told_s + how.propagation_s + wait + how.sync_s)

    def convergence(self) -> Iterator[tuple[Fault, list[float]]]:
        """Yield every fault that was noticed, with the time from it to each node's view without its endpoints."""
        for fault, news in self._news:
            if news[0] < inf:
                nodes = range(len(self._network.cluster.nodes))
                yield fault, [self.absence(fault, news, node).since_s - fault.at_s for node in nodes]
