"""Faults in flight: what happens to stations, connections and endpoints when something breaks, and what it did.

Times of faults are known before the run starts. Links look ahead to them, cores are emptied when they come
(`netsim.engine.queueing.outages`), connections break (`netsim.engine.transport.sessions`), endpoints stay in use until
their nodes know better (`netsim.engine.views`). A run without faults makes none of this.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from netsim.datapath.datapath import HostParty
from netsim.datapath.types import Role
from netsim.engine.measuring.measures import Scalar
from netsim.engine.queueing.burst import Notice
from netsim.engine.queueing.grid import on_grid
from netsim.engine.queueing.outages import Cable, Ear, Guard, Outage, Seat, abandon, halt, wipe
from netsim.engine.queueing.stations import Core, Link
from netsim.engine.transport.datagrams import TIMEOUT_S
from netsim.engine.transport.sessions import MortalConnection, Sessions
from netsim.engine.views import Views

if TYPE_CHECKING:
    from netsim.cluster.faults import Fault
    from netsim.engine.model import Convergence
    from netsim.engine.network import Network, Party
    from netsim.engine.places import Place
    from netsim.engine.queueing.stations import Station
    from netsim.engine.transport.ways import Way
    from netsim.engine.workload.dns_client import Lookups


DISTURBED = 2.0
"""How many times the longest latency before the first fault counts as a consequence of one."""


class Faults:
    """The faults of one replication. Making it arms the network.

    Parameters
    ----------
    network: what they happen to.
    faults: in order of time.
    how: how news of them travel.
    lookups: gives DNS servers, whose workers and caches are lost with them.
    """

    def __init__(self, network: Network, faults: Sequence[Fault], how: Convergence, lookups: Lookups) -> None:
        self._network, self._lookups, self.faults = network, lookups, tuple(faults)
        self._links: dict[int, list[Outage]] = {}
        self._nodes: dict[int, list[Outage]] = {}
        stops: dict[int, list[Outage]] = {}
        for fault in faults:
            outage = Outage(on_grid(fault.at_s), fault.until_s if fault.until_s == inf else on_grid(fault.until_s))
            if fault.node is not None:
                self._links.setdefault(fault.node, []).append(outage)
            if fault.kind == "node-loss" and fault.node is not None:
                self._nodes.setdefault(fault.node, []).append(outage)
            if fault.stops_pods:
                for pod in fault.pods:
                    stops.setdefault(pod, []).append(outage)
            Notice(network.clock, outage.since_s, partial(self._strike, fault, outage))
        self._stops = stops
        self.sessions = Sessions(network.clock, dict(stops))
        self.views = Views(network, faults, how)
        self._seats: dict[int, Seat] = {}
        network.faults, network.seen = self, self.views.of
        network.places.fit.append(self._harden)

    # ------------------------------------------------------------------------------------------ what may break

    def _harden(self, place: Place) -> None:
        """Put guards around the legs of a node that something happens to."""
        node = place.index
        cables, machine = self._links.get(node), self._nodes.get(node)
        if cables is not None:
            place.up, place.down = (Cable(link, cables).carry for link in place.links)
        if machine is not None:
            place.dress = lambda core: (
                Guard(core.thread, core, machine).serve, Guard(core.softirq, core, machine).serve
            )  # fmt: skip
            place.pause = Guard(place.pause, place.pausing, machine).serve
            for number in range(place.cores):  # what stops must be there when it does
                place.core(number)

    def seat(self, party: Party) -> Seat | None:
        """Return the seat of a pod that stops at some time, `None` for others."""
        stops = self._stops.get(party) if isinstance(party, int) else None
        if stops is None:
            return None
        known = self._seats.get(party)
        if known is None:
            place, core = self._network.home(party)
            assert place is not None
            known = self._seats[party] = Seat(place.thread(core), place.core(core), stops)
        return known

    def take_seats(self, legs: list[Any], sender: Party, receiver: Party, *, datagrams: bool) -> None:
        """Let the legs of one direction pass through the seats of pods that stop."""
        for role, party in ((Role.SENDER_CORE, sender), (Role.RECEIVER_CORE, receiver)):
            seat = self.seat(party)
            if seat is not None:
                legs[role] = Ear(legs[role], seat).datagram if datagrams else seat.thread

    def connection(self, forth: Way, back: Way, source: Party, target: Party) -> MortalConnection:
        """Return a connection that may break."""
        return MortalConnection(
            forth, back, self._network.tcp, source=source, target=target, sessions=self.sessions
        )

    # ------------------------------------------------------------------------------------------ what breaks

    def _strike(self, fault: Fault, outage: Outage, now: float) -> None:
        """Let a fault happen."""
        network, pods = self._network, frozenset(fault.pods)
        place = None if fault.node is None else network.places.place(fault.node)
        if place is not None:
            for link in place.links:
                halt(link, now, outage.until_s)
        if not fault.stops_pods:
            return
        workers = self._lookups.stop(partial(self._gone, fault, pods))
        if place is not None:
            own = [each for each in place.stations if not isinstance(each, Link)]
            stations = [*own, *workers, *self._buckets(pods)]
            wipe(network.clock, stations, now)
        else:
            stations = list(workers)
            wipe(network.clock, stations, now)
            for pod in sorted(pods & self._seats.keys()):
                seat = self._seats[pod]
                if isinstance(seat.station, Core):
                    abandon(network.clock, seat.station, seat.holds, now)
        for station in stations:
            halt(station, now, outage.until_s)
        self.sessions.stop(pods, now, silently=place is not None, timeout_s=TIMEOUT_S)

    def _buckets(self, pods: frozenset[int]) -> list[Station]:
        """Return the rate limits of some pods."""
        shapers = self._network.shapers
        return [] if shapers is None else [bucket for (pod, _), bucket in shapers.buckets.items() if pod in pods]

    @staticmethod
    def _gone(fault: Fault, pods: frozenset[int], party: Party) -> bool:
        """Tell whether a DNS server stops with a fault: a replica, or the agent of a node."""
        return party in pods if isinstance(party, int) else isinstance(party, HostParty) and party.node == fault.node

    # ------------------------------------------------------------------------------------------ what it did

    def figures(self) -> tuple[Scalar, ...]:
        """Return recovery and convergence of every fault.

        A transaction is disturbed if it failed, or took `DISTURBED` times the longest before the first fault.
        ``recovery`` is the time from the fault to the end of the last one it disturbed; one that still waits for an
        answer when the run ends, and may do so for ever, counts by its beginning.
        """
        found = []
        for fault, (_, ended_s) in zip(self.faults, self._disturbed(), strict=True):
            found.append(Scalar("fault", fault.label, "recovery", "max", max(0.0, ended_s - fault.at_s), "s"))
        for fault, times in self.views.convergence():
            found.append(Scalar("fault", fault.label, "convergence", "max", max(times), "s", len(times)))
        return tuple(found)

    def _disturbed(self) -> list[tuple[float, float]]:
        """Return for every fault when the last transaction it disturbed began, and when the last one ended.

        A transaction is put down to the first fault that it met: one that was not over yet, by itself or because all
        nodes knew of it, when the transaction began; else to the last one before.
        """
        log, starts = self.sessions.log, [fault.at_s for fault in self.faults]
        usual = DISTURBED * max((each.ended_s - each.began_s for each in log if each.ended_s <= starts[0]), default=0.0)
        now = self._network.clock.now
        noticed = {fault: fault.at_s + max(times) for fault, times in self.views.convergence()}
        over = [min(fault.until_s, noticed.get(fault, inf)) for fault in self.faults]
        # began, under way until, counts at
        late = [
            (each.began_s, each.ended_s, each.ended_s) for each in log
            if not (each.answered and each.ended_s - each.began_s <= usual)
        ] + [
            (session.began_s, now, session.began_s) for session in self.sessions.live
            if not session.line.nested and now - session.began_s > usual
        ]  # fmt: skip
        last = [(-inf, -inf)] * len(starts)
        for began_s, until_s, counts_s in late:
            met = (i for i, at_s in enumerate(starts) if at_s <= until_s and began_s <= over[i])
            index = next(met, bisect_right(starts, began_s) - 1)
            if index >= 0:
                last[index] = max(last[index][0], began_s), max(last[index][1], counts_s)
        return last

    def notes(self, upto_s: float, *, sampled: bool) -> list[str]:
        """Name the faults and say what a reader must know about them.

        ``upto_s`` is until when clients sent; ``sampled`` says that some clients are background.
        """
        said = [f"fault: {fault.label}" for fault in self.faults]
        late = [fault.label for fault in self.faults if fault.at_s >= upto_s]
        said += [f"warning: {label} comes after the last transaction" for label in late]
        if sampled:
            said.append("background traffic stays away from what is out, and does not go elsewhere instead")
        for fault, (began_s, _) in zip(self.faults, self._disturbed(), strict=True):
            if began_s - fault.at_s > 0.95 * (upto_s - fault.at_s) > 0.0:
                said.append(f"warning: no recovery from {fault.label} within the run")
        hanging = sum(not session.line.nested for session in self.sessions.live)
        if hanging:
            said.append(f"warning: {hanging} transactions still wait for an answer when the run ends")
        for fault, times in self.views.convergence():
            if fault.at_s + max(times) > upto_s:
                said.append(
                    f"nodes still use the endpoints of {fault.label} when the run ends: the last stops "
                    f"{max(times):.3g} s after it"
                )
        return said
