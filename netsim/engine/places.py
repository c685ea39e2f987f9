"""Where stations are: nodes with cores and two link directions, leaf and spine ports, the outside.

Stations are made when a path first touches them. Nothing here is per pair of nodes: the legs of a connection are picked
by role from its two (or three) places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from netsim.cluster.objects import Machine
from netsim.engine.queueing.burst import deliver
from netsim.engine.queueing.stations import Core, Delay, Link, Pool, Station
from netsim.engine.randomness.streams import mix

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.engine.queueing.burst import Leg

class Site(NamedTuple):
    """Where a station is: ``what`` it is, and of which node, rack (leaf-up, leaf-down) or pod (pool).

    ``number`` is which core or spine it is, or how many workers a pool has.
    """

    what: Literal["core", "up", "down", "leaf-up", "leaf-down", "pool", "local-dns"]
    where: int
    number: int


def agent_of(node: int) -> int:
    """Return the number of a node's own processes among pods, for their home core."""
    return -2 - node


StationMaker = Callable[[Site, str], Any]


def plain_station(site: Site, name: str) -> Station:
    """Make a station that only followed traffic visits."""
    match site.what:
        case "core":
            return Core(name)
        case "pool" | "local-dns":
            return Pool(site.number, name)
        case _:
            return Link(name)


class Place:
    """One node: its stations as legs, ready to be put in a path.

    Cores are made when something first runs on them: a client's node of a large cluster needs few of its many.
    ``ports`` are its leaf's links to the spines and from them, shared by the nodes of a rack.
    """

    __slots__ = (
        "_cores", "_make", "aims", "cores", "down", "dress", "index", "leaf_down", "leaf_up", "links", "machine",
        "name", "pause", "pausing", "queues", "rack", "softirqs", "steers", "threads", "up",
    )  # fmt: skip

    def __init__(
        self, index: int, rack: int, machine: Machine, name: str, *, make: StationMaker,
        ports: tuple[list[Leg | None], list[Leg | None]],
    ) -> None:  # fmt: skip
        self.index, self.rack, self.machine, self.name = index, rack, machine, name
        self.leaf_up, self.leaf_down = ports
        self.cores = machine.cores
        self.queues, self.steers = min(machine.queues, machine.cores), machine.rps
        self.aims = machine.interrupts == "steered"
        self._make = make
        self._cores: dict[int, Station] = {}
        self.dress: Callable[[Any], tuple[Leg, Leg]] = _bare
        self.threads: list[Any] = [None] * machine.cores
        self.softirqs: list[Any] = [None] * machine.cores
        up, down = make(Site("up", index, 0), f"{name}/up"), make(Site("down", index, 0), f"{name}/down")
        self.links: tuple[Link, Link] = up, down
        self.pausing = Delay(f"{name}/pause")
        self.up: Leg = up.carry
        self.down: Leg = down.carry
        self.pause: Leg = self.pausing.hold

    def core(self, number: int) -> Station:
        """Return a core."""
        known = self._cores.get(number)
        if known is None:
            known = self._cores[number] = self._make(Site("core", self.index, number), f"{self.name}/core{number}")
            self.threads[number], self.softirqs[number] = self.dress(known)
        return known

    def thread(self, number: int) -> Leg:
        """Return where threads of a core run."""
        self.core(number)
        leg: Leg = self.threads[number]
        return leg

    def softirq(self, number: int) -> Leg:
        """Return where interrupts of a core are worked on."""
        self.core(number)
        leg: Leg = self.softirqs[number]
        return leg

    def steered(self, flow: int) -> Any:
        """Return the leg of the core RPS hands a flow to, `None` where the node does without."""
        return self.softirq(flow % self.cores) if self.steers else None

    @property
    def stations(self) -> tuple[Station, ...]:
        """What has been made, in a fixed order."""
        return (*(self._cores[number] for number in sorted(self._cores)), *self.links, self.pausing)


def _bare(core: Any) -> tuple[Leg, Leg]:
    return core.thread, core.softirq


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
    fit: what is done to every new place (guards around what may break, cables that lose packets).
    """

    def __init__(self, cluster: Cluster, salt: int) -> None:
        self.cluster, self.salt = cluster, salt
        self.make: StationMaker = plain_station
        self.fit: list[Callable[[Place], None]] = []
        self.spines = max(1, cluster.fabric.spines)
        self.outside = Outside()
        self._places: dict[int, Place] = {}
        self._ports: dict[Site, Link] = {}
        self._rows: dict[tuple[str, int], list[Leg | None]] = {}
        self._racks: dict[str, int] = {}

    def place(self, node: int) -> Place:
        """Return the place of a node by its index in the cluster."""
        found = self._places.get(node)
        if found is None:
            each = self.cluster.nodes[node]
            rack = self.rack(node)
            ports = self._row("leaf-up", rack), self._row("leaf-down", rack)
            found = Place(node, rack, each.machine, each.name, make=self.make, ports=ports)
            for fit in self.fit:
                fit(found)
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

    def pair_flow(self, sender: Place, receiver: Place) -> int:
        """Return the hash of what all flows from one node to another look like where a tunnel hides them."""
        return mix(self.salt ^ mix(sender.index << 32 | receiver.index))

    def port(self, direction: Literal["leaf-up", "leaf-down"], rack: int, spine: int) -> Leg:
        """Return one direction of the link between a leaf and a spine."""
        leg = self._row(direction, rack)[spine]
        if leg is None:
            site = Site(direction, rack, spine)
            link = self._ports[site] = self.make(site, f"leaf{rack}/spine{spine}/{direction.removeprefix('leaf-')}")
            leg = self._rows[direction, rack][spine] = link.carry
        return leg

    def _row(self, direction: Literal["leaf-up", "leaf-down"], rack: int) -> list[Leg | None]:
        """Return the ports of a leaf by spine, `None` where nothing has passed yet."""
        row = self._rows.get((direction, rack))
        if row is None:
            row = self._rows[direction, rack] = [None] * self.spines
        return row

    def legs(
        self, sender: Place | None, core: int, receiver: Place | None, peer_core: int, *, flow: int,
        via: Place | None = None,
    ) -> list[Any]:  # fmt: skip
        """Return the legs of one direction by role, `PAUSE` and `DELIVER` behind them.

        ``flow`` stands for the headers' hash: RSS picks the softirq core with it (a card that steers flows takes
        the reader's), RPS the one behind, and ECMP the spine. Bursts between pods of one node stay on the sender's core
        until the receiver's thread takes over. ``None`` is the outside.
        """
        if via is None and sender is not None and receiver is not None:
            # nearly all connections, in half the time
            number, up, down = core, None, None
            if sender is not receiver:
                number = peer_core if receiver.aims else (flow >> 16) % receiver.queues
                if sender.rack != receiver.rack:
                    spine = flow % self.spines
                    up = sender.leaf_up[spine] or self.port("leaf-up", sender.rack, spine)
                    down = receiver.leaf_down[spine] or self.port("leaf-down", receiver.rack, spine)
            return [  # in the order of `Role`
                sender.threads[core] or sender.thread(core), sender.up, up, down, None, None, None, None, None,
                receiver.down, receiver.softirqs[number] or receiver.softirq(number),
                receiver.threads[peer_core] or receiver.thread(peer_core), self.outside.leg, None, None,
                receiver.steered(flow >> 24) if receiver.steers else None, None, sender.pause, deliver,
            ]  # fmt: skip
        return self._legs_abroad(sender, core, receiver, peer_core, flow=flow, via=via)

    def _legs_abroad(
        self, sender: Place | None, core: int, receiver: Place | None, peer_core: int, *, flow: int, via: Place | None
    ) -> list[Any]:
        """Return the same where an end is outside or the way leads through a third node."""
        outside = pause = self.outside.leg
        if sender is None:
            first = out = outside
        else:
            first, out, pause = sender.thread(core), sender.up, sender.pause
        if receiver is None:
            into = softirq = handed = last = outside
        else:
            into, last = receiver.down, receiver.thread(peer_core)
            local = sender is receiver and via is None
            woken = peer_core if receiver.aims else (flow >> 16) % receiver.queues
            softirq = receiver.softirq(core if local else woken)
            handed = receiver.steered(flow >> 24)
            if sender is None:
                pause = receiver.pause
        via_in = via_core = via_out = via_up = via_down = via_handed = None
        if via is None:
            up, down = self._between(sender, receiver, flow)
        else:
            via_in, via_core, via_out = via.down, via.softirq((flow >> 32) % via.queues), via.up
            via_handed = via.steered(flow >> 38)
            up, down = self._between(sender, via, flow)
            via_up, via_down = self._between(via, receiver, flow >> 8)
        return [
            first, out, up, down, via_in, via_core, via_out, via_up, via_down, into, softirq, last, outside, None,
            None, handed, via_handed, pause, deliver,
        ]  # fmt: skip

    def _between(self, sender: Place | None, receiver: Place | None, flow: int) -> tuple[Leg | None, Leg | None]:
        """Return the spine's ports on a path between two racks, or between a rack and the outside."""
        if sender is receiver or (sender is not None and receiver is not None and sender.rack == receiver.rack):
            return None, None
        spine = flow % self.spines
        up = down = self.outside.leg
        if sender is not None:
            up = sender.leaf_up[spine] or self.port("leaf-up", sender.rack, spine)
        if receiver is not None:
            down = receiver.leaf_down[spine] or self.port("leaf-down", receiver.rack, spine)
        return up, down

    def stations(self) -> Iterator[Station]:
        """Yield every station touched so far, in a fixed order."""
        for node in sorted(self._places):
            yield from self._places[node].stations
        for key in sorted(self._ports):
            yield self._ports[key]
        yield self.outside.station

