"""Faults resolved against a cluster: which node, which pods, from when until when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf
from typing import TYPE_CHECKING, Literal

from netsim.cluster.traffic import find_service
from netsim.errors import InputError, Place
from netsim.scenario.faults import LinkDown, LinkUp, NodeLoss, ReplicaCrash

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.scenario.faults import Fault as Stated

Kind = Literal["link-down", "node-loss", "replica-crash"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is broken from ``at_s`` until ``until_s`` (``inf``: to the end of the run).

    ``label`` names it for people. ``node`` is the index of the node concerned, `None` for crashed replicas; ``pods``
    are the pods nobody reaches meanwhile: those on the node, or the replicas.
    """

    label: str
    kind: Kind
    at_s: float
    until_s: float
    node: int | None
    pods: tuple[int, ...]

    @property
    def stops_pods(self) -> bool:
        """Whether the pods themselves stop, not only the way to them."""
        return self.kind != "link-down"


def faults_of(cluster: Cluster, stated: Sequence[Stated]) -> tuple[Fault, ...]:
    """Resolve a scenario's ``faults``, in order of time.

    Raises
    ------
    InputError: a name the cluster does not have, something that breaks while it is broken, a cable put back that was
        not out.
    """
    found: list[tuple[int, Fault]] = []
    for index, each in enumerate(stated):
        place = Place(field=f"faults[{index}]")
        match each:
            case LinkDown():
                found.append((index, _of_node(cluster, each, _end(stated, each), place)))
            case NodeLoss():
                found.append((index, _of_node(cluster, each, _end(stated, each), place)))
            case ReplicaCrash():
                found.append((index, _of_replicas(cluster, each, place)))
            case LinkUp():
                _node(cluster, each.node, place)
                _check_ends(stated, each, place)
    found.sort(key=lambda item: (item[1].at_s, item[0]))
    _check_apart(cluster, found)
    return tuple(fault for _, fault in found)


def _end(stated: Sequence[Stated], fault: LinkDown | NodeLoss) -> float:
    """Return when a node's fault ends: after its ``for``, or at the first ``link-up`` that follows."""
    if fault.lasts is not None:
        return fault.at + fault.lasts
    if isinstance(fault, NodeLoss):
        return inf
    ups = (each.at for each in stated if isinstance(each, LinkUp) and each.node == fault.node and each.at > fault.at)
    return min(ups, default=inf)


def _check_ends(stated: Sequence[Stated], up: LinkUp, place: Place) -> None:
    """Refuse a ``link-up`` that puts nothing back."""
    downs = [each for each in stated if isinstance(each, LinkDown) and each.node == up.node and each.at < up.at]
    last = max(downs, key=lambda each: each.at, default=None)
    if last is None or last.lasts is not None or _end(stated, last) != up.at:
        raise InputError(
            "no link is put back", place=place, got=f"link-up of {up.node} at {up.at:g} s",
            allowed="after a link-down of the same node that states no 'for'",
        )  # fmt: skip


def _of_node(cluster: Cluster, fault: LinkDown | NodeLoss, until_s: float, place: Place) -> Fault:
    node = _node(cluster, fault.node, place)
    pods = tuple(index for index, pod in enumerate(cluster.pods) if pod.node == fault.node)
    return Fault(_label(fault.kind, fault.node, fault.at, until_s), fault.kind, fault.at, until_s, node, pods)


def _node(cluster: Cluster, name: str, place: Place) -> int:
    index = cluster.node_index.get(name)
    if index is None:
        known = list(cluster.node_index)
        near = get_close_matches(name, known, n=3) or known[:8]
        raise InputError(
            "no such node in the cluster", place=Place(field=f"{place.field}.node"), got=name,
            allowed=", ".join(near) or "nothing",
        )  # fmt: skip
    return index


def _of_replicas(cluster: Cluster, fault: ReplicaCrash, place: Place) -> Fault:
    where = Place(field=f"{place.field}.service")
    key = cluster.dns_service if fault.service == "dns" and not _called(cluster, "dns") else fault.service
    service, _ = find_service(cluster, key, "default", where)
    index_of = {pod.key: index for index, pod in enumerate(cluster.pods)}
    behind = [index_of[key] for key in dict.fromkeys(e.pod for e in cluster.endpoints(service.key)) if key in index_of]
    wanted = len(behind) if fault.replicas == "all" else fault.replicas
    if not behind or wanted > len(behind):
        raise InputError(
            "the service has not so many replicas", place=Place(field=f"{place.field}.replicas"), got=fault.replicas,
            allowed=f"at most {len(behind)}" if behind else "nothing: no pod of the cluster is behind it",
        )  # fmt: skip
    until_s = inf if fault.lasts is None else fault.at + fault.lasts
    what = f"{wanted} of {len(behind)} replicas of {service.key}"
    return Fault(_label(fault.kind, what, fault.at, until_s), fault.kind, fault.at, until_s, None,
                 tuple(behind[:wanted]))  # fmt: skip


def _called(cluster: Cluster, name: str) -> bool:
    return any(service.name == name for service in cluster.services)


def _label(kind: str, what: str, at_s: float, until_s: float) -> str:
    lasting = "" if until_s == inf else f" for {until_s - at_s:g} s"
    return f"{kind}: {what} at {at_s:g} s{lasting}"


def _check_apart(cluster: Cluster, found: Sequence[tuple[int, Fault]]) -> None:
    """Refuse what breaks while it is broken."""
    free_s: dict[str, float] = {}
    for index, fault in found:
        for name in _concerned(cluster, fault):
            if fault.at_s <= free_s.get(name, -1.0):
                raise InputError(
                    f"{name} is broken already", place=Place(field=f"faults[{index}].at"), got=f"{fault.at_s:g} s",
                    allowed=f"after {free_s[name]:g} s" if free_s[name] < inf else "one fault at a time",
                )  # fmt: skip
        for name in _concerned(cluster, fault):
            free_s[name] = fault.until_s


def _concerned(cluster: Cluster, fault: Fault) -> Iterator[str]:
    if fault.node is not None:
        yield f"node {cluster.nodes[fault.node].name}"
    yield from (f"pod {cluster.pods[pod].key}" for pod in fault.pods)
