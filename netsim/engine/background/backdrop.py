"""The background of a run: which stations carry how much of the traffic that nobody follows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from netsim.datapath.datapath import ExternalParty
from netsim.engine.background.background import BackgroundCore, BackgroundLink, BackgroundPool
from netsim.engine.background.exchanges import End, What
from netsim.engine.background.jobs import Arrivals, Draws, Profile, Source
from netsim.engine.background.load import Flow, LoadModel
from netsim.engine.places import Site, agent_of, plain_station
from netsim.engine.workload.dns_server import LOCAL_WORK_S, QUERY_WORK_S

if TYPE_CHECKING:
    from netsim.engine.background.pacing import Pieces, Setup
    from netsim.engine.background.sampling import Plan
    from netsim.engine.model import Model
    from netsim.engine.network import Network
    from netsim.engine.queueing.stations import Station
    from netsim.engine.workload.dns_client import Lookups

Presence = tuple[Flow, End, Sequence[int]]
"""A flow, one of its ends, and the pods of that end on some node."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What is on a node: its presences, the same ``number`` on all nodes that have as many of the same.

    ``homes`` are the presences on each core, by position, with how many of their pods live there; ``agent`` is the
    core the node's own processes live on.
    """

    here: Sequence[Presence]
    number: int
    agent: int
    homes: dict[int, tuple[tuple[int, int], ...]]


class Backdrop:
    """Makes stations that know the traffic of the clients who are not followed."""

    def __init__(self, network: Network, model: Model, chosen: Plan, lookups: Lookups) -> None:
        self._network = network
        self._draws = Draws(network.streams)
        load = LoadModel(network, lookups, chosen.pairs)
        flows = [
            flow
            for edge, followed in zip(model.edges, chosen.followed, strict=True)
            if len(followed) < len(edge.clients)  # closed loops, streams and clients outside are followed whole
            for flow in load.flows(edge, _others(edge.clients, followed))
        ]
        self.flows = merged(flows)
        self.presence = presence(network, self.flows)
        self._racks: dict[int, list[int]] | None = None
        self._crowds: dict[int, Crowd] = {}
        self._numbers: dict[Hashable, int] = {}
        self._streams: dict[Hashable, Arrivals] = {}
        self._profiles: dict[Hashable, Profile | None] = {}

    def tracked(self, node: int) -> dict[float, float]:
        """Return the conntrack entries of the background on a node, by lifetime."""
        return tracked(self.presence.get(node, ()))

    def make(self, site: Site, name: str) -> Station:
        """Make a station, with its background if it has any."""
        profile = _PROFILES[site.what](self, site)
        if profile is None:
            return plain_station(site, name)
        place = (site.where + (1 << 20)) * 4096 + site.number * 8 + _NUMBER[site.what]
        source = Source(self._draws, place, profile)
        match site.what:
            case "core":
                return BackgroundCore(name, self._network.clock, source)
            case "pool":
                return BackgroundPool(site.number, name, source, QUERY_WORK_S)
            case "local-dns":
                return BackgroundPool(site.number, name, source, LOCAL_WORK_S)
            case _:
                return BackgroundLink(name, source)

    # ------------------------------------------------------------------------------------------ profiles

    def _core(self, site: Site) -> Profile | None:
        machine = self._network.cluster.nodes[site.where].machine
        queues = min(machine.queues, machine.cores)
        spread = queues if site.number < queues else 0
        crowd = self._crowd(site.where)
        lives = crowd.agent == site.number
        at_home = [(*crowd.here[position][:2], count) for position, count in crowd.homes.get(site.number, ())]
        # few kinds of each make many kinds of cores
        urgent_key = (crowd.number, spread, machine.cores)
        threads_key = (tuple(at_home), crowd.number if lives else None)
        key = (urgent_key, threads_key)
        if key not in self._profiles:
            urgent, threads = self._streams.get(urgent_key), self._streams.get(threads_key)
            if urgent is None:
                received = ((flow, end, len(pods) / spread) for flow, end, pods in crowd.here if spread)
                steered = ((flow, end, len(pods) / machine.cores) for flow, end, pods in crowd.here)
                both = chain(_classes("softirq", received), _classes("steered", steered))
                urgent = self._streams[urgent_key] = _arrivals(both)
            if threads is None:
                own = _classes("thread", ((flow, end, float(count)) for flow, end, count in at_home))
                agent = _classes("host", ((flow, end, float(len(pods))) for flow, end, pods in crowd.here if lives))
                threads = self._streams[threads_key] = _arrivals(chain(own, agent))
            self._profiles[key] = _profile(urgent, threads)
        return self._profiles[key]

    def _crowd(self, node: int) -> Crowd:
        """Return what is on a node."""
        known = self._crowds.get(node)
        if known is None:
            here = self.presence.get(node, ())
            number = self._numbers.setdefault(
                tuple((flow, end, len(pods)) for flow, end, pods in here), len(self._numbers)
            )
            home, cores = self._network.places.home_core, self._network.cluster.nodes[node].machine.cores
            homes: dict[int, list[tuple[int, int]]] = defaultdict(list)
            lives = {pod: home(pod, cores) for pod in dict.fromkeys(chain.from_iterable(pods for _, _, pods in here))}
            for position, (_, _, pods) in enumerate(here):
                for core, count in Counter(map(lives.__getitem__, pods)).items():
                    homes[core].append((position, count))
            agent = home(agent_of(node), cores)
            known = self._crowds[node] = Crowd(here, number, agent, {core: tuple(each) for core, each in homes.items()})
        return known

    def _link(self, site: Site) -> Profile | None:
        what: What = site.what  # type: ignore[assignment]
        of_node = what in ("up", "down")
        # all spines alike
        key = (what, self._crowd(site.where).number) if of_node else (what, "rack", site.where)
        if key not in self._profiles:
            nodes = (site.where,) if of_node else self._nodes_of(site.where)
            share = 1.0 if of_node else 1.0 / self._network.places.spines
            here = (each for node in nodes for each in self.presence.get(node, ()))
            weighted = ((flow, end, share * len(pods)) for flow, end, pods in here)
            self._profiles[key] = _profile(_arrivals(_classes(what, weighted)))
        return self._profiles[key]

    def _pool(self, site: Site) -> Profile | None:
        node = self._network.node_of(site.where)
        here = [each for each in self.presence.get(-1 if node is None else node, ()) if site.where in each[2]]
        return _profile(_arrivals(_classes("pool", ((flow, end, 1.0) for flow, end, _ in here))))

    def _local(self, site: Site) -> Profile | None:
        here = self.presence.get(site.where, ())
        weighted = ((flow, end, float(len(pods))) for flow, end, pods in here)
        return _profile(_arrivals(_classes("local-dns", weighted)))

    def _nodes_of(self, rack: int) -> Sequence[int]:
        if self._racks is None:
            self._racks = defaultdict(list)
            for node in range(len(self._network.cluster.nodes)):
                self._racks[self._network.places.rack(node)].append(node)
        return self._racks[rack]


_NUMBER = {"core": 0, "up": 1, "down": 2, "leaf-up": 3, "leaf-down": 4, "pool": 5, "local-dns": 6}
_PROFILES: dict[str, Callable[[Backdrop, Site], Profile | None]] = {
    "core": Backdrop._core,
    "pool": Backdrop._pool,
    "local-dns": Backdrop._local,
    **dict.fromkeys(("up", "down", "leaf-up", "leaf-down"), Backdrop._link),
}


def followed_flows(
    network: Network, model: Model, chosen: Plan, lookups: Lookups, pairs: int = 0
) -> list[Flow]:
    """Return the flows of the followed clients whose rate is known beforehand, from so many pairs or the plan's."""
    load = LoadModel(network, lookups, pairs or chosen.pairs)
    return [
        flow
        for edge, followed in zip(model.edges, chosen.followed, strict=True)
        if edge.closed is None and edge.kind != "stream"
        for flow in load.flows(edge, (ExternalParty(),) if edge.external else followed)
    ]


def merged(flows: Sequence[Flow]) -> list[Flow]:
    """Join flows that differ in nothing but their sources.

    All instances of a repeated application ask the same DNS servers the same kind of question: thousands of flows
    would meet at every server, which are one to it.
    """
    alike: dict[tuple[int, tuple[int, ...], float], list[Flow]] = {}
    for flow in flows:
        alike.setdefault((id(flow.exchange), tuple(flow.targets), flow.rate_per_s), []).append(flow)
    return [
        group[0] if len(group) == 1 else replace(group[0], sources=[pod for flow in group for pod in flow.sources])
        for group in alike.values()
    ]


def presence(network: Network, flows: Sequence[Flow]) -> dict[int, list[Presence]]:
    """Return which ends of which flows are on each node."""
    pods, index = network.cluster.pods, network.cluster.node_index
    found: dict[int, list[Presence]] = defaultdict(list)
    for flow in flows:
        for end, members in flow.ends:
            grouped: dict[int, list[int]] = {}
            for pod in members:
                grouped.setdefault(index[pods[pod].node], []).append(pod)
            for node, some in grouped.items():
                found[node].append((flow, end, some))
    return found


def tracked(here: Sequence[Presence]) -> dict[float, float]:
    """Return the conntrack entries that flows keep on a node, by lifetime: rate × lifetime (Little)."""
    found: dict[float, float] = defaultdict(float)
    for flow, end, pods in here:
        kept = flow.exchange.entries[end]
        if kept:
            rate = flow.rate_at(end) * len(pods) / len(flow.exchange.kinds)
            for lifetime_s, numbers in kept:
                each, total = rate * lifetime_s, found[lifetime_s]
                for entries in numbers:
                    total += each * entries
                found[lifetime_s] = total
    return found


class Tracked:
    """How full conntrack tables are with the traffic of some flows; worked out when first asked."""

    def __init__(self, network: Network, flows: Callable[[], Sequence[Flow]]) -> None:
        self._network, self._flows = network, flows

    @cached_property
    def _presence(self) -> dict[int, list[Presence]]:
        return presence(self._network, self._flows())

    def __call__(self, node: int) -> dict[float, float]:
        """Return the entries on a node, by lifetime."""
        return tracked(self._presence.get(node, ()))


def _others(clients: Sequence[int], followed: Sequence[int]) -> Sequence[int]:
    known = frozenset(followed)
    return [client for client in clients if client not in known]


def _classes(what: What, weighted: Iterable[tuple[Flow, End, float]]) -> Iterator[tuple[Pieces, Setup, float]]:
    """Yield the jobs of one kind (pieces, set-up, rate) that ends of flows bring, each with its weight."""
    for flow, end, weight in weighted:
        jobs = flow.jobs.get((end, what), ())
        if jobs:
            each = flow.rate_at(end) * weight
            for pieces, setup, per_transaction in jobs:
                yield pieces, setup, each * per_transaction


def _arrivals(classes: Iterable[tuple[Pieces, Setup, float]]) -> Arrivals:
    """Add up the jobs that come to one station."""
    rates: dict[tuple[Pieces, Setup], float] = defaultdict(float)
    for pieces, setup, rate in classes:
        rates[pieces, setup] += rate
    return Arrivals.of((pieces, setup, rate) for (pieces, setup), rate in rates.items())


def _profile(*streams: Arrivals) -> Profile | None:
    return Profile(streams) if any(each.rate_per_s > 0.0 for each in streams) else None
