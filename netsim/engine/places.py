"""Where stations are: nodes with cores and two link directions, leaf and spine ports, the outside.

Stations are made when a path first touches them. Nothing here is per pair of nodes: the legs of a connection are picked
by role from its two (or three) places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from netsim.cluster.objects import Machine
from netsim.datapath.types import Role
from netsim.engine.burst import deliver
from netsim.engine.stations import Core, Delay, Link, Pool, Station
from netsim.engine.streams import mix

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.engine.burst import Leg

class Site(NamedTuple):
    """Where a station is: ``what`` it is, of which node (core, up, down), rack (leaf-up, leaf-down) or pod (pool).

    ``number`` is which core or spine it is, or how many workers a pool has.
    """

    what: Literal["core", "up", "down", "leaf-up", "leaf-down", "pool"]
    where: int
    number: int


StationMaker = Callable[[Site, str], Any]


def plain_station(site: Site, name: str) -> Station:
    """Make a station that only followed traffic visits."""
    match site.what:
        case "core":
            return Core(name)
        case "pool":
            return Pool(site.number, name)
        case _:
            return Link(name)


class Place:
    """One node: its stations as legs, ready to be put in a path."""

    __slots__ = (
        "cores", "down", "index", "machine", "pause", "queues", "rack", "softirqs", "stations", "threads", "up",
    )  # fmt: skip

    def __init__(self, index: int, rack: int, machine: Machine, name: str, make: StationMaker) -> None:
        self.index, self.rack, self.machine = index, rack, machine
        self.cores = machine.cores
        self.queues = min(machine.queues, machine.cores)
        cores = [make(Site("core", index, core), f"{name}/core{core}") for core in range(machine.cores)]
        up, down = make(Site("up", index, 0), f"{name}/up"), make(Site("down", index, 0), f"{name}/down")
        pause = Delay(f"{name}/pause")
        self.threads: list[Leg] = [core.thread for core in cores]
        self.softirqs: list[Leg] = [core.softirq for core in cores]
        self.up: Leg = up.carry
        self.down: Leg = down.carry
        self.pause: Leg = pause.hold
        self.stations: tuple[Station, ...] = (*cores, up, down, pause)


class Outside:
    """The world beyond the border: no queue that the cluster's owner could do anything about."""

    def __init__(self) -> None:
        self.station = Delay("outside")
        self.leg: Leg = self.station.hold


class Places:
    """The stations of a cluster, made on first touch.

    Parameters
    ----------
    cluster: gives nodes, racks and the fabric.
    salt: a number that differs between replications; home cores and hashes are drawn from it.
    make: makes a station; a run with background traffic puts one here that makes stations that know theirs.
    """

    def __init__(self, cluster: Cluster, salt: int) -> None:
        self.cluster, self.salt = cluster, salt
        self.make: StationMaker = plain_station
        self.spines = max(1, cluster.fabric.spines)
        self.outside = Outside()
        self._places: dict[int, Place] = {}
        self._ports: dict[Site, Link] = {}
        self._racks: dict[str, int] = {}

    def place(self, node: int) -> Place:
        """Return the place of a node by its index in the cluster."""
        found = self._places.get(node)
        if found is None:
            each = self.cluster.nodes[node]
            found = Place(node, self.rack(node), each.machine, each.name, self.make)
            self._places[node] = found
        return found

    def rack(self, node: int) -> int:
        """Return the number of a node's rack: as nodes state them, else by position."""
        stated = self.cluster.nodes[node].rack
        if stated:
            return self._racks.setdefault(stated, -1 - len(self._racks))
        return node // max(1, self.cluster.fabric.nodes_per_rack)

    def home_core(self, pod: int, cores: int) -> int:
        """Return the core the pod's thread lives on, of so many: drawn once a replication."""
        return mix(self.salt ^ (pod + 1)) % cores

    def port(self, direction: Literal["leaf-up", "leaf-down"], rack: int, spine: int) -> Leg:
        """Return one direction of the link between a leaf and a spine."""
        site = Site(direction, rack, spine)
        link = self._ports.get(site)
        if link is None:
            name = f"leaf{rack}/spine{spine}/{direction.removeprefix('leaf-')}"
            link = self._ports[site] = self.make(site, name)
        leg: Leg = link.carry
        return leg

    def legs(
        self, sender: Place | None, core: int, receiver: Place | None, peer_core: int, *, flow: int,
        via: Place | None = None,
    ) -> list[Any]:  # fmt: skip
        """Return the legs of one direction by role, `PAUSE` and `DELIVER` behind them.

        ``flow`` stands for the headers' hash: RSS picks the softirq core with it and ECMP the spine. Bursts between
        pods of one node stay on the sender's core until the receiver's thread takes over. ``None`` is the outside.
        """
        legs: list[Any] = [None] * (len(Role) + 2)
        outside = self.outside.leg
        legs[Role.BORDER], legs[-1] = outside, deliver
        if sender is None:
            legs[Role.SENDER_CORE] = legs[Role.SENDER_LINK] = outside
        else:
            legs[Role.SENDER_CORE], legs[Role.SENDER_LINK] = sender.threads[core], sender.up
        if receiver is None:
            legs[Role.RECEIVER_LINK] = legs[Role.SOFTIRQ_CORE] = legs[Role.RECEIVER_CORE] = outside
        else:
            local = sender is receiver and via is None
            legs[Role.RECEIVER_LINK] = receiver.down
            legs[Role.SOFTIRQ_CORE] = receiver.softirqs[core if local else (flow >> 16) % receiver.queues]
            legs[Role.RECEIVER_CORE] = receiver.threads[peer_core]
        legs[-2] = _pause(sender, receiver, outside)
        if via is None:
            self._between(legs, sender, receiver, flow=flow, up=Role.LEAF_UP, down=Role.LEAF_DOWN)
        else:
            legs[Role.VIA_LINK_IN], legs[Role.VIA_LINK_OUT] = via.down, via.up
            legs[Role.VIA_CORE] = via.softirqs[(flow >> 32) % via.queues]
            self._between(legs, sender, via, flow=flow, up=Role.LEAF_UP, down=Role.LEAF_DOWN)
            self._between(legs, via, receiver, flow=flow >> 8, up=Role.VIA_LEAF_UP, down=Role.VIA_LEAF_DOWN)
        return legs

    def _between(
        self, legs: list[Any], sender: Place | None, receiver: Place | None, *, flow: int, up: Role, down: Role
    ) -> None:
        """Put the spine's ports into a path between two racks, or between a rack and the outside."""
        start = None if sender is None else sender.rack
        end = None if receiver is None else receiver.rack
        if start == end:
            return
        spine = flow % self.spines
        legs[up] = self.outside.leg if start is None else self.port("leaf-up", start, spine)
        legs[down] = self.outside.leg if end is None else self.port("leaf-down", end, spine)

    def stations(self) -> Iterator[Station]:
        """Yield every station touched so far, in a fixed order."""
        for node in sorted(self._places):
            yield from self._places[node].stations
        for key in sorted(self._ports):
            yield self._ports[key]
        yield self.outside.station


def _pause(sender: Place | None, receiver: Place | None, outside: Leg) -> Leg:
    if sender is not None:
        return sender.pause
    return outside if receiver is None else receiver.pause
